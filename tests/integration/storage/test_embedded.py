import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from gridmill.storage.database import Database
from gridmill.storage.embedded import binaries
from gridmill.storage.embedded.account import choose_account
from gridmill.storage.embedded.errors import DataFolderInUse, EmbeddedPostgresError
from gridmill.storage.embedded.server import EmbeddedPostgres, borrow_server, find_running
from tests.support.embedded_owner import SETTINGS
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[3]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def make_server(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, settings=SETTINGS)


def start_owner(
    folder: Path, tie: str = "signal", user: int | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [find_interpreter(user), "-m", "tests.support.embedded_owner", str(folder), tie],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )


def find_interpreter(user: int | None) -> str:
    """An interpreter of this version that `user` can start; ours may be below /root."""
    if user is None:
        return sys.executable
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        with suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [candidate, "-c", "import tests.support.embedded_owner"],
                cwd=REPOSITORY,
                env=ENVIRONMENT,
                user=user,
                group=user,
                extra_groups=[],
                check=True,
                capture_output=True,
            )
            return candidate
    pytest.skip("other users can reach no interpreter, or not this checkout")


def read_line(owner: subprocess.Popen[str]) -> str:
    assert owner.stdout is not None
    return owner.stdout.readline().strip()


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def find_postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])


def read_state(folder: Path) -> str:
    """What pg_controldata says of the cluster: `shut down` after a clean end."""
    account = choose_account(folder / "postgres")
    program = binaries.find_binaries(account).find("pg_controldata")
    told = subprocess.run(
        [program, folder / "postgres"], env={"LC_ALL": "C"}, capture_output=True, check=True
    )
    lines = dict(line.split(":", 1) for line in told.stdout.decode().splitlines())
    return lines["Database cluster state"].strip()


@pytest.fixture
def open_folder() -> Generator[Path]:
    """A folder that every user can reach; pytest's own are closed to all but their maker."""
    folder = Path(tempfile.mkdtemp(prefix="gridmill-embedded-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_it_keeps_its_data_from_one_start_to_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "made" / "yet"
    async with make_server(folder) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    async with make_server(folder) as server:
        assert ask(server.url, "SELECT answer FROM kept") == 42
        assert ask(server.url, "SELECT 'é' < 'z' COLLATE \"C\"") is False
        assert ask(server.url, "SHOW jit") == "off"

    assert read_state(folder) == "shut down"


async def test_only_the_password_opens_it_and_only_its_owner_reads_that(tmp_path: Path) -> None:
    async with make_server(tmp_path) as server:
        assert [path for path in list_folder(tmp_path) if path.stat().st_mode & 0o077] == []
        password = (tmp_path / "postgres.password").read_text().strip()
        assert len(password) == 48
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url.replace(password, "guess"))


@needs_root
async def test_root_steps_down_to_an_ordinary_user(tmp_path: Path) -> None:
    async with make_server(tmp_path):
        status = read_status(find_postmaster(tmp_path))
        user = int(status["Uid"].split()[1])
        assert user != 0
        assert (tmp_path / "postgres").stat().st_uid == user
        # Capabilities would make it root by another name.
        assert int(status["CapEff"], 16) == 0


@needs_root
async def test_an_ordinary_user_runs_it_as_itself_and_root_can_take_over(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(open_folder, nobody, -1)
    owner = start_owner(open_folder, user=nobody)
    url = await asyncio.to_thread(read_line, owner)
    assert ask(url, "SELECT 1") == 1
    assert read_status(find_postmaster(open_folder))["Uid"].split()[1] == str(nobody)
    await asyncio.to_thread(owner.communicate)
    assert read_state(open_folder) == "shut down"

    async with make_server(open_folder) as server:
        assert ask(server.url, "SELECT 1") == 1
        assert read_status(find_postmaster(open_folder))["Uid"].split()[1] == str(nobody)


@needs_root
async def test_a_user_without_an_entry_is_told_of_the_other_way(open_folder: Path) -> None:
    stranger = 54321
    os.chown(open_folder, stranger, -1)
    owner = start_owner(open_folder, user=stranger)
    said = await asyncio.to_thread(read_line, owner)
    await asyncio.to_thread(owner.communicate)

    assert said.startswith("ERROR UserUnknown")
    assert "54321" in said
    assert "GRIDMILL_DATABASE_URL" in said


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
async def test_a_root_that_may_not_step_down_is_told_of_the_other_way(tmp_path: Path) -> None:
    # As in a container that was started with --cap-drop=ALL.
    told = await asyncio.to_thread(
        subprocess.run,
        [
            *("setpriv", "--bounding-set=-all", "--inh-caps=-all"),
            *(sys.executable, "-m", "tests.support.embedded_owner", str(tmp_path), "signal"),
        ],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )

    assert told.stdout.startswith("ERROR EmbeddedPostgresError")
    assert "may not become user" in told.stdout
    assert "GRIDMILL_DATABASE_URL" in told.stdout


@needs_root
async def test_another_users_folder_is_refused_with_advice(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    async with make_server(open_folder / "data"):
        pass
    (open_folder / "data").chmod(0o755)
    owner = start_owner(open_folder / "data", user=nobody)
    said = await asyncio.to_thread(read_line, owner)
    await asyncio.to_thread(owner.communicate)

    assert said.startswith("ERROR EmbeddedPostgresError")
    assert "another user" in said


@needs_root
async def test_programs_that_the_user_cannot_reach_are_copied_once(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As after an installation below /root.
    package = binaries.find_package()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package, closed / package.name)
    shutil.copytree(package.parent / f"{package.name}.libs", closed / f"{package.name}.libs")
    monkeypatch.setattr(binaries, "find_package", lambda: closed / package.name)
    monkeypatch.setattr(binaries, "COPY_BASES", (open_folder,))

    async with make_server(tmp_path / "data") as server:
        assert ask(server.url, "SELECT 1") == 1
    made = list_folder(open_folder)
    async with make_server(tmp_path / "data"):
        assert list_folder(open_folder) == made
    assert len(made) == 1

    # A copy that someone else might have made is not run.
    made[0].chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="cannot run"):
        await make_server(tmp_path / "data").start()


async def test_a_second_owner_is_refused_with_the_firsts_process_id(tmp_path: Path) -> None:
    owner = start_owner(tmp_path)
    assert await asyncio.to_thread(read_line, owner)

    with pytest.raises(DataFolderInUse, match=f"in use by process {owner.pid}") as caught:
        await make_server(tmp_path).start()
    assert "--data-dir" in str(caught.value)
    await asyncio.to_thread(owner.communicate)
    async with make_server(tmp_path) as server:
        assert ask(server.url, "SELECT 1") == 1


@pytest.mark.parametrize("tie", ["signal", "pipe"])
async def test_a_killed_parent_leaves_a_cleanly_stopped_database(tmp_path: Path, tie: str) -> None:
    owner = start_owner(tmp_path, tie)
    url = await asyncio.to_thread(read_line, owner)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        postmaster = find_postmaster(tmp_path)
        owner.kill()
        killed_at = time.monotonic()
        await asyncio.to_thread(owner.communicate)
        await eventually(lambda: not is_alive(postmaster), timeout=5)

    assert time.monotonic() - killed_at < 2.0
    assert read_state(tmp_path) == "shut down"
    assert await find_running(tmp_path) is None


async def test_a_new_owner_can_start_right_after_the_first_was_killed(tmp_path: Path) -> None:
    owner = start_owner(tmp_path)
    assert await asyncio.to_thread(read_line, owner)
    owner.kill()
    await asyncio.to_thread(owner.wait)

    async with make_server(tmp_path) as server:
        assert ask(server.url, "SELECT 1") == 1
    owner.communicate()


async def test_a_killed_server_comes_back_on_its_port_and_pools_find_it(tmp_path: Path) -> None:
    async with make_server(tmp_path) as server:
        database = await Database.open(server.url, min_size=4)
        async with database.transaction() as tx:
            await tx.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        for _ in range(2):
            killed = find_postmaster(tmp_path)
            os.kill(killed, signal.SIGKILL)
            # A backend outlives its postmaster for a moment and still answers: ready is what
            # answers once another one has taken over.
            await eventually(lambda killed=killed: find_postmaster(tmp_path) != killed)
            await eventually(lambda: find_running(tmp_path))
            await eventually(database.is_ready)
            async with database.transaction() as tx:
                row = await (await tx.execute("SELECT answer FROM kept")).fetchone()
            assert row == (42,)
        await database.close()
        assert await find_running(tmp_path) == server.url


async def test_both_killed_at_once_start_again_with_the_data(tmp_path: Path) -> None:
    owner = start_owner(tmp_path)
    url = await asyncio.to_thread(read_line, owner)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postmaster = find_postmaster(tmp_path)
    os.kill(owner.pid, signal.SIGSTOP)
    os.kill(postmaster, signal.SIGKILL)
    owner.kill()
    await asyncio.to_thread(owner.communicate)

    async with make_server(tmp_path) as server:
        assert ask(server.url, "SELECT answer FROM kept") == 42


@pytest.mark.parametrize("namesake", [os.getpid, os.getppid], ids=["parent", "grandparent"])
async def test_a_stale_pid_file_that_names_a_living_process_is_no_obstacle(
    tmp_path: Path, namesake: Callable[[], int]
) -> None:
    async with make_server(tmp_path):
        text = (tmp_path / "postgres" / "postmaster.pid").read_text()
    stale = tmp_path / "postgres" / "postmaster.pid"
    stale.write_text("\n".join([str(namesake()), *text.split("\n")[1:]]))
    status = (tmp_path / "postgres").stat()
    os.chown(stale, status.st_uid, status.st_gid)

    async with make_server(tmp_path) as server:
        assert ask(server.url, "SELECT 1") == 1


async def test_a_stop_takes_seconds_even_with_work_in_progress(tmp_path: Path) -> None:
    server = make_server(tmp_path)
    url = await server.start()
    connection = await psycopg.AsyncConnection.connect(url)
    sleeper = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
    await eventually(
        lambda: ask(url, "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")
    )
    started_at = time.monotonic()
    await server.stop()
    await server.stop()

    assert time.monotonic() - started_at < 5
    with suppress(psycopg.OperationalError):
        await sleeper
    await connection.close()
    assert read_state(tmp_path) == "shut down"


async def test_what_a_killed_initdb_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "postgres.new" / "base").mkdir(parents=True)

    async with make_server(tmp_path) as server:
        assert ask(server.url, "SELECT 1") == 1


async def test_a_lost_password_is_told_and_nothing_is_overwritten(tmp_path: Path) -> None:
    async with make_server(tmp_path):
        pass
    (tmp_path / "postgres.password").unlink()

    with pytest.raises(EmbeddedPostgresError, match=r"postgres\.password is missing"):
        await make_server(tmp_path).start()
    assert not (tmp_path / "postgres.password").exists()


async def test_a_setting_that_the_server_refuses_is_told_at_once(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, settings={"work_mem": "lots"})
    started_at = time.monotonic()
    with pytest.raises(EmbeddedPostgresError, match="work_mem"):
        await server.start()

    assert time.monotonic() - started_at < 8
    # The folder is free again.
    async with make_server(tmp_path):
        pass


async def test_a_server_is_borrowed_when_it_runs_and_started_when_it_does_not(
    tmp_path: Path,
) -> None:
    async with borrow_server(tmp_path) as url:
        assert ask(url, "SELECT 1") == 1
        async with borrow_server(tmp_path) as again:
            assert again == url
        assert ask(url, "SELECT 1") == 1

    assert await find_running(tmp_path) is None
    assert read_state(tmp_path) == "shut down"


def list_folder(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def read_status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return False
