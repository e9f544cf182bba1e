"""From a place to the cells of its row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gridmill.kit.values import coerce
from gridmill.operations.map_extraction.matching import Match
from gridmill.operations.model import CellError, CellOutcome, CellStatus, ColumnSpec, RowInput
from gridmill.operations.outcomes import grade_cell
from gridmill.providers.places.attributes import read_attribute
from gridmill.providers.places.model import Place

PROVIDER = "map"
_POINT_ATTRIBUTES = frozenset(
    {"latitude", "longitude", "location", "geometry", "address", "street", "housenumber",
     "postcode", "city", "license"}
)  # fmt: skip
"""What an address says of a row; its feature is not the row's."""


def answer_cell(
    row_no: int, column: ColumnSpec, attribute: str | None, place: Place, *, method: str = "source"
) -> CellOutcome:
    """What the place says for a column: the source's own word, or why there is none."""
    if attribute is None:
        message = "Nothing that is known of places fits this column's name, type or prompt."
        return leave_empty(row_no, column, CellError("NOT_CONFIDENT", message))
    text = read_attribute(place, attribute)
    if text is None:
        message = f"The source has no {attribute.replace('_', ' ')} of this place."
        return leave_empty(row_no, column, CellError("NOT_CONFIDENT", message))
    try:
        value = coerce(text, column.rules)
    except ValueError as error:
        return leave_empty(row_no, column, CellError("VALUE_MISMATCH", str(error)))
    return CellOutcome(
        row_no,
        column.number,
        CellStatus.OK,
        value=value,
        factors={"method": method},
        sources=[source.to_wire() for source in place.sources],
        provider=PROVIDER,
    )


def leave_empty(row_no: int, column: ColumnSpec, error: CellError) -> CellOutcome:
    """The cell keeps its value and says why."""
    return CellOutcome(row_no, column.number, CellStatus.ERROR, error=error, provider=PROVIDER)


def to_outcomes(
    row: RowInput, columns: Sequence[ColumnSpec], attributes: Mapping[int, str], match: Match
) -> list[CellOutcome]:
    """The wanted cells of a row whose place was found; a guess is graded by its confidence."""
    cells: list[CellOutcome] = []
    for column in columns:
        attribute = attributes.get(column.number)
        if match.is_point and attribute not in _POINT_ATTRIBUTES:
            message = "No place of the source fits this row, only an address."
            cells.append(leave_empty(row.row_no, column, CellError("NOT_CONFIDENT", message)))
            continue
        cell = answer_cell(row.row_no, column, attribute, match.place, method=match.method)
        cells.append(_grade(row, column, cell, match))
    return cells


def _grade(row: RowInput, column: ColumnSpec, cell: CellOutcome, match: Match) -> CellOutcome:
    if match.confidence is None or cell.status is not CellStatus.OK or cell.value is None:
        return cell
    factors: dict[str, Any] = {"method": match.method, "calibrated": True}
    graded = grade_cell(
        row, column, cell.value, match.confidence, factors=factors, sources=cell.sources
    )
    return replace(graded, provider=PROVIDER)
