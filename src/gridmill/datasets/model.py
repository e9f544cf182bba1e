"""Datasets, columns, rows and cells: pure shapes and rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self
from uuid import UUID

from gridmill.kit.ids import dataset_key
from gridmill.kit.values import DataType, ValueRules
from gridmill.storage.grids import GridColumn

COLUMN_LIMIT = 300
INSERT_LIMIT = 10_000
SELECTION_LIMIT = 100_000


class DatasetType(StrEnum):
    """What kind of work a dataset is for."""

    ENRICHMENT = "data_enrichment"
    EXTRACTION = "data_extraction"
    MAP = "map_extraction"
    GENERATION = "ai_generation"
    BLANK = "blank"


class TaskType(StrEnum):
    """How a bulk task treats a column's cells."""

    ENRICHMENT = "data_enrichment"
    EXTRACTION = "data_extraction"
    MAP = "map_extraction"
    GENERATION = "ai_generation"
    NONE = "none"


class DatasetStatus(StrEnum):
    """`processing` while an import runs."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


SHORT_TYPES: Mapping[str, str] = {
    "enrichment": "data_enrichment",
    "extraction": "data_extraction",
    "map": "map_extraction",
    "generation": "ai_generation",
}
"""Short forms that requests may use; replies use the long ones."""

IMPORTING_TYPES = frozenset({DatasetType.ENRICHMENT, DatasetType.GENERATION, DatasetType.BLANK})
"""Datasets whose table sources are imported when they are created."""


def default_task_type(dataset_type: DatasetType) -> TaskType:
    """The task type of a column that names none."""
    if dataset_type is DatasetType.BLANK:
        return TaskType.NONE
    return TaskType(dataset_type.value)


@dataclass(frozen=True, slots=True)
class ColumnMetadata:
    """What a column says of itself beside name and type; stored and sent in camelCase.

    `None` is what was not said; `cache` is then true, `required` and `read_only` are not.
    """

    prompt: str | None = None
    confidence: float | None = None
    options: tuple[str, ...] = ()
    required: bool | None = None
    examples: tuple[tuple[Any, Any], ...] = ()
    description: str | None = None
    unit: str | None = None
    pattern: str | None = None
    minimum: float | int | None = None
    maximum: float | int | None = None
    model: str | None = None
    knowledge: tuple[str, ...] = ()
    read_only: bool | None = None
    cache: bool | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """From the camelCase object that `to_json` made."""
        return cls(
            prompt=stored.get("prompt"),
            confidence=stored.get("confidence"),
            options=tuple(stored.get("options", ())),
            required=stored.get("required"),
            examples=tuple((e["input"], e["output"]) for e in stored.get("examples", ())),
            description=stored.get("description"),
            unit=stored.get("unit"),
            pattern=stored.get("pattern"),
            minimum=stored.get("minimum"),
            maximum=stored.get("maximum"),
            model=stored.get("model"),
            knowledge=tuple(stored.get("knowledge", ())),
            read_only=stored.get("readOnly"),
            cache=stored.get("cache"),
        )

    def to_json(self) -> dict[str, Any]:
        """The contract's `metadata`: only what was said."""
        said: dict[str, Any] = {
            "prompt": self.prompt,
            "confidence": self.confidence,
            "options": list(self.options) or None,
            "required": self.required,
            "examples": [{"input": i, "output": o} for i, o in self.examples] or None,
            "description": self.description,
            "unit": self.unit,
            "pattern": self.pattern,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "model": self.model,
            "knowledge": list(self.knowledge) or None,
            "readOnly": self.read_only,
            "cache": self.cache,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `column_no` makes its id and stays, `physical` is where its values are now."""

    column_no: int
    physical: int
    position: int
    name: str
    data_type: DataType
    task_type: TaskType
    metadata: ColumnMetadata = field(default_factory=ColumnMetadata)

    @property
    def rules(self) -> ValueRules:
        """What its values must satisfy."""
        said = self.metadata
        return ValueRules(self.data_type, said.options, said.pattern, said.minimum, said.maximum)

    @property
    def in_grid(self) -> GridColumn:
        """The column as its grid knows it."""
        return GridColumn(self.physical, self.data_type)


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column to be made."""

    name: str
    data_type: DataType
    task_type: TaskType
    metadata: ColumnMetadata = field(default_factory=ColumnMetadata)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset without its columns and rows."""

    dataset_id: UUID
    workspace_id: UUID
    name: str
    description: str | None
    type: DatasetType
    config: Mapping[str, Any]
    status: DatasetStatus
    error: Mapping[str, Any] | None
    grid_no: int
    active_task_id: UUID | None
    created_at: datetime
    updated_at: datetime
    row_count: int
    column_count: int
    datasource_ids: tuple[UUID, ...]

    @property
    def key(self) -> str:
        """The start of the ids of its rows, columns and cells."""
        return dataset_key(self.dataset_id)


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record of a data source, counted from 1; of a document, 0 is the document as a whole."""

    datasource_id: UUID
    record: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row: values and cell metadata by column number; a cell without metadata has no entry."""

    row_no: int
    values: Mapping[int, str | None]
    metadata: Mapping[int, Mapping[str, Any]]


WriterKind = Literal["user", "task", "import"]
WriteAction = Literal["write", "approve", "reject", "revert"]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: a key (`user`), a task with its batch, or the import of a data source."""

    kind: WriterKind
    id: UUID | None
    batch_no: int | None = None
    action: WriteAction = "write"


@dataclass(frozen=True, slots=True)
class CellWrite:
    """A cell's new value (unless `keep_value`) and metadata (`None`: none, as after a person's edit)."""

    row_no: int
    column_no: int
    value: str | None
    keep_value: bool = False
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One write of a cell, as it left the cell."""

    row_no: int
    column_no: int
    value: str | None
    metadata: Mapping[str, Any] | None
    writer: Writer
    written_at: datetime


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """Rows `first_row … last_row` of which `rows` have `cells` cells to fill."""

    first_row: int
    last_row: int
    rows: int
    cells: int


@dataclass(frozen=True, slots=True)
class RowPlan:
    """The batches of a selection: `cells` to fill in all, `filled` selected ones left as they are."""

    batches: Sequence[PlannedBatch]
    cells: int
    filled: int


@dataclass(frozen=True, slots=True)
class Reverted:
    """What undoing a task did; `cells_left` were written by someone else since."""

    cells: int
    rows: int
    cells_left: int


@dataclass(frozen=True, slots=True)
class FilledRow:
    """A row to learn from; `vouched` are the columns whose value a person wrote or approved."""

    row: Row
    vouched: frozenset[int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person's word on a `value` that a task wrote, with the `metadata` it then had.

    `truth` is what stands there after it: the same value (approved), another one (edited), or
    `None` (rejected or emptied).
    """

    row_no: int
    column_no: int
    value: str
    truth: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DatasetLimits:
    """What an operator allows; `None` is no limit. `rows`: in all datasets of a workspace."""

    rows: int | None = None
