"""Ends that come from outside of a batch: cancelled by a person, failed by us."""

from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.engine.port import Engine
from gridmill.kit.meters import TASKS_ENDED
from gridmill.storage.database import Tx, after_commit
from gridmill.tasks.errors import TaskNotCancellable
from gridmill.tasks.model import Task, TaskStatus
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import ends
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.wire import task_to_wire
from gridmill.webhooks import service as webhooks
from gridmill.webhooks.service import Event

_EVENTS = {
    TaskStatus.PROCESSING: Event.TASK_STARTED,
    TaskStatus.COMPLETED: Event.TASK_COMPLETED,
    TaskStatus.FAILED: Event.TASK_FAILED,
    TaskStatus.CANCELLED: Event.TASK_CANCELLED,
}
_TOLD = (
    *("taskId", "datasetId", "type", "operation", "status"),
    *("results", "usage", "durationMs", "error"),
)


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


async def refuse_plan(tx: Tx, engine: Engine, task_id: UUID, code: str, message: str) -> None:
    """End a task as failed that its own planning job, which runs on, found to be impossible."""
    dataset_id = await ends.fail_task(tx, task_id, {"code": code, "message": message})
    if dataset_id is not None:
        await datasets.unlock_after_task(tx, dataset_id, task_id)
        await tell(tx, engine, task_id)


async def tell(tx: Tx, engine: Engine, task_id: UUID) -> None:
    """Tell webhooks what the task's status has just become; its own one of every end."""
    task = await repository.find_any_task(tx, task_id)
    event = None if task is None else _EVENTS.get(task.status)
    if task is None or event is None:
        return
    if not task.is_open:
        after_commit(tx, TASKS_ENDED.labels(task.status.value).inc)
    wire = task_to_wire(task)
    data = {name: wire[name] for name in _TOLD}
    also = None if task.is_open else task.webhook_id
    await webhooks.tell(tx, engine, task.workspace_id, event, data, also=also)


async def _free(tx: Tx, engine: Engine, task_id: UUID, dataset_id: UUID) -> None:
    await datasets.unlock_after_task(tx, dataset_id, task_id)
    await engine.cancel(tx, await batch_rows.list_job_ids(tx, task_id))
    await tell(tx, engine, task_id)
