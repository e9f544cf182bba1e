"""A worker's life: prepare the database, work, stop when told to."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
import structlog

from gridmill.bootstrap.parts import open_worker, prepare_database
from gridmill.engine.worker import Timings, run_worker
from gridmill.kit.errors import Unavailable
from gridmill.settings import Settings
from gridmill.worker.metrics import show_metrics

T = TypeVar("T")

_log = structlog.stdlib.get_logger("gridmill.worker")

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_HAND_BACK_SECONDS = 4.0
# The promise is 30 s: whatever still hangs then (a thread that blocks) is left behind.
_LAST_RESORT_SECONDS = 27.0


async def work(settings: Settings, database_url: str) -> None:
    """Run jobs until SIGTERM or SIGINT: then finish what ends soon, hand back the rest.

    A database that is away, at the start or later, is waited for.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        if not stop.is_set():
            stop.set()
            _leave_at_last(_LAST_RESORT_SECONDS)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)

    async def prepare() -> bool:
        await prepare_database(database_url)
        return True

    if await _until_reachable(prepare, stop):
        with show_metrics(settings.worker_metrics_host, settings.worker_metrics_port):
            await _work(settings, database_url, stop)


async def _work(settings: Settings, database_url: str, stop: asyncio.Event) -> None:
    timings = Timings(grace=settings.stop_seconds, hand_back=_HAND_BACK_SECONDS)
    async with open_worker(settings, database_url) as parts:
        # What was imported stays to the end: the collector need not look through it again and
        # again, at some 50 ms a time in the middle of model calls.
        gc.collect()
        gc.freeze()
        watch = asyncio.create_task(parts.watch(), name="watch")
        try:
            await run_worker(
                database_url, parts.handlers, queues=parts.queues, stop=stop, timings=timings
            )
        finally:
            if watch.done() and not watch.cancelled() and watch.exception() is not None:
                _log.error("the watch ended", error=repr(watch.exception()))
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


async def _until_reachable(step: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T | None:
    """What `step` gives once the database answers, or `None` when told to stop before."""
    pause = _FIRST_PAUSE
    while not stop.is_set():
        try:
            return await step()
        except (psycopg.OperationalError, Unavailable) as error:
            _log.warning("database away, trying again", error=str(error), seconds=pause)
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            pause = min(pause * 2, _LONGEST_PAUSE)
    return None


def _leave_at_last(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()
