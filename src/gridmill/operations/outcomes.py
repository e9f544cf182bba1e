"""Making the outcome of one cell, for every operation: failed, skipped, or graded by its confidence."""

from collections.abc import Mapping, Sequence
from typing import Any

from gridmill.operations.model import CellError, CellOutcome, CellStatus, ColumnSpec, RowInput

FLOOR = 0.3
"""Below this nothing is written; the cell says NOT_CONFIDENT."""

DEFAULT_THRESHOLD = 0.5
"""More likely right than not. Below this (or the column's own `confidence`) a value is written and marked for review."""


def fail_cell(row: RowInput, column: ColumnSpec, error: CellError) -> CellOutcome:
    """The cell keeps its value and says why."""
    return CellOutcome(row.row_no, column.number, CellStatus.ERROR, error=error)


def skip_cell(row: RowInput, column: ColumnSpec) -> CellOutcome:
    """The cell was not tried and stays as it is."""
    return CellOutcome(row.row_no, column.number, CellStatus.SKIPPED)


def grade_cell(
    row: RowInput,
    column: ColumnSpec,
    value: str,
    confidence: float,
    *,
    factors: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
) -> CellOutcome:
    """Write it, write it for review, or (under the floor) do not write it."""
    if confidence < FLOOR:
        message = f"The best answer has a confidence of {confidence:.2f}, under {FLOOR:.2f}."
        return CellOutcome(
            row.row_no,
            column.number,
            CellStatus.ERROR,
            confidence=confidence,
            factors=factors,
            error=CellError("NOT_CONFIDENT", message),
        )
    threshold = DEFAULT_THRESHOLD if column.threshold is None else column.threshold
    status = CellStatus.OK if confidence >= threshold else CellStatus.NEEDS_REVIEW
    return CellOutcome(
        row.row_no,
        column.number,
        status,
        value=value,
        confidence=confidence,
        factors=factors,
        sources=tuple(sources),
    )
