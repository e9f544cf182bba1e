"""What replies say of datasets: plain dicts, written as JSON once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from gridmill.datasets.model import Column, Dataset, HistoryEntry, Row, Writer
from gridmill.datasets.views import DataPage
from gridmill.kit.clock import to_wire as time_to_wire
from gridmill.kit.ids import encode_cell, encode_column, encode_row
from gridmill.kit.values import DataType, to_wire

_METADATA = (
    "status",
    "confidence",
    "confidenceFactors",
    "sources",
    "provider",
    "model",
    "operation",
    "taskId",
    "generatedAt",
    "error",
    "hiddenText",
)
_PLAIN_TYPES = frozenset(
    {
        DataType.TEXT,
        DataType.DATE,
        DataType.DATETIME,
        DataType.ENUM,
        DataType.URL,
        DataType.EMAIL,
        DataType.PHONE,
    }
)


def dataset_to_wire(dataset: Dataset) -> dict[str, Any]:
    """An item of the list."""
    return {
        "datasetId": str(dataset.dataset_id),
        "name": dataset.name,
        "description": dataset.description,
        "type": dataset.type.value,
        "status": dataset.status.value,
        "error": dataset.error,
        "createdAt": time_to_wire(dataset.created_at),
        "updatedAt": time_to_wire(dataset.updated_at),
        "rowCount": dataset.row_count,
        "columnCount": dataset.column_count,
        "linkedDatasources": [str(source) for source in dataset.datasource_ids],
        "locked": dataset.active_task_id is not None,
        "activeTaskId": _id(dataset.active_task_id),
    }


def dataset_with_columns(dataset: Dataset, columns: Sequence[Column]) -> dict[str, Any]:
    """A dataset with its columns and config."""
    return {
        **dataset_to_wire(dataset),
        "columnCount": len(columns),
        "columns": [column_to_wire(dataset.key, column) for column in columns],
        "config": dataset.config,
    }


def column_to_wire(key: str, column: Column) -> dict[str, Any]:
    """A column."""
    return {
        "columnId": encode_column(key, column.column_no),
        "name": column.name,
        "dataType": column.data_type.value,
        "taskType": column.task_type.value,
        "metadata": column.metadata.to_json(),
        "position": column.position,
    }


def metadata_to_wire(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A cell's metadata with every field of the contract; `None` for what a person wrote."""
    if metadata is None:
        return None
    return {name: metadata.get(name) for name in _METADATA}


def cell_to_wire(key: str, row: Row, column: Column) -> dict[str, Any]:
    """A cell by itself."""
    number = column.column_no
    return {
        "cellId": encode_cell(key, row.row_no, number),
        "rowId": encode_row(key, row.row_no),
        "columnId": encode_column(key, number),
        "value": to_wire(row.values[number], column.data_type),
        "metadata": metadata_to_wire(row.metadata.get(number)),
    }


def page_to_wire(dataset: Dataset, page: DataPage, *, values_only: bool) -> dict[str, Any]:
    """The data page: `data[i]` belongs to `rowIds[i]`."""
    key = dataset.key
    write = _write_values if values_only else _write_cells
    return {
        "datasetId": str(dataset.dataset_id),
        "columns": [column_to_wire(key, column) for column in page.columns],
        "rowIds": [encode_row(key, row.row_no) for row in page.rows],
        "data": write(key, page),
        "pagination": page.pagination.to_wire(),
    }


def history_to_wire(entry: HistoryEntry, column: Column) -> dict[str, Any]:
    """One write of a cell."""
    return {
        "value": to_wire(entry.value, column.data_type),
        "metadata": metadata_to_wire(entry.metadata),
        "writtenBy": writer_to_wire(entry.writer),
        "writtenAt": time_to_wire(entry.written_at),
    }


def writer_to_wire(writer: Writer) -> dict[str, Any]:
    """Who wrote."""
    return {"kind": writer.kind, "id": _id(writer.id)}


def value_writer(data_type: DataType) -> Callable[[str | None], Any]:
    """How texts of that type become JSON values; most types are their own text."""
    if data_type in _PLAIN_TYPES:
        return lambda text: text
    return lambda text: to_wire(text, data_type)


def _write_values(key: str, page: DataPage) -> list[list[Any]]:
    del key
    writers = [(column.column_no, value_writer(column.data_type)) for column in page.columns]
    return [[write(row.values[number]) for number, write in writers] for row in page.rows]


def _write_cells(key: str, page: DataPage) -> list[list[Any]]:
    writers = [
        (column.column_no, f"c{column.column_no}", value_writer(column.data_type))
        for column in page.columns
    ]
    data: list[list[Any]] = []
    for row in page.rows:
        row_id = encode_row(key, row.row_no)
        data.append(
            [
                {
                    "cellId": row_id + tail,
                    "value": write(row.values[number]),
                    "metadata": metadata_to_wire(row.metadata.get(number)),
                }
                for number, tail, write in writers
            ]
        )
    return data


def _id(known: UUID | None) -> str | None:
    return None if known is None else str(known)
