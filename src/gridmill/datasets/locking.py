"""The dataset's lock: its own row. Edits share it, a task takes it whole.

Every edit holds the row FOR SHARE until its transaction ends, a change of structure FOR NO KEY
UPDATE, and a task's creation FOR UPDATE; so a task begins after the last edit and no edit slips
in behind it.

What reads the grid to check a request takes the row first (`hold_for_…`) and asks afterwards
whether the dataset is free (`lock_for_…`): 404 and 422 still come before 409, and nobody waits for
the row with the table in hand while a change of columns waits for the table with the row in hand.
"""

from uuid import UUID

from gridmill.datasets.errors import DatasetLocked, DatasetNotFound
from gridmill.datasets.model import Dataset, DatasetStatus
from gridmill.datasets.repository import locks
from gridmill.storage import grids
from gridmill.storage.database import Tx


async def hold_for_edit(tx: Tx, dataset: Dataset) -> None:
    """Take the row as `lock_for_edit` does, whoever holds the dataset."""
    await locks.lock_shared(tx, dataset.dataset_id)


async def hold_for_change(tx: Tx, dataset: Dataset) -> None:
    """Take the row as `lock_for_change` does, whoever holds the dataset."""
    await locks.lock_alone(tx, dataset.dataset_id)


async def hold_for_task(tx: Tx, dataset: Dataset) -> None:
    """Take the row as `lock_for_task` does, whoever holds the dataset."""
    await locks.lock_whole(tx, dataset.dataset_id)


async def lock_for_edit(tx: Tx, dataset: Dataset) -> None:
    """Hold the dataset for an edit of rows or cells, beside other edits.

    Raises:
        DatasetLocked: a task holds it, or its import runs.
        DatasetNotFound: it was deleted meanwhile.
    """
    _check(await locks.lock_shared(tx, dataset.dataset_id))


async def lock_for_change(tx: Tx, dataset: Dataset) -> None:
    """Hold the dataset alone, for a change of its columns, its config or many cells at once.

    Raises:
        DatasetLocked: a task holds it, or its import runs.
        DatasetNotFound: it was deleted meanwhile.
    """
    _check(await locks.lock_alone(tx, dataset.dataset_id))


async def lock_for_task(tx: Tx, dataset: Dataset, task_id: UUID) -> None:
    """Give the dataset to a task, until `unlock_after_task`.

    Raises:
        DatasetLocked: another task holds it, or its import runs.
        DatasetNotFound: it was deleted meanwhile.
    """
    _check(await locks.lock_whole(tx, dataset.dataset_id))
    await locks.set_active_task(tx, dataset.dataset_id, task_id)


async def unlock_after_task(tx: Tx, dataset_id: UUID, task_id: UUID) -> None:
    """Free the dataset if this task holds it; otherwise nothing happens."""
    grid_no = await locks.clear_active_task(tx, dataset_id, task_id)
    if grid_no is not None:
        await grids.fold_marks(tx, grid_no)


def _check(state: tuple[DatasetStatus, UUID | None] | None) -> None:
    if state is None:
        raise DatasetNotFound
    status, task_id = state
    if task_id is not None or status is DatasetStatus.PROCESSING:
        raise DatasetLocked(task_id)
