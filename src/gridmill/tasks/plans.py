"""What planning makes, and how the selected cells of rows that are there become batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Dataset, DatasetLimits
from gridmill.kit.values import is_empty
from gridmill.operations.model import RecordRef
from gridmill.storage.database import Tx
from gridmill.tasks.model import Operations, Task, TaskKind
from gridmill.tasks.repository.batches import BatchRange
from gridmill.tasks.selection import Selection
from gridmill.tasks.setup import to_specs

# Rows of a batch when no operation has a say: every cell gets an error, or there is none to fill.
_PLAIN_BATCH_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The batches of a task; `skipped` units are selected but filled, `completed` need nothing.

    `rows_created` are there before the first batch runs. `message` is a word to people. Batches run
    at the same time, or `one_by_one`.
    """

    batches: Sequence[BatchRange]
    targets: tuple[int, ...]
    skipped: int = 0
    completed: int = 0
    rows_created: int = 0
    message: str | None = None
    one_by_one: bool = False

    def count(self, kind: TaskKind) -> int:
        """Units in all."""
        if kind is TaskKind.NEW_ROWS:
            ordered = sum(batch.rows for batch in self.batches if batch.makes_rows)
            return self.rows_created + ordered
        return sum(batch.cells for batch in self.batches) + self.skipped


@dataclass(frozen=True, slots=True)
class Ground:
    """What planning stands on; `kept` is what the task's creation left for it."""

    operations: Operations
    limits: DatasetLimits
    task: Task
    dataset: Dataset
    columns: Sequence[Column]
    kept: Mapping[str, Any]

    def choose_batch_rows(self, targets: Sequence[int]) -> int:
        """Rows of a batch that fills these columns."""
        model: str | None = self.task.request.get("model")
        return choose_batch_rows(self.operations, self.columns, targets, model)


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a task would make: how many rows, and of some of them what is known before they are made.

    `values` by column number, `records` what each of these rows is made of, if of a record.
    """

    rows: int
    values: Sequence[Mapping[int, str | None]]
    records: Sequence[RecordRef | None]


def choose_batch_rows(
    operations: Operations, columns: Sequence[Column], targets: Sequence[int], model: str | None
) -> int:
    """Rows of a batch: the least that one of the operations involved asks for."""
    specs = to_specs(columns)
    wanted: dict[Any, list[int]] = {}
    for column in columns:
        if column.column_no in targets:
            wanted.setdefault(column.task_type, []).append(column.column_no)
    sizes = [
        operations.by_task_type[task_type].batch_rows(specs, numbers, model)
        for task_type, numbers in wanted.items()
        if task_type in operations.by_task_type
    ]
    return max(1, min(sizes, default=_PLAIN_BATCH_ROWS))


async def plan_selection(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    selection: Selection,
    batch_size: int,
) -> Plan:
    """The batches of a selection."""
    fill = [column for column in columns if column.column_no in selection.targets]
    cells = None
    if selection.cells is not None:
        cells = [(row, number) for row, numbers in selection.cells.items() for number in numbers]
    found = await datasets.plan_rows(
        tx,
        dataset,
        fill,
        only_empty=selection.only_empty,
        batch_size=batch_size,
        cells=cells,
        row_nos=selection.row_nos,
    )
    listed = selection.is_listed
    return Plan(
        [BatchRange(b.first_row, b.last_row, b.rows, b.cells, listed) for b in found.batches],
        selection.targets,
        skipped=found.filled if selection.counts_filled and selection.only_empty else 0,
    )


def pick_wanted(
    listed: Sequence[int],
    targets: Sequence[int],
    values: Mapping[int, str | None],
    *,
    only_empty: bool,
) -> tuple[int, ...]:
    """The columns of a row to fill: `listed` ones of the `targets` (none listed: all of them)."""
    return tuple(
        number
        for number in targets
        if (not listed or number in listed) and (not only_empty or is_empty(values[number]))
    )
