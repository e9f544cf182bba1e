"""A worker as a process of its own, with handlers that leave a trail in the database.

Run as `python -m tests.support.engine_worker URL SLOTS TIMINGS_JSON`.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import psycopg

from gridmill.engine.port import HandlerSpec, JobContext, Retry
from gridmill.engine.worker import Timings, run_worker

TRAIL = """
    CREATE TABLE IF NOT EXISTS engine_trail (
        no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        pid integer NOT NULL,
        key text NOT NULL,
        event text NOT NULL,
        attempt integer NOT NULL
    )
"""
LONG = 60.0


class Handlers:
    """`payload`: key (names the trail), and what the handler needs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def specs(self) -> dict[str, HandlerSpec]:
        quick = 0.05
        return {
            "note": HandlerSpec(self.note),
            "work": HandlerSpec(
                self.work, max_attempts=3, backoff=quick, on_exhausted=self.give_up
            ),
            "fail": HandlerSpec(
                self.fail, max_attempts=3, backoff=quick, on_exhausted=self.give_up
            ),
            "snooze": HandlerSpec(self.snooze, max_attempts=1),
            "stubborn": HandlerSpec(self.stubborn),
        }

    async def note(self, payload: Mapping[str, Any], context: JobContext) -> None:
        await self._leave(payload, "ran", context.attempt)

    async def work(self, payload: Mapping[str, Any], context: JobContext) -> None:
        """Works for `seconds`, on the first attempt only when `once`."""
        await self._leave(payload, "started", context.attempt)
        try:
            if context.attempt == 1 or not payload.get("once"):
                await asyncio.sleep(payload.get("seconds", LONG))
        except asyncio.CancelledError:
            await self._leave(
                payload, "aborted" if context.aborted.is_set() else "cut", context.attempt
            )
            raise
        await self._leave(payload, "finished", context.attempt)

    async def fail(self, payload: Mapping[str, Any], context: JobContext) -> None:
        await self._leave(payload, "last" if context.last_attempt else "tried", context.attempt)
        if context.attempt <= payload.get("times", 99):
            raise RuntimeError("no luck")

    async def snooze(self, payload: Mapping[str, Any], context: JobContext) -> None:
        trail = await self._leave(payload, "asked", context.attempt)
        if trail < 3:
            raise Retry(0.1)

    async def stubborn(self, payload: Mapping[str, Any], context: JobContext) -> None:
        """Ignores its first cancellations."""
        await self._leave(payload, "started", context.attempt)
        for _ in range(4):
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                continue

    async def give_up(self, payload: Mapping[str, Any], error: str) -> None:
        await self._leave(payload, f"given up: {error}", 0)

    async def _leave(self, payload: Mapping[str, Any], event: str, attempt: int) -> int:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(
                "INSERT INTO engine_trail (pid, key, event, attempt) VALUES (%s, %s, %s, %s)",
                (os.getpid(), payload["key"], event, attempt),
            )
            cursor = await connection.execute(
                "SELECT count(*) FROM engine_trail WHERE key = %s", (payload["key"],)
            )
            row = await cursor.fetchone()
            return row[0] if row else 0


async def main(url: str, slots: int, timings: Timings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    queues = {"default": slots, "batches": slots}
    await run_worker(url, Handlers(url).specs(), queues=queues, stop=stop, timings=timings)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Timings(**json.loads(sys.argv[3]))))
