"""The one llama.cpp child of a machine and data folder: found or started, shared, started again.

A file lock says whether a child lives: the child itself holds it, so that it is free the moment
the child is gone, however it went. Who gets the lock starts a child and writes its address and key
beside it for the other workers of this user.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from gridmill.providers.local.child import Orders
from gridmill.providers.local.errors import BadWeights, NoRoom, ServerDown
from gridmill.providers.local.gguf import read_head
from gridmill.providers.local.memory import read_available

CONTEXT = 8192
IDLE_SECONDS = 300.0
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_HEALTH_SECONDS = 5.0
_OVERHEAD = 256 * 2**20
"""Memory beside weights and cache, measured with the 0.5B: 0.65 GB resident in all."""
_SHORTEST_WAIT, _LONGEST_WAIT = 1.0, 60.0
# Nothing of ours: keys of other providers are no business of the child's.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "LANG": "C.UTF-8"}


class Address(msgspec.Struct, frozen=True):
    """Where the child listens (loopback only), the key it wants, and its process id."""

    url: str
    key: str = field()
    pid: int = 0

    def __repr__(self) -> str:
        return f"Address({self.url!r}, pid={self.pid})"


@dataclass(slots=True)
class _Failures:
    """Starts that failed in a row, and when the next may be tried."""

    count: int = 0
    next_at: float = 0.0

    def note(self) -> float:
        wait = min(_LONGEST_WAIT, _SHORTEST_WAIT * 2**self.count)
        self.count += 1
        self.next_at = time.monotonic() + wait
        return wait


class LocalServer:
    """Serves one GGUF file. `runtime` is a folder of this user's, shared by those who share the child.

    `available` tells the bytes of memory that can be had (`None`: unknown, then nothing is refused).
    """

    def __init__(
        self,
        model: Path,
        runtime: Path,
        *,
        context: int = CONTEXT,
        threads: int | None = None,
        idle_seconds: float = IDLE_SECONDS,
        available: Callable[[], int | None] = read_available,
    ) -> None:
        self.model = model
        self._runtime = runtime
        self._context = context
        self._threads = threads or max(1, (os.cpu_count() or 2) - 1)
        self._idle_seconds = idle_seconds
        self._available = available
        self._address: Address | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._failures = _Failures()
        self._entry = asyncio.Lock()

    async def reach(self) -> Address:
        """The address of a child that has its weights loaded.

        Raises:
            BadWeights: the file is no GGUF.
            NoRoom: there is not enough memory.
            ServerDown: the child ended or did not answer; try again after its `wait`.
        """
        async with self._entry:
            if self._address is None:
                self._address = await self._find_or_start()
            return self._address

    def forget(self, address: Address) -> None:
        """Look again at the next `reach`: nobody answered there."""
        if self._address == address:
            self._address = None

    async def close(self) -> None:
        """End the child if it is ours. Others who used it start one of their own."""
        self._address = None
        child, self._child = self._child, None
        if child is not None:
            await _end(child)

    async def _find_or_start(self) -> Address:
        self._runtime.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            lock = _try_lock(self._runtime / "lock")
            if lock is not None:
                with lock:
                    return await self._start(lock.fileno())
            # A child that is ending holds its lock a moment longer than its port.
            address = self._read_address()
            if address is not None and await _is_healthy(address):
                return address
            await asyncio.sleep(_LOOK_SECONDS)
        raise ServerDown("The local model did not start in time.", self._failures.note())

    def _read_address(self) -> Address | None:
        try:
            return msgspec.json.decode((self._runtime / "address").read_bytes(), type=Address)
        except (OSError, msgspec.DecodeError):
            return None

    async def _start(self, lock: int) -> Address:
        (self._runtime / "address").unlink(missing_ok=True)
        wait = self._failures.next_at - time.monotonic()
        if wait > 0:
            raise ServerDown("The local model failed to start a moment ago.", wait)
        head = read_head(self.model)
        context = min(self._context, head.context or self._context)
        needed = head.count_memory(context) + _OVERHEAD
        free = self._available()
        if free is not None and free < needed:
            raise NoRoom(
                f"The local model {self.model.stem} needs {needed >> 20} MiB of memory and"
                f" {free >> 20} MiB are available. Free some, or choose a smaller model."
            )
        key = secrets.token_urlsafe(24)
        orders = Orders(
            parent=os.getpid(),
            model=str(self.model),
            name=self.model.stem,
            key=key,
            threads=self._threads,
            context=context,
            memory=needed,
            idle_seconds=self._idle_seconds,
        )
        with (self._runtime / "log").open("wb") as log:
            child = self._child = await _launch(orders, lock, log)
        address = Address(await self._await_url(child), key, child.pid)
        _write_private(self._runtime / "address", msgspec.json.encode(address))
        self._failures = _Failures()
        return address

    async def _await_url(self, child: asyncio.subprocess.Process) -> str:
        line = b""
        try:
            if child.stdout is not None:
                line = await asyncio.wait_for(child.stdout.readline(), _START_SECONDS)
        except TimeoutError:
            pass
        finally:
            # Cancelled, late or broken: no child is left that nobody knows of.
            if not line.startswith(b"http"):
                await _end(child)
        if line.startswith(b"http"):
            return line.decode().strip()
        raise self._explain_end(child.returncode)

    def _explain_end(self, code: int | None) -> BadWeights | ServerDown:
        wait = self._failures.note()
        words = (self._runtime / "log").read_text(errors="replace")[-4000:]
        if "failed to load model" in words:
            return BadWeights(
                f"llama.cpp cannot load {self.model}. Install the weights again, or other ones:"
                " gridmill models list"
            )
        last = (words.strip().splitlines() or [""])[-1][:200]
        return ServerDown(f"The local model ended with code {code} as it started: {last}", wait)


async def _launch(orders: Orders, lock: int, log: BinaryIO) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gridmill.providers.local.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        pass_fds=(lock,),
        env=_ENVIRONMENT,
        start_new_session=True,
    )
    if child.stdin is not None:
        with contextlib.suppress(ConnectionError):
            child.stdin.write(msgspec.json.encode(orders) + b"\n")
            await child.stdin.drain()
    return child


async def _is_healthy(address: Address) -> bool:
    """Whether it answers. A port alone says nothing: the kernel closes a killed child's late."""
    host, _, port = address.url.removeprefix("http://").rpartition(":")
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(b"GET /health HTTP/1.0\r\n\r\n")
                await writer.drain()
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False


async def _end(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    await child.wait()


def _try_lock(path: Path) -> BinaryIO | None:
    """The open, locked file; `None` while another holds it. The lock is the open file's, not ours."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _write_private(path: Path, content: bytes) -> None:
    half = path.with_suffix(".partial")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
    half.replace(path)
