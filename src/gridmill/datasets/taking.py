"""Records of linked tables become rows, at an import and for new-rows alike.

Each value must satisfy the column that it comes into. A text of a source that has another type is
read anew, where its meaning is clear in its canonical form ("1,234" as an integer is 1234). A value
that does not fit is never stored and never dropped: nothing is taken, and the error names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gridmill.datasets.errors import ValueMismatch
from gridmill.datasets.linking import LinkedSource, load_links
from gridmill.datasets.model import Column, Dataset, Writer
from gridmill.datasets.repository import sources
from gridmill.datasets.repository.sources import Origin
from gridmill.kit.values import DataType, ValueRules, check_bounds, coerce, is_empty
from gridmill.storage import grids
from gridmill.storage.database import Tx

_CHUNK_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a column's new texts are read: anew, or only held against the column's rules."""

    column: Column
    anew: bool


@dataclass(frozen=True, slots=True)
class _Taken:
    """Rows that were made of records of one source; the first row is of `first_record`."""

    first: int
    last: int
    first_record: int
    file_name: str


async def count_new_records(tx: Tx, dataset: Dataset, limit: int) -> int:
    """How many rows `take_new_records` would make."""
    total, _ = await peek_new_records(tx, dataset, (), 0)
    return min(total, limit)


async def peek_new_records(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], sample: int
) -> tuple[int, list[dict[int, str | None]]]:
    """What `take_new_records` could take: how many records, and the values of the first ones.

    Up to `sample` records, their values by column number. Nothing is held or taken.
    """
    total = 0
    rows: list[dict[int, str | None]] = []
    tables = {one.datasource_id: one for one in await load_links(tx, dataset) if one.is_table}
    for link in await sources.list_links(tx, dataset.dataset_id, hold=False):
        source = tables.get(link.datasource_id)
        if source is None:
            continue
        total += max(0, await grids.count_rows(tx, source.grid_no) - link.next_record + 1)
        if len(rows) >= sample:
            continue
        by_name = {column.name: physical for physical, column in enumerate(source.columns, 1)}
        shared = [column for column in columns if column.name in by_name]
        records = await grids.read_rows(
            tx,
            source.grid_no,
            [by_name[column.name] for column in shared],
            first=link.next_record,
            limit=sample - len(rows),
            with_metadata=False,
        )
        rows += [
            dict.fromkeys((column.column_no for column in columns), None)
            | {column.column_no: v for column, v in zip(shared, record.values, strict=True)}
            for record in records
        ]
    return total, rows


async def take_new_records(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    limit: int,
    writer: Writer,
    *,
    only: UUID | None = None,
) -> list[tuple[int, int]]:
    """Append up to `limit` records of linked table sources that were not taken yet.

    Sources in the order of their links (or `only` one), columns matched by name; the ranges of row
    numbers made, empty when the sources have run out. Sources that are still read or failed, and
    documents, are passed over.

    Raises:
        ValueMismatch: a value does not fit its column; the transaction must write nothing.
    """
    made: list[tuple[int, int]] = []
    tables = {one.datasource_id: one for one in await load_links(tx, dataset) if one.is_table}
    by_name = {target.name: target for target in columns}
    for link in await sources.list_links(tx, dataset.dataset_id):
        source = tables.get(link.datasource_id)
        if source is None or limit <= 0 or only not in {None, link.datasource_id}:
            continue
        mapping = {
            physical: by_name[column.name].physical
            for physical, column in enumerate(source.columns, 1)
            if column.name in by_name
        }
        rows = await grids.copy_between(
            tx,
            source.grid_no,
            dataset.grid_no,
            mapping,
            first_record=link.next_record,
            limit=limit,
        )
        if rows is None:
            continue
        count = rows[1] - rows[0] + 1
        taken = _Taken(*rows, link.next_record, source.file_name)
        await _read_values(tx, dataset, _list_readings(source, columns), taken)
        origin = Origin(*rows, writer, link.datasource_id, link.next_record)
        await sources.insert_origins(tx, dataset.dataset_id, [origin])
        await sources.advance_link(
            tx, dataset.dataset_id, link.datasource_id, link.next_record + count
        )
        made.append(rows)
        limit -= count
    return made


def _list_readings(source: LinkedSource, columns: Sequence[Column]) -> list[_Reading]:
    """The columns whose new texts cannot be kept unseen."""
    type_of = {column.name: column.data_type for column in source.columns}
    found: list[_Reading] = []
    for column in columns:
        if column.name not in type_of:
            continue
        anew = column.data_type not in {DataType.TEXT, type_of[column.name]}
        # A source's type says that every text of it is canonical, but nothing of bounds.
        if anew or column.rules != ValueRules(column.data_type):
            found.append(_Reading(column, anew))
    return found


async def _read_values(
    tx: Tx, dataset: Dataset, readings: Sequence[_Reading], taken: _Taken
) -> None:
    if not readings:
        return
    first = taken.first
    while first <= taken.last:
        last = min(first + _CHUNK_ROWS - 1, taken.last)
        rows = await grids.read_rows(
            tx,
            dataset.grid_no,
            [reading.column.physical for reading in readings],
            first=first,
            last=last,
            with_metadata=False,
        )
        writes = [
            grids.GridWrite(row.row_no, reading.column.physical, text)
            for row in rows
            for reading, value in zip(readings, row.values, strict=True)
            if (text := _read_value(reading, value, row.row_no, taken)) != value
        ]
        await grids.write_cells(tx, dataset.grid_no, writes)
        first = last + 1


def _read_value(reading: _Reading, value: str | None, row_no: int, taken: _Taken) -> str | None:
    if value is None or is_empty(value):
        return value
    column = reading.column
    try:
        if not reading.anew:
            check_bounds(value, column.rules)
            return value
        text = coerce(value, column.rules)
        if text is not None:
            return text
        reason = "It is no value of that type."
    except ValueError as error:
        reason = str(error)
    raise ValueMismatch(
        file_name=taken.file_name,
        record=taken.first_record + row_no - taken.first,
        column=column.name,
        value=value,
        reason=f"does not fit the column's type {column.data_type.value} and its rules: {reason}",
    )
