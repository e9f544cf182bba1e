"""The server under attack, on one port for its whole life, and how to hurt it."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psycopg

from benchmarks.support import children_of, command_of
from gridmill.storage.embedded.folder import DataFolder

_START_SECONDS = 90.0
_LONGEST_PAUSE_SECONDS = 10.0


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Cluster:
    """`gridmill serve` in a folder: its API, its worker and its PostgreSQL."""

    folder: Path
    environment: dict[str, str]
    port: int = field(default_factory=_find_free_port)
    process: "subprocess.Popen[bytes] | None" = None
    told: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        """Where the API listens, after every restart too."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """The admin key of the first start."""
        return (self.folder / "api-key").read_text().strip()

    def launch(self) -> None:
        """Start it without waiting."""
        clean = {n: v for n, v in os.environ.items() if not n.startswith("GRIDMILL_")}
        arguments = ["serve", "--port", str(self.port), "--data-dir", str(self.folder)]
        with (self.folder.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gridmill", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=clean | self.environment,
            )

    async def heal(self) -> None:
        """Everything up again: nothing paused, the API and the engine ready."""
        for pid in self._list_processes(""):
            _send(pid, signal.SIGCONT)
        deadline = time.monotonic() + _START_SECONDS
        async with httpx2.AsyncClient(timeout=5) as client:
            while time.monotonic() < deadline:
                self._restart_if_dead()
                with suppress(httpx2.HTTPError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)
        raise TimeoutError(f"not ready again: see {self.folder.parent / 'server.log'}")

    async def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            await asyncio.to_thread(self.process.wait, 40)

    async def hurt(self, dice: random.Random) -> None:
        """One fault, drawn by `dice`."""
        fault = dice.choice(
            (self._kill_worker, self._kill_api, self._kill_database, self._cut, self._pause)
        )
        self.told.append(f"{time.monotonic():.2f} {fault.__name__.lstrip('_')}")
        await fault(dice)

    async def _kill_worker(self, _: random.Random) -> None:
        for pid in self._list_processes("gridmill worker"):
            _send(pid, signal.SIGKILL)

    async def _kill_api(self, dice: random.Random) -> None:
        """The parent alone: its worker and its database have to notice by themselves."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        await asyncio.sleep(dice.random())
        self.launch()

    async def _kill_database(self, _: random.Random) -> None:
        with suppress(OSError, ValueError):
            file = self.folder / "postgres" / "postmaster.pid"
            _send(int(file.read_text().split("\n")[0]), signal.SIGKILL)

    async def _cut(self, _: random.Random) -> None:
        """Every connection of the database, in the middle of whatever runs on it."""
        url = DataFolder.at(self.folder).read_address()
        if url is None:
            return
        with suppress(psycopg.Error):
            connection = await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=2
            )
            async with connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )

    async def _pause(self, dice: random.Random) -> None:
        """The worker stands still, perhaps for longer than its lease, and then goes on."""
        pids = self._list_processes("gridmill worker")
        for pid in pids:
            _send(pid, signal.SIGSTOP)
        await asyncio.sleep(dice.random() * _LONGEST_PAUSE_SECONDS)
        for pid in pids:
            _send(pid, signal.SIGCONT)

    def _restart_if_dead(self) -> None:
        if self.process is None or self.process.poll() is not None:
            self.launch()

    def _list_processes(self, word: str) -> list[int]:
        if self.process is None or self.process.poll() is not None:
            return []
        found: list[int] = []
        with suppress(OSError):
            found = [pid for pid in children_of(self.process.pid) if word in command_of(pid)]
        return found


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
