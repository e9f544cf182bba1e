"""The engine's handlers of this room, and the watch over tasks whose jobs were lost."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from gridmill.datasets.errors import RowQuotaExceeded, ValueMismatch
from gridmill.datasets.model import DatasetLimits
from gridmill.engine.port import Engine, HandlerSpec, JobContext, Retry
from gridmill.kit.clock import now
from gridmill.kit.errors import Unavailable
from gridmill.storage.database import Database, Tx
from gridmill.tasks import lifecycle
from gridmill.tasks.documents import SourcesPending
from gridmill.tasks.errors import InvalidTaskForDataset
from gridmill.tasks.model import INTERNAL_ERROR, BatchKey, Operations
from gridmill.tasks.planning import (
    BATCH_JOB,
    MAKE_JOB,
    PLAN_JOB,
    PlanOutdated,
    make_batch_jobs,
    make_plan_job,
    plan_task,
)
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.run import BatchRunner

MAX_ATTEMPTS = 5
_WATCH_SECONDS = 30.0
_QUIET_SECONDS = 60.0
# A task that waits for documents to be read looks again so often.
_PENDING_SECONDS = 0.5
# Planning a million rows may take longer than a statement of a request may.
_PLAN_STATEMENT_SECONDS = 600.0
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def handlers(
    database: Database,
    engine: Engine,
    operations: Operations,
    limits: DatasetLimits | None = None,
) -> dict[str, HandlerSpec]:
    """What a worker runs of this room, by job name."""
    allowed = limits or DatasetLimits()
    runner = BatchRunner(database, engine, operations, allowed)

    async def plan(payload: Mapping[str, Any], _: JobContext) -> None:
        task_id = UUID(payload["taskId"])
        operations.warm_up()
        try:
            async with database.transaction(statement_timeout=_PLAN_STATEMENT_SECONDS) as tx:
                await plan_task(tx, engine, operations, task_id, allowed)
        except SourcesPending:
            raise Retry(_PENDING_SECONDS) from None
        except PlanOutdated:
            _log.info("plan refused: the task is no longer queued", task_id=str(task_id))
        except (InvalidTaskForDataset, RowQuotaExceeded, ValueMismatch) as error:
            async with database.transaction() as tx:
                await lifecycle.refuse_plan(tx, engine, task_id, error.code, error.message)

    async def give_up_plan(payload: Mapping[str, Any], reason: str) -> None:
        _log.error("task could not be planned", task_id=payload["taskId"], reason=reason)
        async with database.transaction() as tx:
            await lifecycle.fail(
                tx,
                engine,
                UUID(payload["taskId"]),
                INTERNAL_ERROR,
                "The task could not be planned; try again.",
            )

    async def run(payload: Mapping[str, Any], _: JobContext) -> None:
        await runner.run(_to_key(payload))

    async def give_up(payload: Mapping[str, Any], reason: str) -> None:
        await runner.give_up(_to_key(payload), reason)

    return {
        PLAN_JOB: HandlerSpec(plan, max_attempts=MAX_ATTEMPTS, on_exhausted=give_up_plan),
        BATCH_JOB: HandlerSpec(run, max_attempts=MAX_ATTEMPTS, on_exhausted=give_up),
        MAKE_JOB: HandlerSpec(run, max_attempts=MAX_ATTEMPTS, on_exhausted=give_up),
    }


async def watch(database: Database, engine: Engine) -> None:
    """Look after open tasks every 30 s, until cancelled: no lock may outlive its task's jobs."""
    while True:
        try:
            async with database.transaction() as tx:
                await rescue_lost(tx, engine)
        except Unavailable as error:
            _log.info("watch over tasks skipped", reason=str(error))
        except Exception:  # noqa: BLE001 (tasks whose jobs are lost later must still be found)
            _log.exception("watch over tasks failed; it goes on")
        await asyncio.sleep(_WATCH_SECONDS)


async def rescue_lost(tx: Tx, engine: Engine, quiet_seconds: float = _QUIET_SECONDS) -> list[UUID]:
    """Give open tasks new jobs for those that neither wait nor run any more; the tasks helped.

    A batch that was tried too often fails its task instead. Tasks younger than `quiet_seconds`
    are left alone.
    """
    helped: list[UUID] = []
    quiet_since = now() - timedelta(seconds=quiet_seconds)
    for task_id in await repository.list_open(tx, quiet_since):
        if await _rescue_task(tx, engine, task_id):
            _log.warning("task rescued: its jobs were lost", task_id=str(task_id))
            helped.append(task_id)
    return helped


async def _rescue_task(tx: Tx, engine: Engine, task_id: UUID) -> bool:
    lost = await engine.find_lost(tx, await batch_rows.list_job_ids(tx, task_id))
    # Whoever watches at the same time waits here and then finds nothing lost.
    task = await repository.lock_task(tx, task_id) if lost else None
    if task is None or not task.is_open:
        return False
    lost = await engine.find_lost(tx, await batch_rows.list_job_ids(tx, task_id))
    if not lost:
        return False
    if task.batches_total is None:
        (job_id,) = await engine.enqueue(tx, [make_plan_job(task_id)])
        await repository.set_plan_job(tx, task_id, job_id)
        return True
    batches = await batch_rows.list_unfinished(tx, task_id)
    orphans = [batch for batch in batches if batch.job_id in lost]
    if any(batch.attempts > MAX_ATTEMPTS for batch in orphans):
        await lifecycle.fail(
            tx, engine, task_id, INTERNAL_ERROR, "The task's work was lost; try again."
        )
        return True
    makes = {batch.batch_no: batch.range.makes_rows for batch in orphans}
    plan = await repository.find_plan(tx, task_id)
    jobs = make_batch_jobs(task, makes, one_by_one=bool(plan.get("oneByOne")))
    job_ids = await engine.enqueue(tx, jobs)
    await batch_rows.set_job_ids(tx, task_id, dict(zip(makes, job_ids, strict=True)))
    return True


def _to_key(payload: Mapping[str, Any]) -> BatchKey:
    return BatchKey(UUID(payload["taskId"]), int(payload["batchNo"]))
