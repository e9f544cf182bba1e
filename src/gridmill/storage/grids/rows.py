"""Rows by number: read, deleted, counted by block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from gridmill.storage.database import Tx
from gridmill.storage.grids.conditions import Condition
from gridmill.storage.grids.tables import column, mark_write, table

BLOCK_SHIFT = 10
_NO_METADATA: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row: values in the order asked for, metadata by physical column number (as text)."""

    row_no: int
    values: tuple[str | None, ...]
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a position of plain order is: `skip` live rows (fewer than 1,024) on from `row_no`."""

    row_no: int
    skip: int = 0


def row_columns(physicals: Sequence[int], *, with_metadata: bool) -> sql.Composed:
    """The SELECT list that `to_row` reads."""
    head = sql.SQL("row_no, m") if with_metadata else sql.SQL("row_no, NULL::jsonb")
    return sql.SQL(", ").join([head, *(column(physical) for physical in physicals)])


def to_row(record: Sequence[Any]) -> GridRow:
    """A record of `row_columns` as a `GridRow`."""
    return GridRow(record[0], tuple(record[2:]), record[1] or _NO_METADATA)


async def read_rows(
    tx: Tx,
    grid_no: int,
    physicals: Sequence[int],
    *,
    row_nos: Sequence[int] | None = None,
    first: int = 1,
    last: int | None = None,
    limit: int | None = None,
    where: Condition | None = None,
    with_metadata: bool = True,
) -> list[GridRow]:
    """Rows in order of their numbers: those of `row_nos`, or those from `first` to `last`.

    At most `limit` rows, only those for which `where` holds; numbers without a row are left out.
    Walk a whole grid by key with `first = rows[-1].row_no + 1`.
    """
    parts: list[sql.Composable] = [sql.SQL("row_no >= %s")]
    params: list[Any] = [first]
    if last is not None:
        parts.append(sql.SQL("row_no <= %s"))
        params.append(last)
    if row_nos is not None:
        parts.append(sql.SQL("row_no = ANY(%s::bigint[])"))
        params.append(list(row_nos))
    if where is not None:
        parts.append(where.sql)
        params.extend(where.params)
    cursor = await tx.execute(
        sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY row_no LIMIT %s").format(
            row_columns(physicals, with_metadata=with_metadata),
            table(grid_no),
            sql.SQL(" AND ").join(parts),
        ),
        [*params, limit],
    )
    return [to_row(record) for record in await cursor.fetchall()]


async def find_missing_rows(tx: Tx, grid_no: int, row_nos: Sequence[int], limit: int) -> list[int]:
    """Up to `limit` of `row_nos`, in their order, that name no row."""
    cursor = await tx.execute(
        sql.SQL(
            "SELECT w.row_no FROM unnest(%s::bigint[]) WITH ORDINALITY AS w(row_no, n) "
            "WHERE NOT EXISTS (SELECT 1 FROM {} g WHERE g.row_no = w.row_no) ORDER BY n LIMIT %s"
        ).format(table(grid_no)),
        [list(row_nos), limit],
    )
    return [record[0] for record in await cursor.fetchall()]


async def delete_rows(tx: Tx, grid_no: int, row_nos: Sequence[int]) -> int:
    """Delete rows by number; how many there were."""
    return await _delete(tx, grid_no, sql.SQL("row_no = ANY(%s::bigint[])"), [list(row_nos)])


async def delete_range(tx: Tx, grid_no: int, first: int, last: int) -> int:
    """Delete the rows from `first` to `last`, both included; how many there were."""
    return await _delete(tx, grid_no, sql.SQL("row_no BETWEEN %s AND %s"), [first, last])


async def _delete(tx: Tx, grid_no: int, which: sql.Composable, params: Sequence[Any]) -> int:
    # The registry row first: whoever changes the number of rows waits here, in one order.
    await tx.execute("SELECT 1 FROM grids WHERE grid_no = %s FOR NO KEY UPDATE", [grid_no])
    await tx.execute(
        sql.SQL("SELECT 1 FROM {} WHERE {} ORDER BY row_no FOR UPDATE").format(
            table(grid_no), which
        ),
        params,
    )
    cursor = await tx.execute(
        sql.SQL(
            "WITH gone AS (DELETE FROM {} WHERE {} RETURNING row_no), "
            "blocks AS (INSERT INTO grid_blocks AS b (grid_no, block_no, gone) "
            "SELECT %s, (row_no - 1) >> %s, count(*) FROM gone GROUP BY 2 "
            "ON CONFLICT (grid_no, block_no) DO UPDATE SET gone = b.gone + excluded.gone) "
            "SELECT count(*) FROM gone"
        ).format(table(grid_no), which),
        [*params, grid_no, BLOCK_SHIFT],
    )
    row = await cursor.fetchone()
    count = int(row[0]) if row else 0
    if count:
        await tx.execute(
            "UPDATE grids SET row_count = row_count - %s WHERE grid_no = %s", [count, grid_no]
        )
        await mark_write(tx, grid_no)
    return count


async def locate_position(tx: Tx, grid_no: int, position: int) -> Position:
    """Where the row at 0-based `position` is, by the directory of deleted rows."""
    cursor = await tx.execute(
        "WITH counted AS (SELECT block_no, sum(gone) OVER (ORDER BY block_no) AS through "
        "FROM grid_blocks WHERE grid_no = %(grid)s), "
        "passed AS (SELECT block_no, through FROM counted "
        "WHERE ((block_no + 1) << %(shift)s) - through <= %(position)s "
        "ORDER BY block_no DESC LIMIT 1) "
        "SELECT (SELECT through FROM passed), (SELECT min(block_no) FROM grid_blocks "
        "WHERE grid_no = %(grid)s AND block_no > coalesce((SELECT block_no FROM passed), -1))",
        {"grid": grid_no, "shift": BLOCK_SHIFT, "position": position},
    )
    row = await cursor.fetchone()
    gone = int(row[0] or 0) if row else 0
    next_hole: int | None = row[1] if row else None
    place = position + gone
    if next_hole is not None and place >= next_hole << BLOCK_SHIFT:
        start = next_hole << BLOCK_SHIFT
        return Position(start + 1, place - start)
    return Position(place + 1)
