"""Wire shapes of `/datasources`."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from gridmill.datasources.model import DataSource, LinkedDataset, SourceColumn
from gridmill.datasources.parsing.files import PREVIEW_ROWS
from gridmill.datasources.parsing.model import MAX_COLUMNS, Format, ParsedColumn, Preview
from gridmill.kit import clock
from gridmill.kit.http import PAGE_LIMIT, ListQuery, PaginationReply, WireModel
from gridmill.kit.values import DataType, to_wire
from gridmill.storage.grids import GridPage

_Column = SourceColumn | ParsedColumn
_Row = Annotated[list[Any], Field(max_length=MAX_COLUMNS)]
_ROW_PAGE_LIMIT = 1_000

UPLOAD_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "At most 100 MB"},
        "name": {"type": "string", "maxLength": 255, "description": "Instead of the file's name"},
        "webhookId": {"type": "string", "description": "Told when the file was read"},
        "encoding": {"type": "string", "description": "Such as utf-8, utf-16, windows-1252"},
        "delimiter": {"type": "string", "description": "One character, or the word tab"},
        "header": {
            "type": "string",
            "enum": ["true", "false"],
            "description": "Whether the first row names the columns",
        },
        "sheet": {"type": "string", "maxLength": 255, "description": "The one sheet to read"},
    },
}
"""The form of an upload, as JSON schema."""

PREVIEW_FORM: dict[str, Any] = {
    **UPLOAD_FORM,
    "properties": {
        name: field
        for name, field in UPLOAD_FORM["properties"].items()
        if name not in {"name", "webhookId"}
    },
}
"""The form of a preview: an upload's, without what only stored files have."""


class SourceListQuery(ListQuery):
    """Which sources to list."""

    status: Literal["processing", "completed", "failed"] | None = None
    content_type: str | None = Field(default=None, min_length=1, max_length=100)


class SourceDataQuery(ListQuery):
    """Which rows to read, and in which order."""

    limit: int = Field(default=50, ge=1, le=_ROW_PAGE_LIMIT, description="Rows a page")
    sort: str | None = Field(default=None, min_length=1, description="Column to order by")
    order: Literal["asc", "desc"] = "asc"
    filter: str | None = Field(
        default=None, description="Such as `age >= 18 and city is not empty`"
    )


class DownloadCreate(WireModel):
    """How long a link is to work, in seconds."""

    expires_in: int = Field(default=3600, ge=1, le=86_400)


class DownloadReply(WireModel):
    """A link that works without a key."""

    download_url: str
    expires_at: str
    file_name: str


class SourceErrorReply(WireModel):
    """Why a file could not be read."""

    code: str
    message: str


class SourceItem(WireModel):
    """A data source in a list."""

    datasource_id: str
    file_name: str
    content_type: str
    file_size: int
    status: Literal["processing", "completed", "failed"]
    uploaded_at: str
    processed_at: str | None
    row_count: int | None
    column_count: int | None
    page_count: int | None
    error: SourceErrorReply | None


class SourceColumnReply(WireModel):
    """A column of a data source."""

    name: str
    data_type: DataType


class LinkedDatasetReply(WireModel):
    """A dataset that takes records from a data source."""

    dataset_id: str
    name: str


class SourceReply(SourceItem):
    """A data source by itself."""

    columns: list[SourceColumnReply] = Field(max_length=MAX_COLUMNS)
    linked_datasets: list[LinkedDatasetReply]


class PreviewReply(WireModel):
    """How a file would be read, and its first rows: `rows[i][j]` is the value of column `j`.

    `encoding`, `delimiter`, `header` and `sheet` may be sent back as they are. They are `null`
    where the format has no such thing, `sheet` where several are read, `header` also where these
    differ in it. `sheets` are all sheets of a workbook.
    """

    file_name: str
    content_type: str
    encoding: str | None
    delimiter: str | None
    header: bool | None
    sheet: str | None
    sheets: list[str] | None
    columns: list[SourceColumnReply] = Field(max_length=MAX_COLUMNS)
    rows: list[_Row] = Field(max_length=PREVIEW_ROWS)


class SourceListReply(WireModel):
    """A page of data sources, newest first."""

    data_sources: list[SourceItem] = Field(max_length=PAGE_LIMIT)
    pagination: PaginationReply


class SourceDataReply(WireModel):
    """A page of rows: `data[i][j]` is the value of column `j`."""

    columns: list[SourceColumnReply] = Field(max_length=MAX_COLUMNS)
    data: list[_Row] = Field(max_length=_ROW_PAGE_LIMIT)
    pagination: PaginationReply


def write_item(source: DataSource) -> dict[str, object]:
    """A `SourceItem`."""
    completed = source.grid_no is not None
    error = source.error
    return {
        "datasourceId": source.datasource_id,
        "fileName": source.file_name,
        "contentType": source.content_type,
        "fileSize": source.file_size,
        "status": source.status,
        "uploadedAt": clock.to_wire(source.uploaded_at),
        "processedAt": clock.to_wire(source.processed_at),
        "rowCount": source.row_count,
        "columnCount": len(source.columns) if completed else None,
        "pageCount": source.page_count,
        "error": None if error is None else {"code": error.code, "message": error.message},
    }


def write_source(source: DataSource, linked: Iterable[LinkedDataset]) -> dict[str, object]:
    """A `SourceReply`."""
    return {
        **write_item(source),
        "columns": _write_columns(source.columns),
        "linkedDatasets": [{"datasetId": one.dataset_id, "name": one.name} for one in linked],
    }


def write_data(source: DataSource, page: GridPage) -> dict[str, object]:
    """A `SourceDataReply`."""
    return {
        "columns": _write_columns(source.columns),
        "data": [_write_row(row.values, source.columns) for row in page.rows],
        "pagination": page.pagination.to_wire(),
    }


def write_preview(file_name: str, content_type: Format, preview: Preview) -> dict[str, object]:
    """A `PreviewReply`."""
    dialect = preview.dialect
    return {
        "fileName": file_name,
        "contentType": content_type,
        "encoding": dialect.encoding,
        "delimiter": dialect.delimiter,
        "header": dialect.header,
        "sheet": dialect.sheet,
        "sheets": dialect.sheets,
        "columns": _write_columns(preview.columns),
        "rows": [_write_row(row, preview.columns) for row in preview.rows],
    }


def _write_columns(columns: Sequence[_Column]) -> list[dict[str, object]]:
    return [{"name": column.name, "dataType": column.data_type} for column in columns]


def _write_row(texts: Iterable[str | None], columns: Sequence[_Column]) -> list[object]:
    pairs = zip(texts, columns, strict=True)
    return [to_wire(text, column.data_type) for text, column in pairs]
