"""A run from start to end: its database and worker around the job, and what a signal does."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gridmill.bootstrap.parts import open_api, open_worker, prepare_database
from gridmill.cli.running import CommandFailed
from gridmill.cli.table.folder import open_folder, remove_folder
from gridmill.cli.table.job import Job, TableJob, Unfinished
from gridmill.cli.table.order import Input, Order
from gridmill.cli.table.show import Show, summarise
from gridmill.datasources.errors import FileTooLarge
from gridmill.datasources.model import MAX_FILE_BYTES
from gridmill.engine.worker import Timings, run_worker
from gridmill.kit.errors import GridmillError, Unavailable
from gridmill.settings import Settings
from gridmill.storage.embedded.server import EmbeddedPostgres
from gridmill.tasks.model import Task

_CHUNK = 2**20


class Interrupted(Exception):
    """A signal ended the run; what is done is kept."""


@contextmanager
def read_input(name: str) -> Generator[Input]:
    """The file `name`; `-` is standard input, kept in a temporary file.

    Raises `CommandFailed` for a file that cannot be read and `FileTooLarge`.
    """
    if name == "-":
        with tempfile.NamedTemporaryFile(prefix="gridmill-run-") as file:
            size = 0
            while chunk := sys.stdin.buffer.read(_CHUNK):
                size += file.write(chunk)
                if size > MAX_FILE_BYTES:
                    raise FileTooLarge(MAX_FILE_BYTES)
            file.flush()
            yield Input(Path(file.name), "stdin")
        return
    path = Path(name)
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise CommandFailed(f"Cannot read {name}: {error.strerror}.") from None
    yield Input(path, path.name)


async def run_table(settings: Settings, source: Input, order: Order, show: Show) -> None:
    """Do the order with a database and a worker of its own; the result is written at the end.

    Raises:
        Interrupted: by SIGINT or SIGTERM; the same order goes on from there.
        CommandFailed, GridmillError, EmbeddedPostgresError: what stands in its way.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    key = await asyncio.to_thread(order.make_key, source)
    folder = open_folder(settings.data_dir, key)
    own = settings.model_copy(update={"data_dir": folder, "database_url": None})
    is_kept = True
    try:
        with show.working():
            show.step("starting")
            async with EmbeddedPostgres(folder) as server:
                job = Job(source, order, show)
                task = await _work(own, server.url, job, stop)
        is_kept = bool(task.cells.failed)
    except (CommandFailed, GridmillError) as error:
        is_kept = isinstance(error, (Unfinished, Unavailable))
        raise
    finally:
        if not is_kept:
            await asyncio.to_thread(remove_folder, folder)
    show.say(summarise(task))
    if is_kept:
        show.say("The same command again tries the failed ones once more.")


async def _work(settings: Settings, url: str, job: Job, stop: asyncio.Event) -> Task:
    await prepare_database(url)
    async with open_api(settings, url) as parts, open_worker(settings, url) as worker:
        end = asyncio.Event()
        timings = Timings(grace=settings.stop_seconds)
        working = asyncio.create_task(
            run_worker(url, worker.handlers, queues=worker.queues, stop=end, timings=timings)
        )
        doing = asyncio.create_task(TableJob(parts, job).do())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            if working.done():
                working.result()
            raise Interrupted
        finally:
            end.set()
            for task in (doing, stopped):
                task.cancel()
            await asyncio.gather(working, doing, stopped, return_exceptions=True)
