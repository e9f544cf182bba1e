"""A small pool of CPU worker processes for work that must not run in the event loop.

A child is a fresh interpreter (never a fork of ours), is killed with its parent, may not use more
address space than allowed, and is replaced when it dies. Standard output of the called function
goes to standard error.
"""

import asyncio
import contextlib
import os
import pickle
import signal
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, TypeVarTuple, cast

from gridmill.kit.process_child import LENGTH, RemoteFailure

__all__ = ["ProcessDied", "ProcessError", "ProcessPool", "ProcessTimedOut", "RemoteFailure"]

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

_START = (
    "import sys; sys.path[:] = {path!r}\n"
    "from gridmill.kit.process_child import main\n"
    "main({parent}, {memory}, {niceness})"
)
_ENVIRONMENT = {
    # One thread a child: pools of BLAS threads on busy cores are slower, and their stacks
    # would eat the address space that a memory limit leaves.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONUTF8": "1",
    "LANG": "C.UTF-8",
}


class ProcessError(Exception):
    """A call in a worker process that brought no result."""


class ProcessDied(ProcessError):
    """The child ended before it answered: `returncode` is negative for a signal's number."""

    def __init__(self, function: str, returncode: int | None) -> None:
        super().__init__(f"the process that ran {function} {_describe_end(returncode)}")
        self.function = function
        self.returncode = returncode

    @property
    def cpu_limit_reached(self) -> bool:
        """True when the kernel ended the child for using up its processor time."""
        return self.returncode == -signal.SIGXCPU


class ProcessTimedOut(ProcessError):
    """The call took longer than `seconds` and its child was killed."""

    def __init__(self, function: str, seconds: float) -> None:
        super().__init__(f"{function} took longer than {seconds:g} s and was stopped")
        self.function = function
        self.seconds = seconds


def _describe_end(returncode: int | None) -> str:
    if returncode is None:
        return "closed its pipe"
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    reason = {"SIGKILL": " (often: out of memory)", "SIGXCPU": " (processor time used up)"}
    return f"was killed by {name}{reason.get(name, '')}"


@dataclass
class _Slot:
    """One place in the pool: its child, when one runs, and who waits for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    child: asyncio.subprocess.Process | None = None
    calls: int = 0
    waiting: int = 0


class ProcessPool:
    """Runs importable functions in at most `size` child processes, one call a child at a time.

    Children start when first needed. `memory_bytes` limits each child's address space
    (RLIMIT_AS; 0: unlimited), beyond it the function sees MemoryError; `niceness` is added to
    the children's; `calls_per_child` replaces a child after so many calls (0: never).
    A pool belongs to the event loop that first calls `run`.
    """

    def __init__(
        self,
        size: int = 1,
        *,
        memory_bytes: int = 0,
        niceness: int = 5,
        calls_per_child: int = 0,
    ) -> None:
        if size < 1:
            raise ValueError("a pool has at least one process")
        self._slots = [_Slot() for _ in range(size)]
        self._memory_bytes = memory_bytes
        self._niceness = niceness
        self._calls_per_child = calls_per_child
        self._closed = False

    async def run(
        self,
        function: Callable[[*Arguments], Result],
        *arguments: *Arguments,
        seconds: float | None = None,
        cpu_seconds: float | None = None,
        key: str | None = None,
    ) -> Result:
        """Call `function(*arguments)` in a child and return its result.

        The function must be importable by name; arguments and result must pickle. Calls with the
        same `key` go to the same child, so that what it keeps in memory is found again.
        `seconds` is the wall time allowed from the call's start, `cpu_seconds` its processor
        time. Raises what the function raised (its traceback in a note), ProcessTimedOut,
        ProcessDied, or ProcessError when the pool is closed. A cancelled call kills its child.
        """
        call = pickle.dumps((function, arguments, cpu_seconds), pickle.HIGHEST_PROTOCOL)
        name = f"{function.__module__}.{function.__qualname__}"
        slot = self._pick(key)
        slot.waiting += 1
        try:
            async with slot.lock:
                succeeded, result = await self._run_in(slot, name, call, seconds)
        finally:
            slot.waiting -= 1
        if not succeeded:
            raise cast("BaseException", result)
        return cast("Result", result)

    @property
    def size(self) -> int:
        """How many children there may be at once."""
        return len(self._slots)

    def list_children(self) -> list[int]:
        """Return the process ids of the children that run now."""
        children = [slot.child for slot in self._slots]
        return [child.pid for child in children if child is not None and child.returncode is None]

    async def close(self) -> None:
        """Kill the children; calls that wait or run fail, later calls are refused."""
        self._closed = True
        for slot in self._slots:
            await _stop(slot)

    def _pick(self, key: str | None) -> _Slot:
        if key is not None:
            return self._slots[zlib.crc32(key.encode()) % len(self._slots)]
        return min(self._slots, key=lambda slot: (slot.waiting, slot.child is None))

    async def _run_in(
        self, slot: _Slot, name: str, call: bytes, seconds: float | None
    ) -> tuple[bool, object]:
        if self._closed:
            raise ProcessError("the process pool is closed")
        try:
            async with asyncio.timeout(seconds):
                child = await self._get_child(slot)
                return await _exchange(child, call)
        except TimeoutError:
            await _stop(slot)
            raise ProcessTimedOut(name, seconds or 0.0) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ProcessDied(name, await _stop(slot, patience=1.0)) from None
        except BaseException:
            await _stop(slot)
            raise

    async def _get_child(self, slot: _Slot) -> asyncio.subprocess.Process:
        worn_out = self._calls_per_child and slot.calls >= self._calls_per_child
        if slot.child is not None and (worn_out or slot.child.returncode is not None):
            await _stop(slot)
        if slot.child is None:
            slot.child = await self._start()
            slot.calls = 0
        slot.calls += 1
        return slot.child

    async def _start(self) -> asyncio.subprocess.Process:
        program = _START.format(
            path=sys.path, parent=os.getpid(), memory=self._memory_bytes, niceness=self._niceness
        )
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**_ENVIRONMENT, "TMPDIR": tempfile.gettempdir()},
        )


async def _exchange(child: asyncio.subprocess.Process, call: bytes) -> tuple[bool, object]:
    """Send one call and read its reply; the child is ours alone while the slot is locked."""
    calls, replies = child.stdin, child.stdout
    if calls is None or replies is None:
        raise ProcessError("the child process has no pipes")
    calls.write(LENGTH.pack(len(call)))
    calls.write(call)
    await calls.drain()
    head = await replies.readexactly(LENGTH.size)
    body = await replies.readexactly(LENGTH.unpack(head)[0])
    return cast("tuple[bool, object]", pickle.loads(body))  # noqa: S301 (from our own child)


async def _stop(slot: _Slot, patience: float = 0.0) -> int | None:
    """End the slot's child and return its exit code.

    `patience` is how many seconds a child that is ending by itself gets to do so, so that its own
    exit code is seen; without patience it is killed before anything is awaited.
    """
    child, slot.child = slot.child, None
    if child is None:
        return None
    if patience and child.returncode is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), patience)
    if child.returncode is None:
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    return await child.wait()
