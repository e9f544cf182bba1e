"""A PostgreSQL for the tests: one server a run, a migrated template, a fresh copy for each use.

The server is the embedded one unless `GRIDMILL_TEST_DATABASE_URL` names another, whose user must
be allowed to make databases.
"""

import asyncio
import fcntl
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from gridmill.engine.schema import install_engine_schema
from gridmill.storage.migrate import migrate

_REPOSITORY = Path(__file__).parents[2]
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that tests may make databases on; `url` is of its maintenance database."""

    url: str
    run: str
    made: list[str] = field(default_factory=list[str])

    @property
    def template(self) -> str:
        return f"gridmill_test_{self.run}_template"

    def make_database(self, *, is_empty: bool = False) -> str:
        """The URL of a fresh database: a copy of the migrated template, or an empty one."""
        name = f"gridmill_test_{self.run}_{uuid.uuid4().hex[:12]}"
        template = "template0" if is_empty else self.template
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                # Copying files takes 40 ms, the default (through the log) 250.
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        self.made.append(name)
        return with_database(self.url, name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        name = urlsplit(url).path.removeprefix("/")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def make_template(self) -> None:
        """Migrate the template once a run; the caller holds the run's lock."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (self.template,)
            ).fetchone()
            if found is not None:
                return
            draft = f"{self.template}_draft"
            for statement in ("DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(draft)))
            url = with_database(self.url, draft)
            # In a thread, because this one's event loop belongs to pytest-asyncio.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(
                    lambda: asyncio.run(migrate(url, steps=[install_engine_schema]))
                ).result()
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(draft), sql.Identifier(self.template)
                )
            )


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextmanager
def open_to_role(server: Server, *, passes_policies: bool = False) -> Generator[tuple[str, str]]:
    """An empty database that a role of its own owns: its URL for that role, and for the server's user."""
    url = server.make_database(is_empty=True)
    user = f"ordinary_{uuid.uuid4().hex[:12]}"
    role = sql.Identifier(user)
    parts = urlsplit(url)
    name = sql.Identifier(parts.path.removeprefix("/"))
    make = sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'ordinary' {}")
    attributes = sql.SQL("BYPASSRLS" if passes_policies else "NOBYPASSRLS")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(make.format(role, attributes))
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, role))
    place = parts.netloc.rpartition("@")[2]
    yield urlunsplit(parts._replace(netloc=f"{user}:ordinary@{place}")), url
    server.drop_database(url)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


@contextmanager
def serve_tests() -> Generator[Server]:
    """The run's server, with its template. All test processes of one run share it."""
    run = (os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex)[:12]
    folder = Path(tempfile.gettempdir()) / f"gridmill-tests-{run}"
    folder.mkdir(mode=0o700, exist_ok=True)
    users = os.open(folder / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(users, fcntl.LOCK_SH)
    given = os.environ.get("GRIDMILL_TEST_DATABASE_URL")
    try:
        with _locked(folder / "starting"):
            server = Server(given or _find_or_start(folder), run)
            server.make_template()
        yield server
    finally:
        # The last one out drops what a given server would keep; the embedded one goes whole.
        if given is not None:
            _clean_given(Server(given, run), users, folder)
        os.close(users)


def _find_or_start(folder: Path) -> str:
    url = folder / "url"
    if not url.exists():
        log = (folder / "keeper.log").open("wb")
        with log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.support.cluster_keeper", str(folder)],
                cwd=_REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not url.exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                said = (folder / "keeper.log").read_text() if folder.exists() else ""
                raise RuntimeError(f"the test database did not start: {said}")
            time.sleep(0.02)
        # Not ours to wait for: it outlives this process when others still need it.
        keeper.returncode = 0
    return url.read_text()


def _clean_given(server: Server, users: int, folder: Path) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    with psycopg.connect(server.url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)",
            (f"gridmill_test_{server.run}_",),
        ).fetchall()
    for (name,) in rows:
        server.drop_database(with_database(server.url, name))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@contextmanager
def _locked(path: Path) -> Generator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
