"""Just enough HTTP/1.1 for a fake: kept connections, bodies by length, one call at a time each.

A web framework spends several times the CPU of the client under test, and on two cores that is
what a benchmark would then measure.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

_LARGEST_HEAD = 65_536
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Call:
    """A request: header names in lower case; `arrived` is on the monotonic clock, in seconds."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    arrived: float


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; `None` instead of one drops the connection."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Handler = Callable[[Call], Awaitable[Reply | None]]


class HttpConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, handler: Handler, open_connections: set["HttpConnection"]) -> None:
        self._handler = handler
        self._open = open_connections
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """See asyncio.Protocol: a client that left abandons its call."""
        self._open.discard(self)
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._received += data
        if self._task is None:
            self._read_call()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _read_call(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > _LARGEST_HEAD:
                self.abort()
            return
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (ln.partition(":") for ln in lines)
        }
        try:
            method, path, _ = first.split(" ", 2)
            size = int(headers.get("content-length", "0"))
        except ValueError:
            self.abort()
            return
        start = end + 4
        if len(self._received) < start + size:
            return
        body = bytes(self._received[start : start + size])
        del self._received[: start + size]
        call = Call(method, path.partition("?")[0], headers, body, time.monotonic())
        self._task = asyncio.create_task(self._serve(call))

    async def _serve(self, call: Call) -> None:
        reply = await self._handler(call)
        self._task = None
        if self._transport is None:
            return
        if reply is None:
            self.abort()
            return
        head = f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Fake')}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(reply.body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        self._transport.write(head.encode() + b"\r\n" + reply.body)
        if self._received:
            self._read_call()
