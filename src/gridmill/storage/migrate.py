"""Brings a database's schema to what this version of the code needs.

Files are `migrations/NNNN_name.pre.sql` (safe beside the old code, so run before a deploy) and
`NNNN_name.post.sql` (what only the new code can live with). A start applies all of them.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psycopg

from gridmill.storage.database import Tx
from gridmill.storage.row_security import make_sessions_role

MINIMUM_SERVER = 15
MIGRATIONS = Path(__file__).parent / "migrations"

SchemaStep: TypeAlias = Callable[[Tx], Awaitable[None]]
"""Another owner's schema (the engine's): called in a transaction of its own, under the lock, after
the migrations, on every run; it finds out itself whether there is anything to do."""

# Any fixed number will do, as long as nothing else in the database locks the same one.
_ADVISORY_KEY = 0x6772_6964_6D69_6C6C
_LOCK_POLL_SECONDS = 0.1
# A statement that waits for a lock makes everyone behind it wait too: give way and come back.
LOCK_TIMEOUT = "3s"
_LOCK_ATTEMPTS = 20

_FILE_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.(pre|post)\.sql$")


class MigrationError(Exception):
    """The schema cannot be brought to what the code needs; the message says what to do."""


class ServerTooOld(MigrationError):
    """The PostgreSQL server is older than 15."""


class ServerUnsuitable(MigrationError):
    """The database cannot keep any text: its encoding is not UTF8."""


class DatabaseTooNew(MigrationError):
    """A newer Gridmill has migrated this database."""


class MigrationChanged(MigrationError):
    """A file that was applied reads differently now."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name in the record, its SQL, and the SHA-256 of it."""

    name: str
    statements: bytes
    checksum: str


def load_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """Read a folder in the order of application: by number, `pre` before `post`.

    Raises `MigrationError` on a file name that does not follow the pattern or repeats a number.
    """
    found: dict[tuple[int, bool], Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.match(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named NNNN_name.pre.sql or .post.sql")
        key = (int(match[1]), match[3] == "post")
        if key in found:
            raise MigrationError(f"{path.name} repeats the number of {found[key].name}")
        # Line ends differ between checkouts, the migration does not.
        statements = path.read_bytes().replace(b"\r\n", b"\n")
        found[key] = Migration(
            name=path.name.removesuffix(".sql"),
            statements=statements,
            checksum=hashlib.sha256(statements).hexdigest(),
        )
    return [found[key] for key in sorted(found)]


async def migrate(
    url: str,
    *,
    steps: Sequence[SchemaStep] = (),
    folder: Path = MIGRATIONS,
    lock_wait: float = 300.0,
) -> list[str]:
    """Apply what is missing, in order, under an advisory lock; return the names applied.

    Safe to call again and from many processes at once: the others wait (up to `lock_wait`
    seconds) and then find nothing to do. Each file is one transaction together with its record. At
    the end a superuser gets the role that its sessions act as (`row_security`).
    Raises `MigrationError` or one of its kinds, and `psycopg.OperationalError` when the server
    cannot be reached.
    """
    migrations = load_migrations(folder)
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=10, application_name="gridmill migrate"
    )
    async with connection:
        check_server(connection)
        await connection.execute(
            "SELECT set_config('statement_timeout', '0', false),"
            " set_config('lock_timeout', %s, false), set_config('TimeZone', 'UTC', false),"
            # Notices ("relation exists, skipping") are no news to anyone.
            " set_config('client_min_messages', 'warning', false)",
            (LOCK_TIMEOUT,),
        )
        await _take_lock(connection, lock_wait)
        # The lock is the session's: it goes with the connection, whatever happens.
        applied = await _apply_missing(connection, migrations)
        for step in steps:
            async with connection.transaction():
                await step(connection)
        async with connection.transaction():
            await make_sessions_role(connection)
        return applied


async def find_missing(url: str, folder: Path = MIGRATIONS) -> tuple[str, list[str]]:
    """The server's version, and the migrations that it lacks; changes nothing.

    Raises `MigrationError` for a server that cannot be used, and `psycopg.Error`.
    """
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=10, application_name="gridmill doctor"
    )
    async with connection:
        check_server(connection)
        version = connection.info.parameter_status("server_version") or ""
        cursor = await connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL")
        row = await cursor.fetchone()
        recorded: set[str] = set()
        if row is not None and row[0]:
            cursor = await connection.execute("SELECT name FROM schema_migrations")
            recorded = {str(name) for (name,) in await cursor.fetchall()}
        names = [migration.name for migration in load_migrations(folder)]
        return version, [name for name in names if name not in recorded]


def check_server(connection: Tx, *, minimum: int = MINIMUM_SERVER) -> None:
    """Raises `ServerTooOld` below the major version `minimum`, `ServerUnsuitable` without UTF8."""
    major = connection.info.server_version // 10000
    if major < minimum:
        raise ServerTooOld(
            f"Gridmill needs PostgreSQL {minimum} or newer; this server is version {major}."
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ServerUnsuitable(
            f"Gridmill needs a database with encoding UTF8; this one has {encoding}."
            " Make one with: createdb --encoding UTF8 --template template0 NAME"
        )


async def _take_lock(connection: Tx, lock_wait: float) -> None:
    # Asked again and again instead of waited for: a session that waits inside a statement holds
    # a snapshot, which the winner's CREATE INDEX CONCURRENTLY would wait for in turn.
    deadline = asyncio.get_running_loop().time() + lock_wait
    while True:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (_ADVISORY_KEY,))
        row = await cursor.fetchone()
        if row is not None and row[0]:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise MigrationError(
                f"Another process has been migrating this database for {lock_wait:.0f} s."
            )
        await asyncio.sleep(_LOCK_POLL_SECONDS)


async def _apply_missing(connection: Tx, migrations: Sequence[Migration]) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        " name text PRIMARY KEY,"
        " checksum text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    cursor = await connection.execute("SELECT name, checksum FROM schema_migrations ORDER BY name")
    recorded: dict[str, str] = dict(await cursor.fetchall())
    _check_record(recorded, migrations)
    missing = [migration for migration in migrations if migration.name not in recorded]
    for migration in missing:
        await _apply(connection, migration)
    return [migration.name for migration in missing]


def _check_record(recorded: dict[str, str], migrations: Sequence[Migration]) -> None:
    known = {migration.name: migration.checksum for migration in migrations}
    unknown = [name for name in recorded if name not in known]
    if unknown:
        last = migrations[-1].name if migrations else "none"
        raise DatabaseTooNew(
            f"This database was migrated by a newer Gridmill ({unknown[-1]}; this version knows"
            f" up to {last}). Start that version or newer, or use another database."
        )
    changed = [name for name, checksum in recorded.items() if known[name] != checksum]
    if changed:
        raise MigrationChanged(
            f"Migration {changed[0]} was changed after this database applied it. Restore the"
            " file and put the change into a new migration, or start from an empty database."
        )


async def _apply(connection: Tx, migration: Migration) -> None:
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            async with connection.transaction():
                await connection.execute(migration.statements)
                await connection.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)",
                    (migration.name, migration.checksum),
                )
        except psycopg.errors.LockNotAvailable as error:
            if attempt == _LOCK_ATTEMPTS:
                raise MigrationError(
                    f"Migration {migration.name} could not lock its tables: something keeps"
                    " them open. Stop the other processes and start again."
                ) from error
        except psycopg.Error as error:
            raise MigrationError(f"Migration {migration.name} failed: {error}") from error
        else:
            return
