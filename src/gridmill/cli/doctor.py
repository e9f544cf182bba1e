"""`gridmill doctor`: looks at everything a server needs and says what to do about what is amiss."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg

from gridmill.bootstrap.models import check_model, make_local_server
from gridmill.bootstrap.parts import open_database
from gridmill.engine.gauges import read_queues
from gridmill.engine.procrastinate_engine import count_live_workers
from gridmill.kit.errors import Unavailable
from gridmill.providers.local.errors import LocalModelError
from gridmill.providers.local.memory import read_available
from gridmill.providers.local.speed import measure_speed
from gridmill.providers.local.weights import RELEASES, choose_installed, hash_file
from gridmill.settings import Settings
from gridmill.storage.clock import ask_time
from gridmill.storage.embedded.server import find_running
from gridmill.storage.migrate import MigrationError, find_missing
from gridmill.storage.row_security import describe_unbound, find_unbound_role

_LEAST_DISK = 2**30
_LEAST_MEMORY = 2**30
_SLOW_SECONDS = 0.02
# Standard Webhooks' libraries refuse a timestamp that is 5 minutes off.
_CLOCK_WARNS = 5.0
_CLOCK_FAILS = 240.0
_OLD_SECONDS = 300.0


class Mark(StrEnum):
    """How a check went; a `fail` keeps a server from its work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do."""

    mark: Mark
    subject: str
    text: str


async def examine(settings: Settings, *, ask: bool) -> AsyncGenerator[Finding]:
    """Every check in turn; `ask` sends the configured model one tiny request, which may cost."""
    yield _check_python()
    yield _check_folder(settings.data_dir)
    yield _check_memory()
    url = await _find_database(settings)
    if isinstance(url, Finding):
        yield url
    else:
        yield await _guard("database", lambda: _check_schema(url))
        yield await _guard("row security", lambda: _check_row_security(url))
        yield await _guard("latency", lambda: _check_latency(url))
        yield await _guard("clock", lambda: _check_clock(url))
        yield await _guard("workers", lambda: _check_workers(url))
        yield await _guard("queue", lambda: _check_queues(url))
    yield await _guard("model", lambda: _check_model(settings, ask=ask))
    async for finding in _check_local(settings):
        yield finding


async def _guard(subject: str, check: Callable[[], Coroutine[Any, Any, Finding]]) -> Finding:
    try:
        return await check()
    except (psycopg.Error, MigrationError, Unavailable, OSError) as error:
        return Finding(Mark.FAIL, subject, f"{error}".strip().splitlines()[0])


def _check_python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info < (3, 15):
        return Finding(Mark.OK, "python", version)
    return Finding(Mark.FAIL, "python", f"{version}; Gridmill needs 3.11 to 3.14")


def _check_folder(folder: Path) -> Finding:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(
            Mark.FAIL, "data folder", f"{folder} cannot be written: name another with --data-dir"
        )
    free = shutil.disk_usage(there).free
    text = f"{folder}, {free >> 20} MiB free"
    if free < _LEAST_DISK:
        return Finding(Mark.WARN, "data folder", f"{text}: make room before data comes in")
    return Finding(Mark.OK, "data folder", text)


def _check_memory() -> Finding:
    free = read_available()
    if free is None:
        return Finding(Mark.WARN, "memory", "this system does not say how much is free")
    if free < _LEAST_MEMORY:
        return Finding(Mark.WARN, "memory", f"{free >> 20} MiB free: learners may run short")
    return Finding(Mark.OK, "memory", f"{free >> 20} MiB free")


async def _find_database(settings: Settings) -> str | Finding:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    url = await find_running(settings.data_dir)
    if url is None:
        text = f"no server runs in {settings.data_dir}: start one with gridmill serve"
        return Finding(Mark.WARN, "database", text)
    return url


async def _check_schema(url: str) -> Finding:
    version, missing = await find_missing(url)
    if missing:
        text = f"PostgreSQL {version}, {len(missing)} migrations missing: start gridmill serve"
        return Finding(Mark.FAIL, "database", text)
    return Finding(Mark.OK, "database", f"PostgreSQL {version}, schema up to date")


async def _check_row_security(url: str) -> Finding:
    async with open_database(url) as database, database.transaction(read_only=True) as tx:
        role = await find_unbound_role(tx)
    if role is not None:
        return Finding(Mark.WARN, "row security", describe_unbound(role))
    return Finding(Mark.OK, "row security", "binds every statement of a request")


async def _check_latency(url: str) -> Finding:
    async with open_database(url) as database, database.transaction(read_only=True) as tx:
        _, best = await ask_time(tx)
    text = f"{best * 1000:.1f} ms to the database and back"
    if best > _SLOW_SECONDS:
        return Finding(Mark.WARN, "latency", f"{text}: put servers and database closer together")
    return Finding(Mark.OK, "latency", text)


async def _check_clock(url: str) -> Finding:
    async with open_database(url) as database, database.transaction(read_only=True) as tx:
        off, _ = await ask_time(tx)
    text = f"{abs(off):.1f} s off the database's"
    if abs(off) > _CLOCK_FAILS:
        return Finding(Mark.FAIL, "clock", f"{text}: webhooks' receivers refuse that; set up NTP")
    if abs(off) > _CLOCK_WARNS:
        return Finding(Mark.WARN, "clock", f"{text}: set up NTP")
    return Finding(Mark.OK, "clock", text)


async def _check_queues(url: str) -> Finding:
    async with open_database(url) as database, database.transaction(read_only=True) as tx:
        queues = await read_queues(tx)
    waiting = {name: queue for name, queue in queues.items() if queue.waiting}
    if not waiting:
        return Finding(Mark.OK, "queue", "no job waits")
    text = ", ".join(
        f"{name}: {queue.waiting} wait, the oldest for {queue.oldest_seconds:.0f} s"
        for name, queue in sorted(waiting.items())
    )
    if max(queue.oldest_seconds for queue in waiting.values()) > _OLD_SECONDS:
        return Finding(Mark.WARN, "queue", f"{text}; add workers, or look at their log")
    return Finding(Mark.OK, "queue", text)


async def _check_workers(url: str) -> Finding:
    async with open_database(url) as database, database.transaction(read_only=True) as tx:
        count = await count_live_workers(tx)
    if count:
        return Finding(Mark.OK, "workers", f"{count} alive")
    return Finding(Mark.FAIL, "workers", "none alive: run gridmill worker")


async def _check_model(settings: Settings, *, ask: bool) -> Finding:
    if settings.llm_model is None or settings.llm_provider == "local":
        return Finding(Mark.OK, "model", "none configured, the embedded layers work")
    name = f"{settings.llm_provider}/{settings.llm_model}"
    if not ask:
        return Finding(Mark.OK, "model", f"{name}, not asked (--ask sends one tiny request)")
    problem = await check_model(settings)
    if problem is None:
        return Finding(Mark.OK, "model", f"{name} answers")
    return Finding(Mark.FAIL, "model", f"{name}: {problem}")


async def _check_local(settings: Settings) -> AsyncGenerator[Finding]:
    try:
        model = choose_installed(
            settings.models_dir,
            settings.llm_model if settings.llm_provider == "local" else None,
        )
    except LocalModelError as error:
        asked_for = settings.llm_provider == "local"
        yield Finding(Mark.FAIL if asked_for else Mark.WARN, "local model", str(error))
        return
    known = {release.name: release.sha256 for release in RELEASES}
    digest = await asyncio.to_thread(hash_file, model.path)
    if digest != known.get(model.name, model.sha256):
        text = f"{model.path} is not what was installed: gridmill models install {model.name}"
        yield Finding(Mark.FAIL, "local weights", text)
        return
    yield Finding(Mark.OK, "local weights", f"{model.name}, {model.size >> 20} MiB, SHA-256 right")
    server = make_local_server(settings, model)
    try:
        speed = await measure_speed(server)
        text = f"reads {speed.read:.0f} and writes {speed.written:.0f} tokens a second"
        yield Finding(Mark.OK, "local model", text)
    except (LocalModelError, OSError) as error:
        yield Finding(Mark.FAIL, "local model", str(error))
    finally:
        await server.close()
