"""What a task wrote, as the room above asks for it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from gridmill.datasets.model import Column, Dataset
from gridmill.datasets.repository import task_writes as repository
from gridmill.storage.database import Tx

CONFIDENCE_BINS = 10


@dataclass(frozen=True, slots=True)
class TaskWrites:
    """Counts over the cells that a task wrote.

    `statuses`: (status, error code, cells); `confidences`: (bin of a tenth, cells, sum of their
    confidences), only bins that have cells.
    """

    statuses: Sequence[tuple[str, str | None, int]]
    confidences: Sequence[tuple[int, int, float]]


async def list_failed_cells(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    task_id: UUID,
    *,
    except_codes: Collection[str] = (),
    limit: int | None = None,
) -> list[tuple[int, int]]:
    """Cells of `columns` (row and column number, by row) that still carry an error of this task.

    Errors with one of `except_codes` do not count.
    """
    return await repository.list_failed_cells(
        tx, dataset, columns, task_id, except_codes=except_codes, limit=limit
    )


async def summarise_task(tx: Tx, task_id: UUID) -> TaskWrites:
    """Count what a task wrote by status, error and confidence."""
    return TaskWrites(
        await repository.count_statuses(tx, task_id),
        await repository.count_confidences(tx, task_id, CONFIDENCE_BINS),
    )
