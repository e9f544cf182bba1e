"""What every line of a job's log carries."""

import asyncio
from collections.abc import Mapping

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


async def test_a_request_s_id_goes_with_its_jobs_and_with_those_that_they_enqueue(
    bench: Bench,
) -> None:
    seen: list[tuple[dict[str, object], object]] = []

    async def note(payload: Mapping[str, object], _context: JobContext) -> None:
        seen.append((dict(payload), structlog.contextvars.get_contextvars().get("request_id")))
        if payload["step"] == 1:
            await bench.enqueue(Job("note", {"step": 2}))

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
    with structlog.contextvars.bound_contextvars(request_id="asked"):
        await bench.enqueue(Job("note", {"step": 1}))
    await eventually(lambda: len(seen) == 2)
    stop.set()
    await worker
    assert seen == [({"step": 1}, "asked"), ({"step": 2}, "asked")]
