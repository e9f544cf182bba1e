"""`gridmill serve`: database, API and worker as one thing that starts, runs and stops together."""

import asyncio
import errno
import signal
import socket
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from shlex import quote
from typing import Any, TypeVar

import typer
import uvicorn

from gridmill.api.app import create_app
from gridmill.api.protocol import HEAD_BYTES, Protocol
from gridmill.bootstrap.parts import ApiParts, open_api, prepare_database
from gridmill.cli.first_key import FILE_NAME, ensure_first_key
from gridmill.cli.running import CommandFailed
from gridmill.settings import Settings, make_child_environment
from gridmill.storage.embedded.server import EmbeddedPostgres
from gridmill.worker.supervisor import WorkerSupervisor

T = TypeVar("T")

_BACKLOG = 2048
# Of the 30 s that a stop may take: replies under way, the worker, the database.
_REPLY_SECONDS = 5
_WORKER_SECONDS = 22.0
_DATABASE_SECONDS = 5.0
_READY_POLL = 0.05


class _Stopped(Exception):
    """Told to stop before everything was up."""


async def serve(settings: Settings, *, with_worker: bool) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        CommandFailed: the port is taken.
        EmbeddedPostgresError, MigrationError: the database cannot be used.
    """
    stop = _listen_to_signals()
    with _bind(settings.host, settings.port) as listener:
        try:
            async with _open_database(settings, stop) as database_url:
                await _unless(stop, prepare_database(database_url))
                async with open_api(settings, database_url) as parts:
                    await _serve_api(
                        settings, parts, database_url, listener, stop, with_worker=with_worker
                    )
        except _Stopped:
            return


async def _serve_api(
    settings: Settings,
    parts: ApiParts,
    database_url: str,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    with_worker: bool,
) -> None:
    first_key = await ensure_first_key(parts.database, settings.data_dir)
    server = _Server(_make_config(parts))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http server")
    environment = make_child_environment(settings, database_url=database_url)
    worker = WorkerSupervisor(environment) if with_worker else None
    try:
        if worker is not None:
            worker.start()
        await _unless(stop, _wait_until_ready(server, parts))
        _announce(settings, listener, first_key)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
    finally:
        server.should_exit = True
        ending = [] if worker is None else [worker.stop(patience=_WORKER_SECONDS)]
        await asyncio.gather(serving, *ending)


def _make_config(parts: ApiParts) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(parts),
        http=Protocol,
        h11_max_incomplete_event_size=HEAD_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_REPLY_SECONDS,
    )


class _Server(uvicorn.Server):
    """Leaves the signals to us: the whole has to stop, not just the HTTP part."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def _open_database(settings: Settings, stop: asyncio.Event) -> AsyncGenerator[str]:
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    server = EmbeddedPostgres(settings.data_dir)
    url = await _unless(stop, server.start())
    try:
        yield url
    finally:
        await server.stop(patience=_DATABASE_SECONDS)


def _listen_to_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _unless(stop: asyncio.Event, step: Coroutine[Any, Any, T]) -> T:
    """What `step` gives; `_Stopped`, and the step cancelled, when told to stop meanwhile."""
    working, stopped = asyncio.create_task(step), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _Stopped
        return working.result()
    finally:
        for task in (working, stopped):
            task.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)


async def _wait_until_ready(server: uvicorn.Server, parts: ApiParts) -> None:
    while True:
        if server.started and all((await parts.readiness()).values()):
            return
        await asyncio.sleep(_READY_POLL)


@contextmanager
def _bind(host: str, port: int) -> Generator[socket.socket]:
    """A bound socket; taken before anything is started, so that a taken port costs no time."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise CommandFailed(f"{host} is no address to listen on: {error.strerror}.") from None
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandFailed(
                    f"Port {port} on {host} is in use. Choose another one with --port"
                    " (0 picks a free one)."
                ) from None
            raise CommandFailed(
                f"Cannot listen on {host}, port {port}: {error.strerror}."
            ) from None
        listener.setblocking(False)
        yield listener


def _announce(settings: Settings, listener: socket.socket, first_key: str | None) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if first_key is not None:
        file = settings.data_dir / FILE_NAME
        typer.echo(
            f"First start. Your admin key, shown this once and kept in {file}:\n\n"
            f"    {first_key}\n\n"
            "Try it:\n\n"
            f'    curl -H "Authorization: Bearer $(cat {quote(str(file))})" {url}/api/v2/datasets\n\n'
            f"The API is described at {url}/docs\n"
        )
    typer.echo(f"Gridmill is ready on {url}")
