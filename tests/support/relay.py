"""A fixed address for a server that comes and goes: a database that moves to another port."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress


class Relay:
    """Passes connections on to `target` (a port of this host); none, and they are refused."""

    def __init__(self) -> None:
        self.port = 0
        self.target: int | None = None

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.target is None:
            writer.transport.abort()
            return
        with suppress(OSError):
            behind = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(_copy(reader, behind[1]), _copy(behind[0], writer))
        writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def open_relay() -> AsyncGenerator[Relay]:
    """A relay on a free port."""
    relay = Relay()
    server = await asyncio.start_server(relay.pass_on, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
