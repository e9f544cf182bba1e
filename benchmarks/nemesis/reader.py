"""Reads from a server that may still be healing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2

from benchmarks.nemesis.record import Json

_ANSWER_SECONDS = 180.0


@dataclass(frozen=True)
class Reader:
    """GETs that are repeated until they are answered."""

    client: httpx2.AsyncClient

    async def get(self, path: str, **params: str | int) -> Json:
        """The answer, which must be a success; waits three minutes for it."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                reply = await self.client.get(path, params=params)
            except httpx2.HTTPError:
                # The last fault may still be healing.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
                continue
            if reply.status_code < 500 or time.monotonic() > deadline:
                assert reply.status_code == 200, reply.text
                return reply.json()
            await asyncio.sleep(0.1)

    async def list_all(self, path: str, key: str, **params: str) -> list[Json]:
        """Every item of a list, page by page."""
        found: list[Json] = []
        cursor: str | None = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            page = await self.get(path, limit=100, **params, **more)
            found += page[key]
            cursor = page["pagination"]["nextCursor"]
            if cursor is None:
                return found


async def wait_for(check: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Whether `check` came to hold within `seconds`."""
    deadline = time.monotonic() + seconds
    while not await check():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True
