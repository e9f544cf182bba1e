"""The pool of PostgreSQL connections and the one way to open a transaction."""

import asyncio
import select
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import LiteralString, Self, TypeAlias
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from gridmill.kit.errors import Unavailable

Tx: TypeAlias = AsyncConnection[TupleRow]
"""A connection inside a transaction: commits and rollbacks belong to `Database.transaction`."""

_after_commit: WeakKeyDictionary[Tx, list[Callable[[], None]]] = WeakKeyDictionary()

# How long a caller waits for a free connection before it is told 503. A restart of PostgreSQL
# takes about two seconds, so most callers never notice one.
_CHECKOUT_SECONDS = 5.0
# psycopg_pool doubles the pause between attempts. Giving up early keeps the pauses short: the
# next caller starts a fresh attempt at once, so the pool is back within seconds of its server.
_RECONNECT_SECONDS = 3.0
_CONNECT_SECONDS = 5
_READY_SECONDS = 2.0

SESSIONS_ROLE = "gridmill_sessions"
"""Whom a superuser's sessions act as, because row-level security binds no superuser. Nobody logs in
as it; `row_security.make_sessions_role` makes it."""

# Where an ordinary role owns the tables, that one is bound and may do whatever is needed.
_ACT_AS: LiteralString = """
SELECT set_config('role', CASE WHEN owner.rolsuper THEN %(role)s ELSE owner.rolname END, false)
FROM pg_class JOIN pg_roles owner ON owner.oid = relowner
WHERE pg_class.oid = to_regclass('workspaces')
  AND (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)
  AND (NOT owner.rolsuper OR to_regrole(%(role)s) IS NOT NULL)
"""

# Causes that pass: connection lost (08), lost races (40), no resources (53), locks and objects in
# use (55), operator intervention and timeouts (57), input/output of the server (58).
_PASSING_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits that every connection carries, in seconds; 0 is none.

    `statement` bounds one statement, `lock` one wait for a lock, `idle` the time that a
    transaction may sit without a statement (it holds locks and keeps VACUUM from its work).
    """

    statement: float = 120.0
    lock: float = 10.0
    idle: float = 60.0


def after_commit(tx: Tx, step: Callable[[], None]) -> None:
    """Have `step`, which must not raise, called once `tx` is committed, and never if it is not."""
    _after_commit.setdefault(tx, []).append(step)


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections that are lent out, those that are idle, and callers that wait for one."""

    in_use: int
    idle: int
    waiting: int


class Database:
    """A pool that outlives its server: broken connections are replaced, callers get 503 meanwhile.

    Made by `open`, ended by `close`; `transaction` is the only way in.
    """

    def __init__(self, pool: AsyncConnectionPool[Tx], url: str) -> None:
        self._pool = pool
        self._url = url

    @property
    def url(self) -> str:
        """The address that the pool was opened with, password included: never log it."""
        return self._url

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        min_size: int = 1,
        max_size: int = 10,
        timeouts: Timeouts | None = None,
        name: str = "gridmill",
    ) -> Self:
        """Connect once to prove the address, then fill the pool in the background.

        `name` is what `pg_stat_activity` shows. Raises `Unavailable` with the server's own
        words (for the operator: they name host and user) when it cannot be reached, and
        `ValueError` when `url` is no address.
        """
        limits = timeouts or Timeouts()

        async def configure(connection: Tx) -> None:
            await _set_session(connection, limits)

        await _prove(url)
        pool: AsyncConnectionPool[Tx] = AsyncConnectionPool(
            url,
            kwargs={
                "autocommit": True,
                "application_name": name,
                "connect_timeout": _CONNECT_SECONDS,
                # A server that vanished without a word (power, cable) is noticed in 20 s.
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 2,
            },
            min_size=min_size,
            max_size=max(min_size, max_size),
            timeout=_CHECKOUT_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            configure=configure,
            open=False,
            name=name,
        )
        await pool.open(wait=False)
        return cls(pool, url)

    @property
    def use(self) -> PoolUse:
        """How busy the pool is now."""
        stats = self._pool.get_stats()
        idle = stats.get("pool_available", 0)
        return PoolUse(stats.get("pool_size", 0) - idle, idle, stats.get("requests_waiting", 0))

    async def close(self) -> None:
        """Wait for borrowed connections to come back for up to 5 s, then drop the rest."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(
        self,
        *,
        read_only: bool = False,
        isolation: IsolationLevel | None = None,
        statement_timeout: float | None = None,
        workspace_id: UUID | None = None,
    ) -> AsyncGenerator[Tx]:
        """One transaction: committed at exit, rolled back on any error.

        With `workspace_id` the database itself keeps rows of other workspaces out of it; whoever
        acts for one caller names it. Without, it crosses workspaces, as jobs and commands must.
        `statement_timeout` (seconds, 0 is none) replaces the pool's for this transaction.
        Raises `Unavailable` when the server is gone, busy beyond its means, or a wait timed
        out; every other error of psycopg passes unchanged.
        """
        async with _unavailable_on_outage(), self._borrow() as connection:
            await connection.set_read_only(read_only)
            await connection.set_isolation_level(isolation)
            _after_commit.pop(connection, None)
            async with connection.transaction():
                if statement_timeout is not None:
                    await connection.execute(
                        "SELECT set_config('statement_timeout', %s, true)",
                        (_milliseconds(statement_timeout),),
                    )
                if workspace_id is not None:
                    await connection.execute(
                        "SELECT set_config('gridmill.workspace', %s, true)", (str(workspace_id),)
                    )
                yield connection
            for step in _after_commit.pop(connection, ()):
                step()

    async def run_alone(self, statement: LiteralString, values: Sequence[object]) -> None:
        """One statement that is a transaction by itself: one round trip instead of three.

        Raises `Unavailable` as `transaction` does.
        """
        async with _unavailable_on_outage(), self._borrow() as connection:
            await connection.execute(statement, values)

    @asynccontextmanager
    async def _borrow(self) -> AsyncGenerator[Tx]:
        """A connection whose server has not hung up.

        The pool's own `check` pauses a second and more between dead connections, so a pool of
        ten would refuse callers for long after its server is back.
        """
        deadline = monotonic() + _CHECKOUT_SECONDS
        while True:
            connection = await self._pool.getconn(max(0.0, deadline - monotonic()))
            if not _has_hung_up(connection):
                break
            await connection.close()
            await self._pool.putconn(connection)
        try:
            yield connection
        finally:
            await self._pool.putconn(connection)

    async def is_ready(self) -> bool:
        """Whether a statement can be run within two seconds."""
        try:
            async with asyncio.timeout(_READY_SECONDS), self.transaction(read_only=True) as tx:
                await tx.execute("SELECT 1")
        except (Unavailable, TimeoutError):
            return False
        return True


async def _prove(url: str) -> None:
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=_CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        raise Unavailable(f"Cannot connect to the database: {error}") from error
    except psycopg.ProgrammingError:
        # libpq's message repeats what it could not read, which may be a password.
        raise ValueError(
            "The database URL cannot be read; it looks like postgresql://USER:PASSWORD@HOST/NAME."
        ) from None
    await connection.close()


@asynccontextmanager
async def _unavailable_on_outage() -> AsyncGenerator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("No database connection became free in time; try again.") from error
    except PoolClosed as error:
        raise Unavailable("The server is shutting down.", retry_after=5) from error
    except psycopg.OperationalError as error:
        if error.sqlstate is not None and error.sqlstate[:2] not in _PASSING_CLASSES:
            raise
        raise Unavailable(_describe_outage(error)) from error
    except psycopg.InterfaceError as error:
        # What psycopg says to a statement on a connection that broke before it.
        if "closed" not in str(error) and "lost" not in str(error):
            raise
        raise Unavailable("The database connection was lost; try again.") from error


def _describe_outage(error: psycopg.OperationalError) -> str:
    """A sentence for clients: the kind of trouble, nothing of addresses or statements."""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "Another change holds what this one needs; try again."
    if isinstance(error, psycopg.errors.QueryCanceled):
        return "The database took too long to answer; try again."
    if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
        return "Another change came first; try again."
    if isinstance(error, psycopg.errors.DiskFull):
        return "The database has no space left."
    return "The database cannot be reached; try again."


async def _set_session(connection: Tx, limits: Timeouts) -> None:
    await connection.execute(
        "SELECT set_config('TimeZone', 'UTC', false),"
        " set_config('statement_timeout', %s, false),"
        " set_config('lock_timeout', %s, false),"
        " set_config('idle_in_transaction_session_timeout', %s, false)",
        (
            _milliseconds(limits.statement),
            _milliseconds(limits.lock),
            _milliseconds(limits.idle),
        ),
    )
    await connection.execute(_ACT_AS, {"role": SESSIONS_ROLE})


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _has_hung_up(connection: Tx) -> bool:
    """Whether a connection's server is gone, told without a round trip.

    An idle connection has nothing to read: what is readable is the end of the stream, or the
    word of a server that is shutting down. (Notices and parameter changes come with replies.)
    """
    if connection.closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
        return True
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))
