"""What the room above asks before it makes rows up: rows to follow, and what may not be repeated."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from gridmill.datasets.linking import load_source
from gridmill.datasets.model import Column, Dataset, FilledRow, Row
from gridmill.datasets.repository import generating as repository
from gridmill.datasets.rows import read_rows
from gridmill.kit.ids import parse_uuid
from gridmill.kit.values import coerce, is_empty
from gridmill.storage import grids
from gridmill.storage.database import Tx

_LAST_ROWS = 100
_WHOLE_ROWS_OVER = 20_000
"""With more rows than this whole rows are compared here: whoever follows them knows but a sample."""


async def read_real(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int
) -> list[FilledRow]:
    """Up to `limit` rows that no task made up, in order; cells that one made up read as empty.

    Spread evenly over the table, rows without such cells first, the same every time; the last rows
    are always among them.
    """
    last = await repository.list_last_real(tx, dataset, min(_LAST_ROWS, limit))
    sample = await repository.sample_real(tx, dataset, limit)
    chosen = list(dict.fromkeys([*last, *sample]))[:limit]
    rows = await read_rows(tx, dataset, columns, row_nos=chosen)
    return [FilledRow(_hide_made_up(row), frozenset()) for row in rows]


async def read_made(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], task_id: UUID, limit: int
) -> list[Row]:
    """Up to `limit` of the rows that a task made up, in order."""
    row_nos = await repository.list_made_by(tx, dataset, task_id, limit)
    return await read_rows(tx, dataset, columns, row_nos=row_nos)


async def read_source_rows(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], datasource_id: UUID, limit: int
) -> list[FilledRow]:
    """Up to `limit` records of a table source as rows of the dataset, columns matched by name.

    Spread evenly, numbered as records. A value that does not fit its column reads as empty, as do
    columns that the source does not have; without such a source, or when it is no table, there are
    no rows.
    """
    source = await load_source(tx, dataset, datasource_id)
    if source is None or not source.is_table:
        return []
    physical_of = {column.name: physical for physical, column in enumerate(source.columns, 1)}
    shared = [column for column in columns if column.name in physical_of]
    step = max(1, -(-source.row_count // max(1, limit)))
    records = await grids.read_rows(
        tx,
        source.grid_no,
        [physical_of[column.name] for column in shared],
        row_nos=range(1, source.row_count + 1, step) if step > 1 else None,
        limit=limit,
        with_metadata=False,
    )
    empty: Mapping[int, str | None] = {column.column_no: None for column in columns}
    return [
        FilledRow(
            Row(
                record.row_no,
                {
                    **empty,
                    **{
                        column.column_no: _read_value(column, value)
                        for column, value in zip(shared, record.values, strict=True)
                    },
                },
                {},
            ),
            frozenset(),
        )
        for record in records
    ]


async def has_source_rows(tx: Tx, dataset: Dataset, datasource_id: str) -> bool:
    """Whether a data source of the dataset's workspace is a table that was read and has rows."""
    known = parse_uuid(datasource_id)
    source = None if known is None else await load_source(tx, dataset, known)
    return source is not None and source.is_table and source.row_count > 0


async def find_taken(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str | None]],
    *,
    keys: Sequence[Column],
    task_id: UUID,
) -> set[int]:
    """Which rows (values in the order of `columns`), by place in the list, cannot be added.

    Those whose text in one of `keys` stands in that column already, in a row that this task did not
    make, and those that equal a row which is not made up.
    """
    found: set[int] = set()
    place_of = {column.column_no: place for place, column in enumerate(columns)}
    for key in keys:
        place = place_of[key.column_no]
        texts = [text for row in rows if (text := row[place]) is not None]
        taken = await repository.find_taken_values(tx, dataset, key, texts, task_id)
        found |= {number for number, row in enumerate(rows) if row[place] in taken}
    if columns and dataset.row_count > _WHOLE_ROWS_OVER:
        found |= await repository.find_copies(tx, dataset, columns, rows)
    return found


def _hide_made_up(row: Row) -> Row:
    if not row.metadata:
        return row
    values = {
        number: None if _is_made_up(row, number) else value for number, value in row.values.items()
    }
    return Row(row.row_no, values, row.metadata)


def _is_made_up(row: Row, number: int) -> bool:
    said = row.metadata.get(number)
    return said is not None and said.get("operation") == "ai_generation" and "approved" not in said


def _read_value(column: Column, value: str | None) -> str | None:
    if value is None or is_empty(value):
        return None
    try:
        return coerce(value, column.rules)
    except ValueError:
        return None
