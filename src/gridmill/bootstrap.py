"""The only place where parts are made and wired: one factory for the API, one for a worker."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from gridmill.auth import service as auth
from gridmill.auth.model import Link
from gridmill.engine.port import Engine, HandlerSpec
from gridmill.engine.procrastinate_engine import ProcrastinateEngine, count_live_workers
from gridmill.engine.schema import install_engine_schema
from gridmill.kit.errors import Unavailable
from gridmill.kit.http import Download, Services
from gridmill.settings import Settings
from gridmill.storage.database import Database
from gridmill.storage.migrate import migrate

Opener: TypeAlias = Callable[[Database, Link], Awaitable[Download]]
"""Finds what a signed link names; raises its room's 404 when it is gone."""


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the API stands on."""

    services: Services
    database: Database
    secret: bytes
    readiness: Callable[[], Awaitable[Mapping[str, bool]]]
    openers: Mapping[str, Opener]


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker runs: handlers by job name, and how many jobs of each queue at once."""

    handlers: Mapping[str, HandlerSpec]
    queues: Mapping[str, int]


async def prepare_database(url: str) -> list[str]:
    """Bring the schema, the engine's too, to what this version needs; the migrations applied.

    Raises:
        MigrationError: the database cannot be used; the message says what to do.
        psycopg.OperationalError: it cannot be reached.
    """
    return await migrate(url, steps=(install_engine_schema,))


@asynccontextmanager
async def open_api(settings: Settings, database_url: str) -> AsyncGenerator[ApiParts]:
    """The API's parts over a prepared database; closed at exit."""
    database = await Database.open(
        database_url, max_size=settings.database_connections, name="gridmill api"
    )
    try:
        async with database.transaction() as tx:
            secret = await auth.load_secret(tx)
        engine = ProcrastinateEngine()
        services = Services(
            database=database,
            registry={Database: database, Engine: engine, Settings: settings},
            public_url=settings.public_url,
        )
        yield ApiParts(services, database, secret, _make_readiness(database), openers={})
    finally:
        await database.close()


@asynccontextmanager
async def open_worker(settings: Settings, database_url: str) -> AsyncGenerator[WorkerParts]:
    """A worker's parts over a prepared database; closed at exit."""
    database = await Database.open(
        database_url, max_size=settings.database_connections, name="gridmill worker"
    )
    try:
        yield WorkerParts(
            handlers={}, queues={"default": 2, "batches": settings.worker_concurrency}
        )
    finally:
        await database.close()


@asynccontextmanager
async def open_database(url: str) -> AsyncGenerator[Database]:
    """A small pool for one command."""
    database = await Database.open(url, max_size=2, name="gridmill command")
    try:
        yield database
    finally:
        await database.close()


def _make_readiness(
    database: Database,
) -> Callable[[], Awaitable[Mapping[str, bool]]]:
    async def ask() -> Mapping[str, bool]:
        return {"database": await database.is_ready(), "engine": await is_engine_ready()}

    async def is_engine_ready() -> bool:
        try:
            async with database.transaction(read_only=True) as tx:
                await count_live_workers(tx)
        except Unavailable:
            return False
        return True

    return ask
