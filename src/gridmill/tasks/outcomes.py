"""From what operations answered to what is written: pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from gridmill.datasets.model import CellWrite
from gridmill.kit.clock import to_wire
from gridmill.operations.model import CellError, CellOutcome, CellStatus, RowInput

_MESSAGE_CHARACTERS = 2_000
NO_DOCUMENT = CellError(
    "NO_DOCUMENT",
    "This row was not made from a document, so there is nothing to extract from: fill the cell "
    "yourself, or change the column's taskType.",
)


def refuse_cells(rows: Iterable[RowInput], error: CellError) -> list[CellOutcome]:
    """The same error for every wanted cell."""
    return [
        CellOutcome(row.row_no, number, CellStatus.ERROR, error=error)
        for row in rows
        for number in row.wanted
    ]


def skip_cells(rows: Iterable[RowInput]) -> list[CellOutcome]:
    """Every wanted cell as not tried."""
    return [
        CellOutcome(row.row_no, number, CellStatus.SKIPPED) for row in rows for number in row.wanted
    ]


def match_outcomes(
    rows: Sequence[RowInput], found: Iterable[CellOutcome], missing: CellError
) -> list[CellOutcome]:
    """Exactly one outcome for every wanted cell: strays are dropped, gaps become `missing`."""
    by_cell = {(cell.row_no, cell.column_no): cell for cell in found}
    return [
        by_cell.get((row.row_no, number))
        or CellOutcome(row.row_no, number, CellStatus.ERROR, error=missing)
        for row in rows
        for number in row.wanted
    ]


def with_answers(
    rows: Sequence[RowInput], names: Mapping[int, str], found: Iterable[CellOutcome]
) -> list[RowInput]:
    """The rows with the values that were just found, for what is filled after them."""
    values: dict[int, dict[str, str | None]] = {}
    for cell in found:
        if cell.status in {CellStatus.OK, CellStatus.NEEDS_REVIEW}:
            values.setdefault(cell.row_no, {})[names[cell.column_no]] = cell.value
    return [
        replace(row, values={**row.values, **values[row.row_no]}) if row.row_no in values else row
        for row in rows
    ]


def to_writes(
    cells: Iterable[CellOutcome], operations: Mapping[int, str], task_id: UUID, moment: datetime
) -> list[CellWrite]:
    """What is written for each cell that was tried; a cell with an error keeps its value.

    `operations` names each column's operation, `moment` is when the answers were there.
    """
    generated_at = to_wire(moment)
    return [
        CellWrite(
            cell.row_no,
            cell.column_no,
            cell.value,
            keep_value=cell.status is CellStatus.ERROR,
            metadata=_to_metadata(cell, operations[cell.column_no], str(task_id), generated_at),
        )
        for cell in cells
        if cell.status is not CellStatus.SKIPPED
    ]


def _to_metadata(
    cell: CellOutcome, operation: str, task_id: str, generated_at: str | None
) -> dict[str, Any]:
    error = None
    if cell.error is not None:
        error = {**cell.error.to_wire(), "message": cell.error.message[:_MESSAGE_CHARACTERS]}
    return {
        "status": cell.status.value,
        "confidence": cell.confidence,
        "confidenceFactors": None if cell.factors is None else dict(cell.factors),
        "sources": [dict(source) for source in cell.sources],
        "provider": cell.provider,
        "model": cell.model,
        "operation": operation,
        "taskId": task_id,
        "generatedAt": generated_at,
        "error": error,
        "hiddenText": cell.hidden_text,
    }
