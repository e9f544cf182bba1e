"""A clean jobs table, jobs in it, and workers as real processes."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg
import pytest

from gridmill.engine.port import Job
from gridmill.engine.procrastinate_engine import ProcrastinateEngine
from gridmill.engine.schema import install_engine_schema
from gridmill.engine.worker import Timings
from tests.support.engine_worker import TRAIL

# Quick enough to test in seconds; the proportions are those of the defaults.
QUICK = Timings(
    heartbeat=0.3, stalled_after=2.0, rescue_every=0.4, poll=0.3, grace=0.5, hand_back=2.0
)
ROOT = Path(__file__).parents[3]


@dataclass
class Bench:
    """One database with the engine in it, and what tests do to it."""

    url: str
    connection: psycopg.AsyncConnection
    engine: ProcrastinateEngine = field(default_factory=ProcrastinateEngine)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def enqueue(self, *jobs: Job) -> list[int]:
        async with self.connection.transaction():
            return await self.engine.enqueue(self.connection, jobs)

    async def cancel(self, *job_ids: int) -> None:
        async with self.connection.transaction():
            await self.engine.cancel(self.connection, job_ids)

    async def trail(self, key: str) -> list[str]:
        """The events that handlers left under `key`, in order."""
        cursor = await self.connection.execute(
            "SELECT event FROM engine_trail WHERE key = %s ORDER BY no", (key,)
        )
        return [row[0] for row in await cursor.fetchall()]

    async def attempts(self, key: str) -> list[tuple[str, int]]:
        """(event, attempt) under `key`, in order."""
        cursor = await self.connection.execute(
            "SELECT event, attempt FROM engine_trail WHERE key = %s ORDER BY no", (key,)
        )
        return [(row[0], row[1]) for row in await cursor.fetchall()]

    async def jobs(self) -> list[tuple[str, int]]:
        """(status, attempts) of the jobs that are still in the table."""
        cursor = await self.connection.execute(
            "SELECT status::text, attempts FROM procrastinate_jobs ORDER BY id"
        )
        return [(row[0], row[1]) for row in await cursor.fetchall()]

    async def start_worker(
        self, *, slots: int = 4, timings: Timings = QUICK
    ) -> asyncio.subprocess.Process:
        """Start a worker process; returns once it has registered."""
        before = await self._count_workers()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.engine_worker"),
            *(self.url, str(slots), json.dumps(asdict(timings))),
            cwd=ROOT,
        )
        self.processes.append(process)
        deadline = asyncio.get_running_loop().time() + 20
        while await self._count_workers() <= before:
            assert asyncio.get_running_loop().time() < deadline, "the worker did not start"
            await asyncio.sleep(0.05)
        return process

    async def _count_workers(self) -> int:
        # Numbers are never given twice, so that a dead worker's removal does not hide a new one.
        cursor = await self.connection.execute(
            "SELECT coalesce(max(id), 0) FROM procrastinate_workers"
        )
        row = await cursor.fetchone()
        return row[0] if row else 0


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        async with connection.transaction():
            await install_engine_schema(connection)
        await connection.execute(TRAIL)
        await connection.execute(
            "TRUNCATE engine_trail, procrastinate_jobs, procrastinate_workers CASCADE"
        )
        bench = Bench(database_url, connection)
        yield bench
        for process in bench.processes:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                await process.wait()
