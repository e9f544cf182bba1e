"""The server under attack: an API with its worker, on one port for its whole life, and a database."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psycopg
from yarl import URL

from benchmarks.nemesis.relay import Relay, relaying
from benchmarks.support import children_of, command_of
from gridmill.storage.embedded.server import EmbeddedPostgres

_START_SECONDS = 240.0


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Cluster:
    """`gridmill serve` in a folder, and a PostgreSQL that it reaches over a relay."""

    folder: Path
    environment: dict[str, str]
    database: EmbeddedPostgres
    to_database: Relay
    port: int = field(default_factory=_find_free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where the API listens, after every restart too."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """The admin key of the first start."""
        return (self.folder / "data" / "api-key").read_text().strip()

    def launch(self) -> None:
        """Start it without waiting."""
        clean = {n: v for n, v in os.environ.items() if not n.startswith("GRIDMILL_")}
        address = URL(self.database.url).with_port(self.to_database.port)
        own = {"GRIDMILL_DATABASE_URL": str(address), "GRIDMILL_MODELS_DIR": "/nowhere"}
        arguments = ["serve", "--port", str(self.port), "--data-dir", str(self.folder / "data")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gridmill", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=clean | own | self.environment,
            )

    async def heal(self) -> None:
        """Everything up again: the API and the engine ready.

        Raises `TimeoutError` when they do not come back.
        """
        deadline = time.monotonic() + _START_SECONDS
        async with httpx2.AsyncClient(timeout=5) as client:
            while time.monotonic() < deadline:
                if self.process is None or self.process.poll() is not None:
                    self.launch()
                with suppress(httpx2.HTTPError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)
        raise TimeoutError(f"not ready again: see {self.folder / 'server.log'}")

    async def keep_up(self) -> None:
        """Start it again when it ended by itself, as an operator's service manager does."""
        while True:
            if self.process is not None and self.process.poll() is not None:
                self.launch()
            await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            await asyncio.to_thread(self.process.wait, 40)

    async def kill_worker(self) -> None:
        """SIGKILL; the API starts another one."""
        for pid in self._list_workers():
            _send(pid, signal.SIGKILL)

    async def kill_api(self) -> None:
        """The parent alone: its worker has to notice by itself."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        self.launch()

    async def kill_database(self) -> None:
        """SIGKILL to the postmaster; our supervisor starts it again."""
        with suppress(OSError, ValueError):
            _send(self._read_postmaster(), signal.SIGKILL)

    async def drop_sessions(self) -> None:
        """End every session of the database, in the middle of whatever runs on it."""
        with suppress(psycopg.Error):
            connection = await psycopg.AsyncConnection.connect(
                self.database.url, autocommit=True, connect_timeout=2
            )
            async with connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )

    async def pause_worker(self, seconds: float) -> None:
        """The worker stands still, perhaps for longer than its lease, and then goes on."""
        await _pause(self._list_workers(), seconds)

    async def pause_api(self, seconds: float) -> None:
        """The API stands still: what clients repeat meanwhile, it finds all at once."""
        if self.process is not None and self.process.poll() is None:
            await _pause([self.process.pid], seconds)

    async def pause_database(self, seconds: float) -> None:
        """PostgreSQL stands still as a whole, in the middle of commits."""
        with suppress(OSError, ValueError):
            postmaster = self._read_postmaster()
            await _pause([postmaster, *children_of(postmaster)], seconds)

    def _read_postmaster(self) -> int:
        file = self.folder / "database" / "postgres" / "postmaster.pid"
        return int(file.read_text().split("\n")[0])

    def _list_workers(self) -> list[int]:
        if self.process is None or self.process.poll() is not None:
            return []
        found: list[int] = []
        with suppress(OSError):
            pids = children_of(self.process.pid)
            found = [pid for pid in pids if "gridmill worker" in command_of(pid)]
        return found


@asynccontextmanager
async def running_cluster(
    folder: Path, environment: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> AsyncGenerator[Cluster]:
    """A server that is up; `settings` are PostgreSQL's, in place of ours."""
    async with EmbeddedPostgres(folder / "database", settings=settings) as database:
        port = URL(database.url).port
        if port is None:
            raise ValueError("the database has no port")
        async with relaying(port) as relay:
            cluster = Cluster(folder, dict(environment), database, relay)
            try:
                await cluster.heal()
                yield cluster
            finally:
                await cluster.stop()


async def _pause(pids: list[int], seconds: float) -> None:
    try:
        for pid in pids:
            _send(pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
    finally:
        for pid in pids:
            _send(pid, signal.SIGCONT)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
