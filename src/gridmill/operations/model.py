"""What an operation gets and gives: pure data, one shape for all four kinds of work.

A task loads a `Batch`, an operation computes a `BatchOutcome`, the task writes it. Values are
canonical texts (`kit.values`); `None` is empty.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from gridmill.kit.values import ValueRules
from gridmill.providers.documents.model import Document
from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.model import Usage


class CellStatus(StrEnum):
    """What became of a cell: `skipped` ones were not tried (budget) and stay untouched."""

    OK = "ok"
    NEEDS_REVIEW = "needs_review"
    ERROR = "error"
    SKIPPED = "skipped"


NOT_TRIED_CODES = frozenset({"MODEL_REQUIRED", "NOT_CONFIDENT", "GONE"})
"""Cell errors that count as skipped: nothing failed, the value is just not known (or no longer)."""


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column as an operation sees it.

    `number` is the dataset's column number; `examples` are pairs of input and output, any JSON.
    """

    number: int
    name: str
    rules: ValueRules
    prompt: str | None = None
    description: str | None = None
    unit: str | None = None
    required: bool = False
    threshold: float | None = None
    examples: tuple[tuple[Any, Any], ...] = ()
    model: str | None = None
    knowledge: tuple[str, ...] = ()
    use_cache: bool = True


@dataclass(frozen=True, slots=True)
class RecordRef:
    """A record of a data source, counted from 1; of a document, 0 is the document as a whole."""

    datasource_id: UUID
    record: int


@dataclass(frozen=True, slots=True)
class RowInput:
    """A row to work on: `values` by column name, `wanted` the numbers of the columns to fill.

    `origin` is the record that the row was made from, if it was made from one; `feature_ids` are
    the places on a map that its cells say they come from.
    """

    row_no: int
    row_id: str
    values: Mapping[str, str | None]
    wanted: tuple[int, ...]
    origin: RecordRef | None = None
    feature_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """A row with known values; `vouched` names the columns whose value a person wrote or approved."""

    row_no: int
    row_id: str
    values: Mapping[str, str | None]
    vouched: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person's word on a `value` that a task wrote into the column named `column`.

    `truth` is the value that the person left there, `None` after a rejection. `confidence` and
    `method` (of `confidenceFactors`) are those that it was written with. `asked_for` is true when
    the cell waited for review: there a person decides either way, while of the other cells only
    the wrong ones are touched.
    """

    row_id: str
    column: str
    value: str
    truth: str | None
    confidence: float
    method: str
    asked_for: bool


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that was found for a question, best first; `text` stands at `start`."""

    datasource_id: UUID
    file_name: str
    page: int
    start: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Library:
    """The data sources that a task may read from, a document at a time.

    `load_document` brings a document that was read, `None` when it is gone. `search` brings up to
    `limit` passages of the named data sources (ids as text) for a question.
    """

    load_document: Callable[[UUID], Awaitable[Document | None]]
    search: Callable[[Sequence[str], str, int], Awaitable[Sequence[Passage]]]


@dataclass(frozen=True, slots=True)
class SourceRecords:
    """Records of a table that have a position: (record, counted from 1, and values by `columns`).

    `box` (west, south, east, north) holds the positions of all of the table's records, whichever
    were asked for; `None`: there are none. `is_cut`: more records lie where they were asked for.
    """

    file_name: str
    columns: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str | None]]]
    box: tuple[float, float, float, float] | None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Atlas:
    """What a dataset of places holds, and tables that places may come from.

    `load_rows` brings the dataset's rows (bounded), wanting nothing. `load_records` brings the
    records of a data source inside boxes, of all the Earth with none; `None` when it is gone, is
    not read or has no columns of numbers named latitude and longitude.
    """

    load_rows: Callable[[], Awaitable[Sequence[RowInput]]]
    load_records: Callable[
        [UUID, Sequence[tuple[float, float, float, float]]], Awaitable[SourceRecords | None]
    ]


async def _bring_no_verdicts() -> Sequence[Verdict]:
    return ()


async def find_none_taken(
    rows: Sequence[Sequence[str | None]],  # noqa: ARG001 (the port's)
    keys: Sequence[int],  # noqa: ARG001
) -> Collection[int]:
    """Nothing stands in the way of any row."""
    return ()


FindTaken = Callable[[Sequence[Sequence[str | None]], Sequence[int]], Awaitable[Collection[int]]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one task to be filled together.

    `columns` are all columns of the dataset in order, `examples` were chosen once for the whole
    task, `load_training` brings the dataset's filled rows (bounded, none written by this task);
    call it only when nothing fitted is at hand. So does `load_verdicts` with what people said of
    values written before. With `refresh` answers stored before `asked_at`
    (the task's creation) do not count. `config` is the dataset's.
    """

    task_id: UUID
    workspace_id: UUID
    dataset_name: str
    dataset_description: str | None
    columns: Sequence[ColumnSpec]
    rows: Sequence[RowInput]
    examples: Sequence[ExampleRow]
    load_training: Callable[[], Awaitable[Sequence[ExampleRow]]]
    refresh: bool = False
    asked_at: datetime | None = None
    model: str | None = None
    budget: Budget | None = None
    load_verdicts: Callable[[], Awaitable[Sequence[Verdict]]] = _bring_no_verdicts
    library: Library | None = None
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    atlas: Atlas | None = None


@dataclass(frozen=True, slots=True)
class CellError:
    """Why a cell has no new value."""

    code: str
    message: str
    retryable: bool = False

    def to_wire(self) -> dict[str, object]:
        """The `error` of a cell's metadata."""
        return {"code": self.code, "message": self.message, "retryable": self.retryable}


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """The answer for one cell.

    With `status` error the cell keeps its value and `error` says why; `sources` have the shape of
    the contract's cell metadata; `factors` says what the confidence is made of.
    """

    row_no: int
    column_no: int
    status: CellStatus
    value: str | None = None
    confidence: float | None = None
    factors: Mapping[str, Any] | None = None
    sources: Sequence[Mapping[str, Any]] = ()
    provider: str | None = None
    model: str | None = None
    error: CellError | None = None
    hidden_text: str | None = None


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """One outcome for every wanted cell of the batch, and what it cost."""

    cells: Sequence[CellOutcome]
    usage: Usage = field(default_factory=Usage)
    stopped_by: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """New rows to make: what a making batch asks of an operation.

    `columns` are all columns of the dataset in order, `config` is the dataset's. `items` says what
    to make, in the shape that the operation's own planning gave it: of extraction, records
    (`RecordRef`); of generation, places `first` to `last` in the task's stream of rows.
    `load_training` brings the dataset's filled rows, generated ones left out. `wanted` are the
    numbers of the columns to answer for: what is said of other ones is left out. Those that belong
    to another operation are filled by it afterwards. `find_taken` says which of some rows (values in
    the columns' order) the dataset holds already, or which repeat one of its values in the columns
    at the places `keys`; rows that this task made do not count.
    """

    task_id: UUID
    workspace_id: UUID
    dataset_name: str
    dataset_description: str | None
    columns: Sequence[ColumnSpec]
    config: Mapping[str, Any]
    items: Sequence[Any]
    load_training: Callable[[], Awaitable[Sequence[ExampleRow]]]
    library: Library | None = None
    model: str | None = None
    budget: Budget | None = None
    wanted: tuple[int, ...] = ()
    find_taken: FindTaken = find_none_taken
    atlas: Atlas | None = None


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row that was made: outcomes by column (their `row_no` means nothing yet), and from what."""

    cells: Sequence[CellOutcome]
    origin: RecordRef | None = None


@dataclass(frozen=True, slots=True)
class MadeRows:
    """The rows of an `Order`; fewer than it asked for when no more are possible, and then why.

    `measured` is what the operation found out about the whole task so far, for its results.
    """

    rows: Sequence[NewRow]
    usage: Usage = field(default_factory=Usage)
    stopped_by: str | None = None
    message: str | None = None
    measured: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Maker(Protocol):
    """A kind of work that makes rows; batches of one task may run at the same time."""

    async def make(self, order: Order) -> MadeRows:
        """Make the rows of `order`. Raises `ProviderRefused` when the whole task cannot go on."""
        ...


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would ask for: model requests, tokens and cost in US dollars (`None`: unknown price)."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


class Operation(Protocol):
    """A kind of work. Its providers are given to it when it is built (bootstrap)."""

    def batch_rows(
        self, columns: Sequence[ColumnSpec], targets: Sequence[int], model: str | None
    ) -> int:
        """How many rows make a good batch: 50-200 for model calls, 1,000-5,000 for local learners."""
        ...

    def check_budget(
        self,
        columns: Sequence[ColumnSpec],
        targets: Sequence[int],
        model: str | None,
        max_cost_usd: float | None,
    ) -> None:
        """Raise `operations.errors.PriceUnknown` when a limit in dollars could not be kept."""
        ...

    async def run(self, batch: Batch) -> BatchOutcome:
        """Fill the batch. Raises `ProviderRefused` when the whole task cannot go on."""
        ...

    async def estimate(self, batch: Batch) -> Estimate:
        """What the rows of `batch` (a sample) would cost, from their real prompts; calls no model."""
        ...
