"""Which rows a document makes: one for all of it, or one for each thing that it lists."""

from collections.abc import Mapping, Sequence

from gridmill.operations.extraction.names import MATCH, compare
from gridmill.operations.model import ColumnSpec
from gridmill.providers.documents.model import Document, Record, Span

WHOLE = (0,)
"""The record number that stands for the document as a whole."""

_MOST_COLUMNS = 0.5
_LESS_FITTING = 0.5
"""A list that fits under half as well as the document's best is about something else."""


def list_records(
    document: Document, columns: Sequence[ColumnSpec], rows_per: str
) -> tuple[int, ...]:
    """The numbers of the records of `document` that become rows, in order; 0 is all of it.

    `rows_per` is the dataset's `rowsPer`. `document`: `(0,)`. `record`: the records that fit the
    columns, all of them when none has named fields; `()` when the document lists nothing. `auto`:
    those records when their fields name more than half of the columns, else `(0,)`. Raises
    `ValueError` for any other word.
    """
    if rows_per not in {"document", "record", "auto"}:
        raise ValueError(f"rowsPer is document, record or auto, not {rows_per}.")
    if rows_per == "document" or not columns:
        return WHOLE
    best, fitting = _choose_fitting(document.records, columns)
    if rows_per == "auto":
        return fitting if best > _MOST_COLUMNS * len(columns) else WHOLE
    return fitting or tuple(record.number for record in document.records)


def match_fields(names: Sequence[str], columns: Sequence[ColumnSpec]) -> Mapping[int, int]:
    """For column numbers the place in `names` of the field that bears the column's name.

    Each field goes to one column: the best pair first, of equal ones the earlier.
    """
    pairs = sorted(
        (-score, place, column.number)
        for column in columns
        for place, name in enumerate(names)
        if (score := compare(name, column.name)) >= MATCH
    )
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, place, number in pairs:
        if number not in found and place not in taken:
            found[number] = place
            taken.add(place)
    return found


def find_fields(record: Record, columns: Sequence[ColumnSpec]) -> Mapping[int, tuple[str, Span]]:
    """For column numbers the record's field that holds the column: its name and its place."""
    matched = match_fields([name for name, _ in record.fields], columns)
    return {number: record.fields[place] for number, place in matched.items()}


def _choose_fitting(
    records: Sequence[Record], columns: Sequence[ColumnSpec]
) -> tuple[int, tuple[int, ...]]:
    """The most columns that a kind of record names, and the records that fit about as well.

    Records with the same fields are of one kind, so a table that goes on over pages is one.
    """
    worth: dict[tuple[str, ...], int] = {}
    for record in records:
        kind = _list_names(record)
        if kind not in worth:
            worth[kind] = len(match_fields(kind, columns))
    best = max(worth.values(), default=0)
    if not best:
        return 0, ()
    least = max(1, best * _LESS_FITTING)
    return best, tuple(r.number for r in records if worth[_list_names(r)] >= least)


def _list_names(record: Record) -> tuple[str, ...]:
    return tuple(name for name, _ in record.fields)
