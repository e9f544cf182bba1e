"""The running server, seen from the outside."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from tests.support.fake_model import FakeModel
from tests.support.postgres import Server
from tests.support.serving import Served, run_command


@pytest.fixture(scope="session")
def own_database(request: pytest.FixtureRequest) -> Callable[[], str | None]:
    """A fresh database for a server when the run was given one, else `None`: embedded."""

    def make() -> str | None:
        if "GRIDMILL_TEST_DATABASE_URL" not in os.environ:
            return None
        given: Server = request.getfixturevalue("postgres")
        return given.make_database(is_empty=True)

    return make


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, own_database: Callable[[], str | None]
) -> Generator[Served]:
    """A server that the tests of this run share; no test may stop it."""
    served = Served(tmp_path_factory.mktemp("server") / "data", own_database())
    served.start()
    yield served
    code = served.stop()
    assert code == 0, served.read_log()


@pytest.fixture
def make_server(
    tmp_path: Path, own_database: Callable[[], str | None]
) -> Generator[Callable[..., Served]]:
    """Makes servers that a test may stop and kill; none of them is started yet."""
    made: list[Served] = []

    def make(
        name: str = "data",
        *,
        environment: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        database_url: str | None = None,
    ) -> Served:
        url = own_database() if database_url is None else database_url
        served = Served(tmp_path / name, url, environment or {}, arguments)
        made.append(served)
        return served

    yield make
    for served in made:
        if served.process is not None:
            served.stop()


def connect(served: Served, key: str | None = None) -> httpx2.AsyncClient:
    """A client of the API proper with a key, the first admin key when none is given."""
    return httpx2.AsyncClient(
        base_url=f"{served.url}/api/v2",
        headers={"Authorization": f"Bearer {key or served.key}"},
        timeout=30.0,
    )


@pytest_asyncio.fixture
async def client(server: Served) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the shared server with its admin key."""
    async with connect(server) as opened:
        yield opened


@pytest.fixture(scope="session")
def other_key(server: Served) -> str:
    """An admin key of another workspace of the shared server, made on the command line."""
    where = ["--data-dir", str(server.data_dir)]
    if server.database_url is not None:
        where += ["--database-url", server.database_url]
    done = run_command("keys", "create", "--name", "other", "--workspace", "other", *where)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest_asyncio.fixture
async def other_client(server: Served, other_key: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the shared server in another workspace."""
    async with connect(server, other_key) as opened:
        yield opened


@pytest.fixture
def make_model() -> Generator[Callable[..., FakeModel]]:
    """Starts fake model servers with the options of their command line."""
    started: list[subprocess.Popen[str]] = []

    def make(*options: str) -> FakeModel:
        process = subprocess.Popen(
            [sys.executable, "-m", "gridmill.providers.llm.fake", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return FakeModel(process.stdout.readline().strip())

    yield make
    for process in started:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
