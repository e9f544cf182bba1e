"""The dataset's row as a lock."""

from datetime import datetime
from typing import LiteralString
from uuid import UUID

from gridmill.datasets.model import DatasetStatus
from gridmill.storage.database import Tx

State = tuple[DatasetStatus, UUID | None]


async def lock_shared(tx: Tx, dataset_id: UUID) -> State | None:
    """Take the row FOR SHARE; status and active task."""
    return await _lock(
        tx,
        "SELECT status, active_task_id FROM datasets WHERE dataset_id = %s FOR SHARE",
        dataset_id,
    )


async def lock_alone(tx: Tx, dataset_id: UUID) -> State | None:
    """Take the row FOR NO KEY UPDATE; status and active task."""
    return await _lock(
        tx,
        "SELECT status, active_task_id FROM datasets WHERE dataset_id = %s FOR NO KEY UPDATE",
        dataset_id,
    )


async def lock_whole(tx: Tx, dataset_id: UUID) -> State | None:
    """Take the row FOR UPDATE; status and active task."""
    return await _lock(
        tx,
        "SELECT status, active_task_id FROM datasets WHERE dataset_id = %s FOR UPDATE",
        dataset_id,
    )


async def set_active_task(tx: Tx, dataset_id: UUID, task_id: UUID) -> None:
    """Write the task that holds the dataset."""
    await tx.execute(
        "UPDATE datasets SET active_task_id = %s WHERE dataset_id = %s", [task_id, dataset_id]
    )


async def clear_active_task(tx: Tx, dataset_id: UUID, task_id: UUID) -> int | None:
    """Take the task off the dataset, if it is this one; the dataset's grid if it was."""
    cursor = await tx.execute(
        "UPDATE datasets SET active_task_id = NULL WHERE dataset_id = %s AND active_task_id = %s "
        "RETURNING grid_no",
        [dataset_id, task_id],
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def read_hold_start(tx: Tx, dataset_id: UUID) -> datetime | None:
    """Since when a task holds the dataset: nobody else has written to it from then on."""
    cursor = await tx.execute(
        "SELECT t.created_at FROM datasets d JOIN tasks t ON t.task_id = d.active_task_id "
        "WHERE d.dataset_id = %s",
        [dataset_id],
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def _lock(tx: Tx, statement: LiteralString, dataset_id: UUID) -> State | None:
    cursor = await tx.execute(statement, [dataset_id])
    row = await cursor.fetchone()
    return (DatasetStatus(row[0]), row[1]) if row else None


async def is_task(tx: Tx, dataset_id: UUID, task_id: UUID) -> bool:
    """Whether that task works, or worked, on the dataset."""
    cursor = await tx.execute(
        "SELECT 1 FROM tasks WHERE task_id = %s AND dataset_id = %s", [task_id, dataset_id]
    )
    return await cursor.fetchone() is not None
