"""Making the outcome of a cell that has an answer: written, for review, or not sure enough."""

from collections.abc import Mapping, Sequence
from typing import Any

from gridmill.operations.enrichment.confidence import DEFAULT_THRESHOLD, FLOOR
from gridmill.operations.model import CellError, CellOutcome, CellStatus, ColumnSpec, RowInput


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
