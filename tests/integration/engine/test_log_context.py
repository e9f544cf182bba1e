"""What every line of a job's log carries."""

import asyncio

import structlog

from gridmill.engine.port import HandlerSpec, Job, JobContext
from gridmill.engine.worker import run_worker
from tests.integration.engine.conftest import QUICK, Bench
from tests.support.waiting import eventually


async def test_what_a_handler_logs_names_its_job_and_its_task(bench: Bench) -> None:
    seen: list[dict[str, object]] = []

    async def note(_payload: object, _context: JobContext) -> None:
        seen.append(dict(structlog.contextvars.get_contextvars()))

    stop = asyncio.Event()
    worker = asyncio.create_task(
        run_worker(
            bench.url,
            {"note": HandlerSpec(note)},
            queues={"default": 1},
            stop=stop,
            timings=QUICK,
        )
    )
    ids = await bench.enqueue(Job("note", {"taskId": "t1"}), Job("note", {}))
    await eventually(lambda: len(seen) == 2)
    stop.set()
    await worker
    assert seen[0] == {"job": "note", "job_id": ids[0], "task_id": "t1"}
    assert seen[1] == {"job": "note", "job_id": ids[1]}
