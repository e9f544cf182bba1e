import asyncio
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from gridmill.engine.schema import install_engine_schema
from gridmill.storage.database import Tx
from gridmill.storage.migrate import (
    DatabaseTooNew,
    MigrationChanged,
    MigrationError,
    ServerTooOld,
    ServerUnsuitable,
    check_server,
    load_migrations,
    migrate,
)
from tests.support.postgres import Server, with_database
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three migrations: the first two make a table and its column, the third fills it."""
    add(tmp_path, "0001_notes.pre.sql", "CREATE TABLE notes (note text);")
    add(tmp_path, "0002_author.pre.sql", "ALTER TABLE notes ADD author text;")
    add(tmp_path, "0002_author.post.sql", "INSERT INTO notes VALUES ('post', 'me');")
    return tmp_path


def add(folder: Path, name: str, statements: str) -> None:
    (folder / name).write_text(statements)


def ask(url: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(question.encode()).fetchall()


async def test_an_empty_database_gets_the_whole_schema(empty_database_url: str) -> None:
    applied = await migrate(empty_database_url, steps=[install_engine_schema])

    assert applied == [migration.name for migration in load_migrations()]
    assert applied[0] == "0001_foundation.pre"
    assert ask(empty_database_url, "SELECT length(secret) FROM installation") == [(32,)]
    assert ask(empty_database_url, "SELECT count(*) FROM procrastinate_jobs") == [(0,)]


async def test_a_second_run_finds_nothing_to_do(empty_database_url: str) -> None:
    await migrate(empty_database_url, steps=[install_engine_schema])
    secret = ask(empty_database_url, "SELECT secret FROM installation")

    assert await migrate(empty_database_url, steps=[install_engine_schema]) == []
    assert ask(empty_database_url, "SELECT secret FROM installation") == secret


async def test_ten_tasks_at_once_apply_everything_once(empty_database_url: str) -> None:
    runs = [migrate(empty_database_url, steps=[install_engine_schema]) for _ in range(10)]
    applied = [names for names in await asyncio.gather(*runs) if names]

    assert applied == [[migration.name for migration in load_migrations()]]


async def test_processes_that_start_at_once_all_succeed(empty_database_url: str) -> None:
    program = (
        "import asyncio, sys; from gridmill.storage.migrate import migrate;"
        " print(len(asyncio.run(migrate(sys.argv[1]))))"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, empty_database_url),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    told = [(await process.communicate())[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(int(text) for text in told) == [0, 0, 0, len(load_migrations())]


async def test_files_are_applied_by_number_and_pre_before_post(
    empty_database_url: str, folder: Path
) -> None:
    assert await migrate(empty_database_url, folder=folder) == [
        "0001_notes.pre",
        "0002_author.pre",
        "0002_author.post",
    ]
    assert ask(empty_database_url, "SELECT * FROM notes") == [("post", "me")]


async def test_only_what_is_missing_is_applied(empty_database_url: str, folder: Path) -> None:
    await migrate(empty_database_url, folder=folder)
    add(folder, "0003_more.pre.sql", "INSERT INTO notes VALUES ('more', NULL);")

    assert await migrate(empty_database_url, folder=folder) == ["0003_more.pre"]
    assert ask(empty_database_url, "SELECT count(*) FROM notes") == [(2,)]


async def test_a_failing_migration_leaves_nothing_of_itself_and_can_be_mended(
    empty_database_url: str, folder: Path
) -> None:
    add(folder, "0003_bad.pre.sql", "INSERT INTO notes VALUES ('half'); SELECT nonsense();")
    with pytest.raises(MigrationError, match=r"0003_bad\.pre failed.*nonsense"):
        await migrate(empty_database_url, folder=folder)
    assert ask(empty_database_url, "SELECT count(*) FROM notes") == [(1,)]

    add(folder, "0003_bad.pre.sql", "INSERT INTO notes VALUES ('whole');")
    assert await migrate(empty_database_url, folder=folder) == ["0003_bad.pre"]


async def test_a_database_of_a_newer_version_is_refused(
    empty_database_url: str, folder: Path
) -> None:
    add(folder, "0009_future.pre.sql", "SELECT 1;")
    await migrate(empty_database_url, folder=folder)
    (folder / "0009_future.pre.sql").unlink()
    add(folder, "0003_mine.pre.sql", "INSERT INTO notes VALUES ('mine');")

    with pytest.raises(DatabaseTooNew, match=r"newer Gridmill.*0009_future"):
        await migrate(empty_database_url, folder=folder)
    assert ask(empty_database_url, "SELECT count(*) FROM notes") == [(1,)]


async def test_a_changed_file_is_refused(empty_database_url: str, folder: Path) -> None:
    await migrate(empty_database_url, folder=folder)
    add(folder, "0001_notes.pre.sql", "CREATE TABLE notes (note text, extra text);")

    with pytest.raises(MigrationChanged, match=r"0001_notes\.pre was changed"):
        await migrate(empty_database_url, folder=folder)


async def test_line_ends_of_another_checkout_are_no_change(
    empty_database_url: str, folder: Path
) -> None:
    add(folder, "0003_lines.pre.sql", "SELECT 1;\nSELECT 2;\n")
    await migrate(empty_database_url, folder=folder)
    (folder / "0003_lines.pre.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")

    assert await migrate(empty_database_url, folder=folder) == []


@pytest.mark.parametrize(
    "name", ["3_short.pre.sql", "0003_nophase.sql", "0003_Upper.pre.sql", "0001_again.pre.sql"]
)
def test_a_file_that_is_misnamed_is_told(folder: Path, name: str) -> None:
    add(folder, name, "SELECT 1;")
    with pytest.raises(
        MigrationError, match=name.split(".", maxsplit=1)[0].split("_", maxsplit=1)[0]
    ):
        load_migrations(folder)


async def test_a_schema_step_runs_every_time_and_is_undone_when_it_fails(
    empty_database_url: str, folder: Path
) -> None:
    async def note(tx: Tx) -> None:
        await tx.execute("INSERT INTO notes VALUES ('step')")

    async def fail(tx: Tx) -> None:
        await note(tx)
        raise RuntimeError("no")

    await migrate(empty_database_url, folder=folder, steps=[note])
    await migrate(empty_database_url, folder=folder, steps=[note])
    with pytest.raises(RuntimeError):
        await migrate(empty_database_url, folder=folder, steps=[fail])

    assert ask(empty_database_url, "SELECT count(*) FROM notes WHERE note = 'step'") == [(2,)]


async def test_a_migration_that_meets_a_lock_gives_way_and_comes_back(
    empty_database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmill.storage.migrate.LOCK_TIMEOUT", "50ms")
    await migrate(empty_database_url, folder=folder)
    add(folder, "0003_alter.pre.sql", "ALTER TABLE notes ADD more text;")
    reader = await psycopg.AsyncConnection.connect(empty_database_url)
    async with reader:
        await reader.execute("SELECT * FROM notes")
        run = asyncio.create_task(migrate(empty_database_url, folder=folder))
        await eventually(
            lambda: asyncio.to_thread(
                ask,
                empty_database_url,
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
            )
        )
        # Whoever comes behind the waiting migration gets through all the same.
        async with asyncio.timeout(5):
            question = "SELECT count(*) FROM notes"
            assert await asyncio.to_thread(ask, empty_database_url, question) == [(1,)]
        assert not run.done()
    assert await run == ["0003_alter.pre"]


async def test_a_lock_that_another_process_keeps_is_told(
    empty_database_url: str, folder: Path
) -> None:
    release = asyncio.Event()
    holding = asyncio.Event()

    async def hold(_tx: Tx) -> None:
        holding.set()
        await release.wait()

    run = asyncio.create_task(migrate(empty_database_url, folder=folder, steps=[hold]))
    await holding.wait()
    with pytest.raises(MigrationError, match="Another process"):
        await migrate(empty_database_url, folder=folder, lock_wait=0.2)
    release.set()
    await run


async def test_an_old_server_is_told_the_version_it_needs(empty_database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(empty_database_url) as connection:
        with pytest.raises(ServerTooOld, match="PostgreSQL 99 or newer; this server is version"):
            check_server(connection, minimum=99)


async def test_a_database_that_cannot_keep_text_is_refused(postgres: Server) -> None:
    name = f"gridmill_test_{postgres.run}_latin"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc"
            " TEMPLATE template0".encode()
        )
    url = with_database(postgres.url, name)
    with pytest.raises(ServerUnsuitable, match="UTF8"):
        await migrate(url)
    postgres.drop_database(url)
