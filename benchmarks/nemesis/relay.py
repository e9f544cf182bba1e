"""A stretch of network that can fail: passes TCP connections on, refuses them, or holds them up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_HOST = "127.0.0.1"
_CHUNK = 65_536


@dataclass
class Relay:
    """A loopback port whose connections lead to `target`, another one."""

    target: int
    port: int = 0
    _is_refusing: bool = False
    _passing: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    def __post_init__(self) -> None:
        self._passing.set()

    async def refuse(self, seconds: float) -> None:
        """Break every connection off and take no other for so long."""
        self._is_refusing = True
        for writer in tuple(self._open):
            writer.transport.abort()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._is_refusing = False

    async def stall(self, seconds: float) -> None:
        """Keep connections open and let no byte through, either way, for so long."""
        self._passing.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._passing.set()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        if self._is_refusing:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            await self._passing.wait()
            with suppress(OSError):
                behind, sink = await asyncio.open_connection(_HOST, self.target)
                await asyncio.gather(self._copy(reader, sink), self._copy(behind, writer))
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Until either side ends; the other one is told."""
        try:
            while data := await source.read(_CHUNK):
                await self._passing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            sink.transport.abort()
        finally:
            sink.close()


@asynccontextmanager
async def relaying(target: int) -> AsyncGenerator[Relay]:
    """A relay to a loopback port, well until it is told otherwise."""
    relay = Relay(target)
    server = await asyncio.start_server(relay.pass_on, _HOST, 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.refuse(0)
