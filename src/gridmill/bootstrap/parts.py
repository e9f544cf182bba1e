"""The only place where parts are made and wired: one factory for the API, one for a worker."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from psycopg.conninfo import conninfo_to_dict

from gridmill.auth import service as auth
from gridmill.auth.model import Link, Principal
from gridmill.bootstrap.models import check_name, make_gateway
from gridmill.datasets import jobs as dataset_jobs
from gridmill.datasets import service as datasets
from gridmill.datasets.exporting import LINK_KIND as EXPORT_LINK
from gridmill.datasets.model import DatasetLimits, DatasetType, TaskType
from gridmill.datasources import jobs as datasource_jobs
from gridmill.datasources import service as datasources
from gridmill.datasources.model import SourceLimits
from gridmill.datasources.previewing import Previewer
from gridmill.engine.answers import PostgresAnswers
from gridmill.engine.port import Engine, HandlerSpec
from gridmill.engine.procrastinate_engine import ProcrastinateEngine, count_live_workers
from gridmill.engine.schema import install_engine_schema
from gridmill.kit.egress import AddressRules, Egress
from gridmill.kit.errors import Unavailable
from gridmill.kit.http import Download, Services
from gridmill.kit.http.idempotency import Claims
from gridmill.kit.meters import CONNECTIONS
from gridmill.kit.processes import ProcessPool
from gridmill.kit.secrets import SECRETS
from gridmill.kit.traces import export_traces
from gridmill.operations.enrichment.service import Enrichment
from gridmill.operations.extraction.service import Extraction
from gridmill.operations.map_extraction.service import MapExtraction
from gridmill.settings import Settings
from gridmill.storage.database import Database, Tx
from gridmill.storage.idempotency import PostgresClaims
from gridmill.storage.migrate import migrate
from gridmill.storage.row_security import describe_unbound, find_unbound_role
from gridmill.tasks import jobs as task_jobs
from gridmill.tasks.gauges import Gauges, read_gauges
from gridmill.tasks.model import Operations, TaskLimits
from gridmill.webhooks import jobs as webhook_jobs
from gridmill.webhooks.events import QUEUE as WEBHOOK_QUEUE

_log = structlog.stdlib.get_logger("gridmill")

# Imports and plans are few and long; batches are many and short.
_DEFAULT_SLOTS = 2
# A parser is given a hostile file: it gets a fresh process, and no more memory than this.
_PARSERS = 2
_PARSER_BYTES = 2 * 2**30
# 300 columns of 5,000 rows, the most that is learnt from, were fitted in 0.8 GB resident; address
# space is what is limited, and the numeric libraries reserve more of it than they touch.
_LEARNER_BYTES = 4 * 2**30
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
    read_gauges: Callable[[], Awaitable[Gauges]]
    rate_limit: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker runs: handlers by job name, and how many jobs of each queue at once.

    `watch` looks after what jobs left behind, until it is cancelled.
    """

    handlers: Mapping[str, HandlerSpec]
    queues: Mapping[str, int]
    watch: Callable[[], Coroutine[Any, Any, None]]


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
    parsers = _make_parsers()
    async with _open_core(settings, database_url, "gridmill api") as core, _closing(parsers.close):
        database = core.database
        async with database.transaction() as tx:
            secret = await auth.load_secret(tx)
        services = Services(
            database=database,
            registry={
                Database: database,
                Engine: core.engine,
                AddressRules: settings.address_rules,
                auth.DatasetFinder: _find_dataset,
                Operations: core.operations,
                DatasetLimits: _dataset_limits(settings),
                SourceLimits: SourceLimits(settings.quota_bytes),
                Previewer: Previewer(parsers),
                Claims: PostgresClaims(),
                TaskLimits: TaskLimits(settings.quota_open_tasks, settings.quota_tokens_per_month),
            },
            public_url=settings.public_url,
        )
        openers = {
            datasources.LINK_KIND: datasources.open_download,
            EXPORT_LINK: datasets.open_export,
        }
        yield ApiParts(
            services,
            database,
            secret,
            _make_readiness(database),
            openers,
            lambda: _read_gauges(database),
            settings.rate_limit,
        )


@asynccontextmanager
async def open_worker(settings: Settings, database_url: str) -> AsyncGenerator[WorkerParts]:
    """A worker's parts over a prepared database; closed at exit."""
    egress = Egress(settings.address_rules)
    parsers = _make_parsers()
    async with (
        # A task's first batches start together: none of them waits for a connection to be made.
        _open_core(
            settings,
            database_url,
            "gridmill worker",
            ready_connections=settings.worker_concurrency + _DEFAULT_SLOTS,
        ) as core,
        _closing(parsers.close),
        _closing(egress.close),
    ):
        database, engine = core.database, core.engine
        yield WorkerParts(
            handlers={
                **webhook_jobs.handlers(database, engine, egress),
                **datasource_jobs.handlers(database, engine, parsers),
                **dataset_jobs.handlers(database, _dataset_limits(settings)),
                **task_jobs.handlers(database, engine, core.operations, _dataset_limits(settings)),
            },
            queues={
                "default": _DEFAULT_SLOTS,
                "batches": settings.worker_concurrency,
                WEBHOOK_QUEUE: webhook_jobs.SLOTS,
            },
            watch=lambda: _watch(database, engine, settings.llm_answer_days),
        )


async def _watch(database: Database, engine: Engine, answer_days: int) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(task_jobs.watch(database, engine))
        group.create_task(webhook_jobs.sweep(database))
        group.create_task(PostgresAnswers(database).forget_old(timedelta(days=answer_days)))


@dataclass(frozen=True, slots=True)
class _Core:
    """What the API and a worker have in common."""

    database: Database
    engine: Engine
    operations: Operations


@asynccontextmanager
async def _open_core(
    settings: Settings, database_url: str, name: str, *, ready_connections: int = 1
) -> AsyncGenerator[_Core]:
    _hide_secrets(settings, database_url)
    async with AsyncExitStack() as stack:
        service = name.replace(" ", "-")
        await stack.enter_async_context(export_traces(settings.otlp_endpoint, service))
        most = settings.database_connections
        database = await Database.open(
            database_url, min_size=min(ready_connections, most), max_size=most, name=name
        )
        stack.push_async_callback(database.close)
        _watch_pool(database)
        await _warn_of_open_barrier(database)
        gateway = make_gateway(settings, database)
        if gateway is not None:
            stack.push_async_callback(gateway.close)
        # Its children start when a learner is first asked, so the API never has one.
        learners = ProcessPool(
            settings.worker_processes or max(1, (os.cpu_count() or 2) - 1),
            memory_bytes=_LEARNER_BYTES,
        )
        stack.push_async_callback(learners.close)
        maps = MapExtraction(learners)
        extraction = Extraction(gateway, learners)
        operations = Operations(
            {
                TaskType.ENRICHMENT: Enrichment(gateway, learners),
                TaskType.EXTRACTION: extraction,
                TaskType.MAP: maps,
            },
            check_model=lambda model: check_name(gateway, model),
            warm_up=lambda: None if gateway is None else gateway.warm_up(),
            makers={DatasetType.EXTRACTION: extraction, DatasetType.MAP: maps},
        )
        yield _Core(database, ProcrastinateEngine(), operations)


def _watch_pool(database: Database) -> None:
    CONNECTIONS.labels("in_use").set_function(lambda: database.use.in_use)
    CONNECTIONS.labels("idle").set_function(lambda: database.use.idle)
    CONNECTIONS.labels("waiting").set_function(lambda: database.use.waiting)


async def _warn_of_open_barrier(database: Database) -> None:
    async with database.transaction(read_only=True) as tx:
        role = await find_unbound_role(tx)
    if role is not None:
        _log.warning("row security binds no statement", reason=describe_unbound(role))


def _hide_secrets(settings: Settings, database_url: str) -> None:
    """Make known to the logs what this process must never say."""
    key = settings.llm_api_key
    password = conninfo_to_dict(database_url).get("password")
    SECRETS.learn(
        (
            None if key is None else key.get_secret_value(),
            database_url,
            None if password is None else str(password),
        )
    )


async def _find_dataset(tx: Tx, principal: Principal, dataset_id: str) -> UUID:
    return (await datasets.get_dataset(tx, principal, dataset_id)).dataset_id


def _make_parsers() -> ProcessPool:
    """The processes that read files, which start when a file is there."""
    return ProcessPool(_PARSERS, memory_bytes=_PARSER_BYTES, calls_per_child=1)


def _dataset_limits(settings: Settings) -> DatasetLimits:
    return DatasetLimits(rows=settings.quota_rows)


@asynccontextmanager
async def _closing(close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await close()


@asynccontextmanager
async def open_database(url: str) -> AsyncGenerator[Database]:
    """A small pool for one command."""
    database = await Database.open(url, max_size=2, name="gridmill command")
    try:
        yield database
    finally:
        await database.close()


async def _read_gauges(database: Database) -> Gauges:
    async with database.transaction(read_only=True, statement_timeout=2.0) as tx:
        return await read_gauges(tx)


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
