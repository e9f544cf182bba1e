"""Imported by every Python of a server under test: ends its process at a numbered boundary.

The file that NEMESIS_COUNTDOWN names holds how many boundaries are still passed; whoever reaches
the last one removes the file and is killed by SIGKILL. Boundaries lie before and after every
commit, and before and after every call over HTTP.
"""

import os
import signal
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import aiohttp
from psycopg import AsyncCursor
from psycopg.pq import TransactionStatus
from psycopg.transaction import AsyncTransaction

_COMMIT = "_commit_gen"
_REQUEST = "_request"
_FILE = os.environ.get("NEMESIS_COUNTDOWN")


def pass_boundary(file: Path, place: str) -> None:
    """Count down; at the end, end this process."""
    try:
        left = int(file.read_text())
    except (OSError, ValueError):
        return
    if left > 0:
        file.write_text(str(left - 1))
        return
    file.unlink(missing_ok=True)
    file.with_suffix(".place").write_text(f"{place} in {' '.join(_read_command())}")
    os.kill(os.getpid(), signal.SIGKILL)


def _read_command() -> list[str]:
    line = Path("/proc/self/cmdline").read_bytes().decode().split("\0")
    return [word for word in line if word in {"serve", "worker", "-c"}]


def install(file: Path) -> None:
    """Put the boundaries into psycopg and aiohttp."""
    # Both are private to their libraries: there is no public place so close to the wire.
    commit: Callable[[Any], Generator[Any, Any, Any]] = getattr(AsyncTransaction, _COMMIT)

    def commit_gen(self: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401 - as psycopg has it
        pass_boundary(file, "before a commit")
        result = yield from commit(self)
        pass_boundary(file, "after a commit")
        return result

    setattr(AsyncTransaction, _COMMIT, commit_gen)

    execute: Callable[..., Awaitable[Any]] = AsyncCursor.execute

    async def execute_alone(self: Any, query: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        connection = self.connection
        is_alone = (
            connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE
        )
        changes = is_alone and _is_change(query)
        if changes:
            pass_boundary(file, "before a statement alone")
        result = await execute(self, query, *rest, **more)
        if changes:
            pass_boundary(file, "after a statement alone")
        return result

    AsyncCursor.execute = execute_alone

    request: Callable[..., Awaitable[Any]] = getattr(aiohttp.ClientSession, _REQUEST)

    async def call(self: Any, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401
        pass_boundary(file, "before a call")
        result = await request(self, *arguments, **more)
        pass_boundary(file, "after a call")
        return result

    setattr(aiohttp.ClientSession, _REQUEST, call)


def _is_change(query: object) -> bool:
    text = query if isinstance(query, str) else query.decode() if isinstance(query, bytes) else ""
    return any(word in text for word in ("INSERT", "UPDATE", "DELETE"))


if _FILE:
    install(Path(_FILE))
