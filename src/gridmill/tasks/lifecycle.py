"""Ends that come from outside of a batch: cancelled by a person, failed by us."""

from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.engine.port import Engine
from gridmill.storage.database import Tx
from gridmill.tasks.errors import TaskNotCancellable
from gridmill.tasks.model import Task
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import ends
from gridmill.tasks.repository import tasks as repository


async def cancel(tx: Tx, engine: Engine, task: Task) -> Task:
    """End an open task: cancelled, its dataset free, its jobs stopped. The task as it is now.

    Raises:
        TaskNotCancellable: it has ended, maybe just now.
    """
    cancelled = await ends.cancel_task(tx, task.task_id)
    if cancelled is None:
        now_is = await repository.find_any_task(tx, task.task_id)
        raise TaskNotCancellable((now_is or task).status.value)
    await _free(tx, engine, cancelled.task_id, cancelled.dataset_id)
    return cancelled


async def fail(tx: Tx, engine: Engine, task_id: UUID, code: str, message: str) -> bool:
    """End an open task as failed; false when it has ended already."""
    dataset_id = await ends.fail_task(tx, task_id, {"code": code, "message": message})
    if dataset_id is None:
        return False
    await _free(tx, engine, task_id, dataset_id)
    return True


async def refuse_plan(tx: Tx, task_id: UUID, code: str, message: str) -> None:
    """End a task as failed that its own planning job, which runs on, found to be impossible."""
    dataset_id = await ends.fail_task(tx, task_id, {"code": code, "message": message})
    if dataset_id is not None:
        await datasets.unlock_after_task(tx, dataset_id, task_id)


async def _free(tx: Tx, engine: Engine, task_id: UUID, dataset_id: UUID) -> None:
    await datasets.unlock_after_task(tx, dataset_id, task_id)
    await engine.cancel(tx, await batch_rows.list_job_ids(tx, task_id))
