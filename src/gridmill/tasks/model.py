"""Tasks, their progress and their ends: pure shapes and rules."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from gridmill.datasets.model import DatasetType, TaskType
from gridmill.operations.model import (
    NOT_TRIED_CODES,
    BatchOutcome,
    CellError,
    CellStatus,
    ColumnSpec,
    Maker,
    Operation,
)
from gridmill.providers.llm.model import NOTHING_SPENT, Usage

MAX_NEW_ROWS = 10_000
MAX_SELECTED_IDS = 100_000
INTERNAL_ERROR = "INTERNAL_ERROR"
OPERATION_UNAVAILABLE = "OPERATION_UNAVAILABLE"


class TaskKind(StrEnum):
    """What is asked for: new rows, or work on cells that are there."""

    NEW_ROWS = "new-rows"
    BULK = "bulk"


class TaskStatus(StrEnum):
    """`queued` → `processing` → one of three ends, once."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATUSES = frozenset({TaskStatus.QUEUED, TaskStatus.PROCESSING})


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a task may spend; `None` is no limit."""

    max_cost_usd: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Units (cells of a bulk task, rows of a new-rows task) by what became of them."""

    completed: int = 0
    failed: int = 0
    skipped: int = 0
    needs_review: int = 0

    @property
    def done(self) -> int:
        """Units that are settled one way or another."""
        return self.completed + self.failed + self.skipped

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.completed + other.completed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.needs_review + other.needs_review,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is: `counts` of `total` units."""

    kind: TaskKind
    total: int
    counts: Counts
    percentage: float

    def to_wire(self) -> dict[str, object]:
        """The contract's `progress` object."""
        return {
            "unit": "rows" if self.kind is TaskKind.NEW_ROWS else "cells",
            "total": self.total,
            "completed": self.counts.completed,
            "failed": self.counts.failed,
            "skipped": self.counts.skipped,
            "needsReview": self.counts.needs_review,
            "percentage": self.percentage,
        }


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it stands; counters are sums over its finished batches.

    `counts` are in the task's unit; `cells` count cells whatever the unit is. `unreached` is how
    many of the skipped units are what a stop (`stopped_by`) left undone. `message` says why new
    rows are fewer than were asked for, and what was passed over; `measured` is what the operation
    found out about the whole.
    """

    task_id: UUID
    workspace_id: UUID
    dataset_id: UUID
    kind: TaskKind
    operation: str
    status: TaskStatus
    request: Mapping[str, Any]
    webhook_id: UUID | None
    retry_of: UUID | None
    batches_total: int | None
    batches_done: int
    total: int
    counts: Counts
    rows_created: int
    cells: Counts
    usage: Usage
    stopped_by: str | None
    unreached: int
    error: Mapping[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    message: str | None = None
    measured: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_open(self) -> bool:
        """Whether it still holds its dataset."""
        return self.status in OPEN_STATUSES

    @property
    def progress(self) -> Progress:
        """Its progress at this moment."""
        return Progress(self.kind, self.total, self.counts, self._percentage())

    def _percentage(self) -> float:
        if self.stopped_by is not None:
            return percentage_of(self.total - self.unreached, self.total)
        if self.status is TaskStatus.COMPLETED:
            return 100.0
        if self.status is TaskStatus.PROCESSING:
            return percentage_of(self.counts.done, self.total)
        # What an end left undone counts as skipped; the share of the batches tells how far it came.
        return percentage_of(self.batches_done, self.batches_total or 0)

    @property
    def duration(self) -> timedelta | None:
        """How long it ran; `None` until it has ended."""
        if self.completed_at is None:
            return None
        return self.completed_at - (self.started_at or self.created_at)

    def estimate_end(self, moment: datetime) -> datetime | None:
        """When it will end if it goes on as so far; `None` before the first batch and after the end."""
        if self.status is not TaskStatus.PROCESSING or self.started_at is None:
            return None
        if not self.batches_done or not self.batches_total:
            return None
        left = (self.batches_total - self.batches_done) / self.batches_done
        return moment + (moment - self.started_at) * left


def percentage_of(done: int, total: int) -> float:
    """`done` of `total` from 0 to 100, one digit after the point, 100 only when all is done."""
    if total <= 0:
        return 0.0
    return min(done, total) * 1000 // total / 10


@dataclass(frozen=True, slots=True)
class BatchKey:
    """A batch by its task and number."""

    task_id: UUID
    batch_no: int


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a finished batch adds to its task.

    `counts` in the task's unit, `cells` in cells; `error` is the first real failure among its
    cells, told when the whole task turns out to have failed. A batch that makes rows made
    `rows_made` of them, and found that `rows_missing` more do not exist: `message` says why.
    """

    counts: Counts
    cells: Counts
    usage: Usage = NOTHING_SPENT
    error: CellError | None = None
    stopped_by: str | None = None
    rows_made: int = 0
    rows_missing: int = 0
    message: str | None = None
    measured: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """What an operator allows a workspace; `None` is no limit."""

    open_tasks: int | None = None
    tokens_per_month: int | None = None


def _accept_any_model(_: str) -> str | None:
    return None


def _need_no_warmth() -> None:
    return


MeasureRows = Callable[
    [Sequence[ColumnSpec], Sequence[tuple[str | None, ...]], Sequence[tuple[str | None, ...]]],
    Awaitable[Mapping[str, Any]],
]
"""Says, as JSON, how like the real rows (second) the made ones are, values in the columns' order."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Which operation fills the cells of which columns; built by bootstrap.

    `makers` make the rows of datasets whose rows are computed, by the type of the dataset.
    `measure_rows` compares rows that were made up with those that they follow. `check_model` says, in a sentence, what is wrong with a `provider/model`, or `None`. `warm_up` is
    called where work is about to come, and returns at once.
    """

    by_task_type: Mapping[TaskType, Operation] = field(default_factory=dict[TaskType, Operation])
    check_model: Callable[[str], str | None] = _accept_any_model
    warm_up: Callable[[], None] = _need_no_warmth
    makers: Mapping[DatasetType, Maker] = field(default_factory=dict[DatasetType, Maker])
    measure_rows: MeasureRows | None = None


def count_outcome(outcome: BatchOutcome, kind: TaskKind, rows: int) -> BatchResult:
    """Sum a batch up.

    A cell counts as completed when it has a value, as skipped when it was not tried or its value
    is just not known (`NOT_TRIED_CODES`), as failed otherwise. A row of a new-rows task counts as
    failed when cells of it failed and none succeeded, as skipped when none was tried, else as
    completed; `rows` is how many the batch has, those without a cell to fill included.
    """
    error: CellError | None = None
    tally: dict[int, list[Counts]] = {}
    for cell in outcome.cells:
        one = _count_cell(cell.status, cell.error)
        tally.setdefault(cell.row_no, []).append(one)
        if one is _FAILED and error is None:
            error = cell.error
    cells = _sum(one for ones in tally.values() for one in ones)
    counts = cells if kind is TaskKind.BULK else _count_rows(outcome, tally, rows)
    return BatchResult(counts, cells, outcome.usage, error, outcome.stopped_by)


def _count_rows(outcome: BatchOutcome, tally: Mapping[int, Sequence[Counts]], rows: int) -> Counts:
    tried = {cell.row_no for cell in outcome.cells if cell.status is not CellStatus.SKIPPED}
    failed = sum(_FAILED in ones and not _GOOD & set(ones) for ones in tally.values())
    skipped = sum(row_no not in tried for row_no in tally)
    review = sum(_REVIEW in ones for ones in tally.values())
    return Counts(rows - failed - skipped, failed, skipped, review)


def _sum(ones: Iterable[Counts]) -> Counts:
    found = Counter(ones)
    return Counts(
        found[_COMPLETED] + found[_REVIEW], found[_FAILED], found[_SKIPPED], found[_REVIEW]
    )


_COMPLETED = Counts(completed=1)
_REVIEW = Counts(completed=1, needs_review=1)
_FAILED = Counts(failed=1)
_SKIPPED = Counts(skipped=1)
_GOOD = frozenset({_COMPLETED, _REVIEW})


def _count_cell(status: CellStatus, error: CellError | None) -> Counts:
    if status is CellStatus.OK:
        return _COMPLETED
    if status is CellStatus.NEEDS_REVIEW:
        return _REVIEW
    if status is CellStatus.SKIPPED or (error is not None and error.code in NOT_TRIED_CODES):
        return _SKIPPED
    return _FAILED
