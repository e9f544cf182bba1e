"""Which cells a task is about: the rules of the contract's *Selection*, pure.

Ids become numbers here; whether the rows exist is the service's to ask.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from gridmill.datasets.model import Column, TaskType
from gridmill.kit.errors import InvalidSelection
from gridmill.kit.ids import decode_cell, decode_column, decode_row
from gridmill.tasks.errors import NAMED_IDS, unknown_ids
from gridmill.tasks.model import MAX_SELECTED_IDS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What a client asks for; `None` is omitted."""

    cell_ids: Sequence[str] | None = None
    column_ids: Sequence[str] | None = None
    row_ids: Sequence[str] | None = None
    only_empty: bool = True


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cells a task is about, in numbers.

    `targets` are the columns, in order. `cells` names columns by row, or `row_nos` rows, in
    ascending order; with neither it is every row. Of the selected cells `only_empty` leaves the
    filled ones alone; they are counted as skipped when `counts_filled`.
    """

    targets: tuple[int, ...]
    only_empty: bool
    counts_filled: bool
    row_nos: tuple[int, ...] | None = None
    cells: Mapping[int, tuple[int, ...]] | None = None

    @property
    def is_listed(self) -> bool:
        """Whether rows or cells are named."""
        return self.row_nos is not None or self.cells is not None

    @property
    def named_rows(self) -> list[int]:
        """The rows that are named, ascending; empty when none is."""
        return list(self.cells if self.cells is not None else self.row_nos or ())

    def to_json(self) -> dict[str, Any]:
        """What a task's plan keeps of it; the lists are kept as rows of their own."""
        kept: dict[str, Any] = {
            "targets": list(self.targets),
            "onlyEmpty": self.only_empty,
            "countsFilled": self.counts_filled,
        }
        if self.is_listed:
            kept["listed"] = "rows" if self.cells is None else "cells"
        return kept

    @classmethod
    def from_json(
        cls, kept: Mapping[str, Any], listed: Sequence[tuple[int, Sequence[int]]] = ()
    ) -> Self:
        """From what `to_json` kept and the listed rows (row number, column numbers)."""
        by = kept.get("listed")
        return cls(
            targets=tuple(kept["targets"]),
            only_empty=kept["onlyEmpty"],
            counts_filled=kept["countsFilled"],
            row_nos=tuple(row_no for row_no, _ in listed) if by == "rows" else None,
            cells={row_no: tuple(nos) for row_no, nos in listed} if by == "cells" else None,
        )


def list_targets(columns: Sequence[Column]) -> tuple[int, ...]:
    """The columns that a task fills when none is named."""
    return tuple(column.column_no for column in columns if is_target(column))


def is_target(column: Column) -> bool:
    """Whether tasks may write the column."""
    return not column.metadata.read_only and column.task_type is not TaskType.NONE


def resolve(request: SelectionRequest, columns: Sequence[Column], key: str) -> Selection:
    """The cells that `request` names in the dataset with these columns and this id key.

    Raises:
        InvalidSelection: ids that do not go together, an empty list, too many, ids that are not
            of this dataset, or columns that no task may write.
    """
    _check_shape(request)
    counts_filled = any(
        ids is not None for ids in (request.cell_ids, request.column_ids, request.row_ids)
    )
    if request.cell_ids is not None:
        cells = _resolve_cells(request.cell_ids, columns, key)
        named = {number for numbers in cells.values() for number in numbers}
        _check_targets(columns, named, "cellIds")
        targets = tuple(c.column_no for c in columns if c.column_no in named)
        return Selection(targets, request.only_empty, counts_filled, cells=cells)
    targets = list_targets(columns)
    if request.column_ids is not None:
        known = {column.column_no for column in columns}
        named = set(
            _decode_all(
                "columnIds", request.column_ids, lambda text: _known_column(key, text, known)
            )
        )
        _check_targets(columns, named, "columnIds")
        targets = tuple(number for number in targets if number in named)
    row_nos = None
    if request.row_ids is not None:
        found = _decode_all("rowIds", request.row_ids, lambda text: decode_row(key, text))
        row_nos = tuple(sorted(set(found)))
    return Selection(targets, request.only_empty, counts_filled, row_nos=row_nos)


def _check_shape(request: SelectionRequest) -> None:
    lists = {
        "cellIds": request.cell_ids,
        "columnIds": request.column_ids,
        "rowIds": request.row_ids,
    }
    given = {name: ids for name, ids in lists.items() if ids is not None}
    if "cellIds" in given and len(given) > 1:
        raise InvalidSelection("cellIds cannot be combined with columnIds or rowIds.")
    for name, ids in given.items():
        if not ids:
            raise InvalidSelection(
                f"{name} is an empty list; leave it out to mean everything.",
                details={"field": name},
            )
        if len(ids) > MAX_SELECTED_IDS:
            raise InvalidSelection(
                f"{name} names {len(ids)} ids; at most {MAX_SELECTED_IDS} go into one call.",
                details={"field": name, "limit": MAX_SELECTED_IDS},
            )


def _resolve_cells(
    ids: Sequence[str], columns: Sequence[Column], key: str
) -> dict[int, tuple[int, ...]]:
    known = {column.column_no for column in columns}

    def decode(text: str) -> tuple[int, int] | None:
        cell = decode_cell(key, text)
        return cell if cell is not None and cell[1] in known else None

    cells: dict[int, tuple[int, ...]] = {}
    for row_no, number in sorted(set(_decode_all("cellIds", ids, decode))):
        cells[row_no] = (*cells.get(row_no, ()), number)
    return cells


def _known_column(key: str, text: str, known: set[int]) -> int | None:
    number = decode_column(key, text)
    return number if number in known else None


def _decode_all(field: str, ids: Sequence[str], decode: Callable[[str], T | None]) -> list[T]:
    found: list[T] = []
    unknown: list[str] = []
    for text in ids:
        value = decode(text)
        if value is not None:
            found.append(value)
        elif len(unknown) < NAMED_IDS:
            unknown.append(text)
    if unknown:
        raise unknown_ids(field, unknown)
    return found


def _check_targets(columns: Sequence[Column], named: set[int], field: str) -> None:
    refused = [c.name for c in columns if c.column_no in named and not is_target(c)]
    if refused:
        raise InvalidSelection(
            f"{field} names columns that tasks leave alone (readOnly, or of taskType none): "
            f"{', '.join(refused[:NAMED_IDS])}.",
            details={"field": field, "columns": refused[:NAMED_IDS]},
        )
