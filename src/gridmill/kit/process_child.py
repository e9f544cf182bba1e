"""The child side of kit.processes: a loop that reads calls, runs them and writes the results.

Kept apart so that a child imports nothing but what the called function needs. Messages are an
8-byte big-endian length and a pickle. A call is `(function, arguments, cpu_seconds)`, a reply is
`(True, result)` or `(False, exception)`.
"""

import ctypes
import os
import pickle
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from typing import BinaryIO

LENGTH = struct.Struct(">Q")
PR_SET_PDEATHSIG = 1


class RemoteFailure(Exception):
    """Stands in for an exception of the called function that could not be pickled."""


def main(parent: int, memory_bytes: int, niceness: int) -> None:
    """Serve calls from standard input until it closes.

    `parent` is the id of the process that started this one; `memory_bytes` limits the address
    space (0: unlimited); `niceness` is added to the process's own.
    """
    die_with(parent)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    calls, replies = _take_pipes()
    while (message := read_message(calls)) is not None:
        _write_message(replies, _answer(message))


def read_message(stream: BinaryIO) -> bytes | None:
    """Read one message; None when the other side closed the pipe."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    length = LENGTH.unpack(head)[0]
    body = stream.read(length)
    return body if len(body) == length else None


def _write_message(stream: BinaryIO, body: bytes) -> None:
    stream.write(LENGTH.pack(len(body)))
    stream.write(body)
    stream.flush()


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process with its parent (elsewhere the closed pipe ends it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep both pipes to ourselves: what the function prints goes to standard error."""
    calls = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return calls, replies


def _answer(message: bytes) -> bytes:
    try:
        function, arguments, cpu_seconds = pickle.loads(message)  # noqa: S301 (from our parent)
        del message
        _limit_cpu(cpu_seconds)
        return pickle.dumps((True, _call(function, arguments)), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:  # noqa: BLE001 (whatever it was, the parent is told)
        return _pack_error(error)


def _call(function: Callable[..., object], arguments: tuple[object, ...]) -> object:
    return function(*arguments)


def _limit_cpu(seconds: float | None) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = resource.RLIM_INFINITY
    if seconds is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _pack_error(error: BaseException) -> bytes:
    text = "".join(traceback.format_exception(error))
    error.__traceback__ = None
    error.__cause__ = error.__context__ = None
    error.add_note("in a worker process:\n" + text)
    try:
        body = pickle.dumps((False, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(body)  # noqa: S301 (our own bytes: proves that the parent can read them)
    except Exception:  # noqa: BLE001 (an exception's own pickling may raise anything)
        body = pickle.dumps((False, RemoteFailure(text)), pickle.HIGHEST_PROTOCOL)
    return body
