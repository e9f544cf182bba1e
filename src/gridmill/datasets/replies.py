"""What replies look like, for the description of the API: the replies themselves are plain dicts."""

from typing import Annotated, Any, Literal

from pydantic import Field

from gridmill.datasets.model import (
    COLUMN_LIMIT,
    INSERT_LIMIT,
    DatasetStatus,
    DatasetType,
    TaskType,
)
from gridmill.datasets.schemas import ROW_PAGE_LIMIT
from gridmill.kit.http import PAGE_LIMIT, PaginationReply, WireModel
from gridmill.kit.values import DataType


class ColumnReply(WireModel):
    """A column."""

    column_id: str
    name: str
    data_type: DataType
    task_type: TaskType
    metadata: dict[str, Any]
    position: int


class DatasetItem(WireModel):
    """A dataset in a list."""

    dataset_id: str
    name: str
    description: str | None
    type: DatasetType
    status: DatasetStatus
    error: dict[str, str] | None
    created_at: str
    updated_at: str
    row_count: int
    column_count: int
    linked_datasources: list[str]
    locked: bool
    active_task_id: str | None


class DatasetReply(DatasetItem):
    """A dataset with its columns and config."""

    columns: list[ColumnReply] = Field(max_length=COLUMN_LIMIT)
    config: dict[str, Any]


class DatasetsReply(WireModel):
    """A page of datasets."""

    datasets: list[DatasetItem] = Field(max_length=PAGE_LIMIT)
    pagination: PaginationReply


class CellMetadataReply(WireModel):
    """Where a generated value comes from; `null` for what a person or an import wrote."""

    status: Literal["ok", "needs_review", "error"] | None
    confidence: float | None
    confidence_factors: Any
    sources: list[dict[str, Any]] | None
    provider: str | None
    model: str | None
    operation: str | None
    task_id: str | None
    generated_at: str | None
    error: dict[str, Any] | None
    hidden_text: Any


class PlacedCell(WireModel):
    """A cell of the data page."""

    cell_id: str
    value: Any
    metadata: CellMetadataReply | None


class CellReply(PlacedCell):
    """A cell by itself."""

    row_id: str
    column_id: str


_DataRow = Annotated[list[PlacedCell | Any], Field(max_length=COLUMN_LIMIT)]


class DataReply(WireModel):
    """A page of rows: `data[i]` belongs to `rowIds[i]`; bare values with `cells=values`."""

    dataset_id: str
    columns: list[ColumnReply] = Field(max_length=COLUMN_LIMIT)
    row_ids: list[str] = Field(max_length=ROW_PAGE_LIMIT)
    data: list[_DataRow] = Field(max_length=ROW_PAGE_LIMIT)
    pagination: PaginationReply


class WriterReply(WireModel):
    """Who wrote a cell."""

    kind: Literal["user", "task", "import"]
    id: str | None


class HistoryItem(WireModel):
    """One write of a cell, as it left the cell."""

    value: Any
    metadata: CellMetadataReply | None
    written_by: WriterReply
    written_at: str


class HistoryReply(WireModel):
    """A page of a cell's writes, newest first."""

    history: list[HistoryItem] = Field(max_length=PAGE_LIMIT)
    pagination: PaginationReply


class ReviewReply(WireModel):
    """How many cells changed."""

    cells: int


class RowsReply(WireModel):
    """The rows made, in the order given."""

    row_ids: list[str] = Field(max_length=INSERT_LIMIT)


class RowsDeletedReply(WireModel):
    """How many rows were deleted."""

    rows: int


class ExportReply(WireModel):
    """A link that needs no key."""

    download_url: str
    expires_at: str
    file_name: str
