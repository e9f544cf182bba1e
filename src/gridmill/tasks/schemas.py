"""Wire shapes of tasks."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gridmill.kit.http import PAGE_LIMIT, ListQuery, NamedIds, PaginationReply, WireModel
from gridmill.tasks.model import MAX_NEW_ROWS, Budget, TaskKind, TaskStatus
from gridmill.tasks.selection import SelectionRequest

_MODEL = re.compile(r"[^/\s]+/\S+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DEFAULT_DAYS = 30
_MOST_DAYS = 366


class BudgetBody(WireModel):
    """What the task may spend at most; it stops cleanly when that is reached."""

    max_cost_usd: float | None = Field(default=None, gt=0, le=1e9, description="US dollars")
    max_tokens: int | None = Field(
        default=None, ge=1, le=10**15, description="Prompt and completion tokens together"
    )


class _TermsBody(WireModel):
    """What every creating body may say; `null` counts as omitted."""

    webhook_id: str | None = Field(default=None, description="Told of the task's end")
    budget: BudgetBody | None = None
    model: str | None = Field(
        default=None, max_length=200, description="`provider/model` for columns that name none"
    )

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: str | None) -> str | None:
        if model is not None and not _MODEL.fullmatch(model):
            raise ValueError("This must be a provider and a model: provider/model.")
        return model

    @property
    def limits(self) -> Budget | None:
        """The budget, if it limits anything."""
        said = self.budget
        if said is None or (said.max_cost_usd is None and said.max_tokens is None):
            return None
        return Budget(said.max_cost_usd, said.max_tokens)


class BulkCreate(_TermsBody):
    """Which cells to fill: none named is every empty cell of the dataset."""

    cell_ids: NamedIds | None = Field(
        default=None, description="Just these; never with columnIds or rowIds. Up to 100,000"
    )
    column_ids: NamedIds | None = None
    row_ids: NamedIds | None = Field(default=None, description="Up to 100,000")
    process_only_empty: bool | None = Field(
        default=None, description="Leave filled cells alone (default true)"
    )

    @property
    def selection(self) -> SelectionRequest:
        """What is asked for."""
        return SelectionRequest(
            self.cell_ids, self.column_ids, self.row_ids, self.process_only_empty is not False
        )


class NewRowsCreate(_TermsBody):
    """How many rows to make."""

    row_count: int = Field(ge=1, le=MAX_NEW_ROWS)
    allow_generated: bool | None = Field(
        default=None, description="Make rows up when the linked sources run out (default true)"
    )


_BULK_FIELDS = frozenset({"cell_ids", "column_ids", "row_ids", "process_only_empty"})
_NEW_ROWS_FIELDS = frozenset({"row_count", "allow_generated"})


class EstimateRequest(_TermsBody):
    """The body of a creating call, with its `type`."""

    type: Literal["bulk", "new-rows"]
    cell_ids: NamedIds | None = None
    column_ids: NamedIds | None = None
    row_ids: NamedIds | None = None
    process_only_empty: bool | None = None
    row_count: int | None = Field(default=None, ge=1, le=MAX_NEW_ROWS)
    allow_generated: bool | None = None

    @model_validator(mode="after")
    def _check_fields(self) -> "EstimateRequest":
        foreign = _NEW_ROWS_FIELDS if self.type == "bulk" else _BULK_FIELDS
        for name in sorted(foreign):
            if getattr(self, name) is not None:
                alias = type(self).model_fields[name].alias
                raise ValueError(f"{alias} does not belong to a {self.type} task.")
        if self.type == "new-rows" and self.row_count is None:
            raise ValueError("A new-rows task needs rowCount.")
        return self

    @property
    def bulk(self) -> BulkCreate:
        """The same as a bulk body."""
        return BulkCreate(
            webhook_id=self.webhook_id,
            budget=self.budget,
            model=self.model,
            cell_ids=self.cell_ids,
            column_ids=self.column_ids,
            row_ids=self.row_ids,
            process_only_empty=self.process_only_empty,
        )


class TaskQuery(ListQuery):
    """Which tasks."""

    status: TaskStatus | None = None
    type: TaskKind | None = None


class ReportQuery(WireModel):
    """In which form."""

    format: Literal["json", "html"] | None = Field(
        default=None, description="A page with plots, or JSON; else as `Accept` asks"
    )


class EventsQuery(WireModel):
    """What to stream."""

    cells: bool = Field(default=False, description="`cell` events too")


class UsageQuery(WireModel):
    """Which days (UTC), at most 366: up to today without `to`, 30 of them without `from`."""

    since: str | None = Field(default=None, alias="from", description="First day, YYYY-MM-DD")
    until: str | None = Field(default=None, alias="to", description="Last day, YYYY-MM-DD")

    @field_validator("since", "until")
    @classmethod
    def _check_day(cls, text: str | None) -> str | None:
        if text is not None:
            if not _DAY.fullmatch(text):
                raise ValueError("This must be a day: YYYY-MM-DD.")
            try:
                found = date.fromisoformat(text)
            except ValueError:
                raise ValueError("There is no such day.") from None
            if not 2000 <= found.year <= 9000:
                raise ValueError("This must be a day of the years 2000 to 9000.")
        return text

    @model_validator(mode="after")
    def _check_range(self) -> "UsageQuery":
        first, last = self.days
        if first > last:
            raise ValueError("from must not be after to.")
        if (last - first).days >= _MOST_DAYS:
            raise ValueError(f"At most {_MOST_DAYS} days can be asked for at once.")
        return self

    @property
    def days(self) -> tuple[date, date]:
        """First and last day, both included."""
        span = timedelta(days=_DEFAULT_DAYS - 1)
        first = None if self.since is None else date.fromisoformat(self.since)
        last = None if self.until is None else date.fromisoformat(self.until)
        if last is None:
            last = max(first or date.min, datetime.now(UTC).date())
        return first or last - span, last


class ProgressReply(WireModel):
    """At the end `total = completed + failed + skipped`."""

    unit: Literal["cells", "rows"]
    total: int
    completed: int
    failed: int
    skipped: int
    needs_review: int
    percentage: float


class ResultsReply(WireModel):
    """What a task did so far."""

    rows_created: int
    cells_written: int
    cells_failed: int
    cells_needing_review: int
    cells_skipped: int
    stopped_by: str | None = None
    message: str | None = Field(
        default=None, description="Why there are fewer rows than asked for, or what was passed over"
    )
    coverage: Literal["full", "partial", "none"] | None = Field(
        default=None, description="Of maps: how much of the boundary the source knows"
    )
    completeness: float | None = Field(
        default=None,
        description="Of maps: the estimated share of the places that the dataset holds now",
    )


class UsageReply(WireModel):
    """What a task spent at model providers so far; `costUsd` is null when a price is not known."""

    requests: int
    cached_requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


class ErrorReply(WireModel):
    """Why a task failed."""

    code: str
    message: str


class TaskReply(WireModel):
    """A task."""

    task_id: str
    dataset_id: str
    type: TaskKind
    operation: str
    status: TaskStatus
    request: dict[str, Any]
    progress: ProgressReply
    results: ResultsReply
    usage: UsageReply
    error: ErrorReply | None
    webhook_id: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    duration_ms: int | None
    estimated_completion_at: str | None


class TaskList(WireModel):
    """A page of tasks."""

    tasks: list[TaskReply] = Field(max_length=PAGE_LIMIT)
    pagination: PaginationReply


class EstimateReply(WireModel):
    """What a task would do and cost; `costUsd` is null when a model's price is not known."""

    cells: int
    rows: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


class RevertReply(WireModel):
    """What was undone; `cellsLeft` were written by someone else since."""

    cells_reverted: int
    rows_deleted: int
    cells_left: int


class ConfidenceBin(WireModel):
    """Cells whose confidence lies in a tenth, its start included."""

    start: float = Field(alias="from")
    end: float = Field(alias="to")
    cells: int


class ConfidenceReply(WireModel):
    """How sure the values are."""

    cells: int
    mean: float | None
    histogram: list[ConfidenceBin] = Field(min_length=10, max_length=10)


class ReportReply(WireModel):
    """What the operation measured."""

    task_id: str
    dataset_id: str
    operation: str
    status: TaskStatus
    cells_by_status: dict[str, int]
    cells_by_error: dict[str, int]
    confidence: ConfidenceReply
    generation: dict[str, Any] | None = Field(
        default=None,
        description="Of rows that were made up: likeness to real ones by column and pair, "
        "detection, privacy, histograms, correlations; null where there are none",
    )


class UsageDayReply(WireModel):
    """A day's tasks (UTC, by their creation)."""

    date: str
    tasks: int
    cells: int
    requests: int
    cached_requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


class UsageTotal(WireModel):
    """The sum of the days."""

    tasks: int
    cells: int
    requests: int
    cached_requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


class WorkspaceUsage(WireModel):
    """What the workspace's tasks did and cost, by day; days without a task are left out."""

    since: str = Field(alias="from")
    until: str = Field(alias="to")
    days: list[UsageDayReply] = Field(max_length=_MOST_DAYS)
    total: UsageTotal
