"""Pages by key, never by OFFSET over the whole table.

Plain order: a position is a row number until the first delete; then the block directory says
where it is. Sorted or filtered: the ordered row numbers are taken down once (4 bytes a row) and
kept until a column that it was made by is written, or rows come or go, so that every further page
is a slice. Where writes never stop, a caller may take one that is a little older.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import sql

from gridmill.kit.errors import ValidationFailed
from gridmill.kit.ids import new_uuid7, parse_uuid
from gridmill.kit.json import dump_json
from gridmill.kit.pages import PageQuery, Pagination, decode_cursor, encode_cursor
from gridmill.storage.database import Tx
from gridmill.storage.grids.conditions import Condition, GridColumn, sort_key
from gridmill.storage.grids.rows import (
    GridRow,
    Position,
    locate_position,
    read_rows,
    row_columns,
    to_row,
)
from gridmill.storage.grids.tables import count_rows, fold_marks, read_version, table

_PLAIN = "r"
_VIEW = "v"
_VIEW_LIFE = "1 hour"
_VIEWS_KEPT = 64
_ROW_BYTES = 4
_ROWS_A_SECOND = 100_000
"""How old a view may get, by the size of its grid: some ten times what it takes to make it."""


@dataclass(frozen=True, slots=True)
class Sort:
    """Order by one column, empties and texts that do not fit its type last, ties by row number.

    Without a column (`None`): by row number.
    """

    by: GridColumn | None
    descending: bool = False


@dataclass(frozen=True, slots=True)
class GridPage:
    """A page of rows and where it stands."""

    rows: list[GridRow]
    pagination: Pagination


@dataclass(frozen=True, slots=True)
class _View:
    view_id: UUID
    total: int


async def read_page(
    tx: Tx,
    grid_no: int,
    physicals: Sequence[int],
    query: PageQuery,
    *,
    sort: Sort | None = None,
    where: Condition | None = None,
    with_metadata: bool = True,
    lagging_from: datetime | None = None,
) -> GridPage:
    """The page that `query` asks for, with the exact total.

    With `lagging_from` a view that was made since that moment is good for a second per 100,000
    rows of the grid, whatever was written meanwhile: order and total are of then, values of now.

    A cursor of plain order goes on after the last row it saw. A cursor of a sorted or filtered
    view names that view: its pages belong together even when cells change meanwhile (a row
    deleted meanwhile is left out, its page is that much shorter). A view can be paged for an hour.

    Raises:
        ValidationFailed: `query.cursor` is malformed, of another grid, of another order or filter,
            or its view has expired.
    """
    if sort is None and where is None:
        return await _read_plain(tx, grid_no, physicals, query, with_metadata=with_metadata)
    key = _hash_query(sort, where)
    if query.cursor is None:
        view = await _open_view(tx, grid_no, key, sort, where, lagging_from)
        offset = query.offset
    else:
        view, offset = await _resume_view(tx, grid_no, key, query.cursor)
    row_nos = await _slice_view(tx, view.view_id, offset, query.limit)
    rows = await _read_ordered(tx, grid_no, physicals, row_nos, with_metadata=with_metadata)
    end = offset + query.limit
    following = encode_cursor(_VIEW, view.view_id, end) if end < view.total else None
    return GridPage(rows, Pagination(offset // query.limit + 1, query.limit, view.total, following))


async def _read_plain(
    tx: Tx, grid_no: int, physicals: Sequence[int], query: PageQuery, *, with_metadata: bool
) -> GridPage:
    total = await count_rows(tx, grid_no)
    if query.cursor is None:
        offset = query.offset
        if offset >= total:
            return GridPage([], Pagination(query.page, query.limit, total))
        start = await locate_position(tx, grid_no, offset)
    else:
        kind, last, seen = decode_cursor(query.cursor, 3)
        if kind != _PLAIN:
            raise _refuse("This cursor is of a sorted or filtered view; send its sort and filter.")
        start, offset = Position(_to_number(last) + 1), _to_number(seen)
    rows = await _read_from(
        tx, grid_no, physicals, start, query.limit + 1, with_metadata=with_metadata
    )
    page, more = rows[: query.limit], len(rows) > query.limit
    following = (
        encode_cursor(_PLAIN, page[-1].row_no, offset + len(page)) if page and more else None
    )
    return GridPage(page, Pagination(offset // query.limit + 1, query.limit, total, following))


async def _read_from(
    tx: Tx,
    grid_no: int,
    physicals: Sequence[int],
    start: Position,
    limit: int,
    *,
    with_metadata: bool,
) -> list[GridRow]:
    if start.skip == 0:
        return await read_rows(
            tx, grid_no, physicals, first=start.row_no, limit=limit, with_metadata=with_metadata
        )
    # The skip stays inside one block: fewer than 1,024 keys of the index.
    cursor = await tx.execute(
        sql.SQL("SELECT {} FROM {} WHERE row_no >= %s ORDER BY row_no LIMIT %s OFFSET %s").format(
            row_columns(physicals, with_metadata=with_metadata), table(grid_no)
        ),
        [start.row_no, limit, start.skip],
    )
    return [to_row(record) for record in await cursor.fetchall()]


async def _read_ordered(
    tx: Tx, grid_no: int, physicals: Sequence[int], row_nos: Sequence[int], *, with_metadata: bool
) -> list[GridRow]:
    if not row_nos:
        return []
    rows = await read_rows(tx, grid_no, physicals, row_nos=row_nos, with_metadata=with_metadata)
    found = {row.row_no: row for row in rows}
    return [found[row_no] for row_no in row_nos if row_no in found]


def _hash_query(sort: Sort | None, where: Condition | None) -> bytes:
    facts = [
        _describe_sort(sort),
        [where.sql.as_string(None), [str(p) for p in where.params]] if where else None,
        # Also tells these views from those of before, whose versions counted all writes.
        sorted(_list_columns(sort, where)),
    ]
    return hashlib.sha256(dump_json(facts)).digest()


def _describe_sort(sort: Sort | None) -> list[object] | None:
    if sort is None:
        return None
    by = () if sort.by is None else (sort.by.physical, sort.by.data_type)
    return [*by, sort.descending]


def _list_columns(sort: Sort | None, where: Condition | None) -> frozenset[int]:
    read = frozenset[int]() if where is None else where.physicals
    return read if sort is None or sort.by is None else read | {sort.by.physical}


def _write_order(sort: Sort | None) -> sql.Composable:
    if sort is None:
        return sql.SQL("row_no")
    direction = sql.SQL("DESC" if sort.descending else "ASC")
    if sort.by is None:
        return sql.SQL("row_no {}").format(direction)
    return sql.SQL("{} {} NULLS LAST, row_no").format(sort_key(sort.by), direction)


async def _open_view(  # noqa: PLR0917 (which view, and how old: each named by its type)
    tx: Tx,
    grid_no: int,
    key: bytes,
    sort: Sort | None,
    where: Condition | None,
    lagging_from: datetime | None,
) -> _View:
    # The version is read before the rows: a write in between can only make the view newer than
    # its name says, never staler.
    version = await read_version(tx, grid_no, _list_columns(sort, where))
    view = await _find_view(tx, grid_no, key, version)
    if view is None and lagging_from is not None:
        view = await _find_recent(tx, grid_no, key, lagging_from)
    if view is not None:
        return view
    await _clear_views(tx, grid_no)
    await tx.execute(
        sql.SQL(
            "INSERT INTO grid_views (view_id, grid_no, query_hash, version, total, row_nos) "
            "SELECT %s, %s, %s, %s, count(*), coalesce(string_agg(int4send(row_no::int), ''), '') "
            "FROM (SELECT row_no FROM {} WHERE {} ORDER BY {}) ordered "
            "ON CONFLICT (grid_no, query_hash, version) DO NOTHING"
        ).format(table(grid_no), where.sql if where else sql.SQL("true"), _write_order(sort)),
        [new_uuid7(), grid_no, key, version, *(where.params if where else ())],
    )
    view = await _find_view(tx, grid_no, key, version)
    assert view is not None  # noqa: S101 - just inserted, by us or by who was faster
    return view


async def _find_view(tx: Tx, grid_no: int, key: bytes, version: int) -> _View | None:
    cursor = await tx.execute(
        "SELECT view_id, total FROM grid_views "
        "WHERE grid_no = %s AND query_hash = %s AND version = %s",
        [grid_no, key, version],
    )
    row = await cursor.fetchone()
    return _View(row[0], row[1]) if row else None


async def _find_recent(tx: Tx, grid_no: int, key: bytes, since: datetime) -> _View | None:
    cursor = await tx.execute(
        "SELECT view_id, total FROM grid_views WHERE grid_no = %(grid)s AND query_hash = %(key)s "
        "AND created_at >= greatest(%(since)s, now() - (SELECT row_count FROM grids "
        "WHERE grid_no = %(grid)s) * interval '1 second' / %(pace)s) "
        "ORDER BY created_at DESC LIMIT 1",
        {"grid": grid_no, "key": key, "since": since, "pace": _ROWS_A_SECOND},
    )
    row = await cursor.fetchone()
    return _View(row[0], row[1]) if row else None


async def _resume_view(tx: Tx, grid_no: int, key: bytes, text: str) -> tuple[_View, int]:
    kind, name, offset = decode_cursor(text, 3)
    view_id = parse_uuid(name)
    if kind != _VIEW or view_id is None:
        raise _refuse("This cursor is not of this order and filter.")
    cursor = await tx.execute(
        "SELECT view_id, total, query_hash FROM grid_views WHERE view_id = %s AND grid_no = %s",
        [view_id, grid_no],
    )
    row = await cursor.fetchone()
    if row is None:
        raise _refuse("This cursor has expired; start again without it.")
    if row[2] != key:
        raise _refuse("This cursor is not of this order and filter.")
    return _View(row[0], row[1]), _to_number(offset)


async def _slice_view(tx: Tx, view_id: UUID, offset: int, limit: int) -> list[int]:
    # substring takes 32-bit positions; no view is that long (row numbers are below 2^29 here).
    start = min(offset * _ROW_BYTES + 1, 2**31 - 1)
    cursor = await tx.execute(
        "SELECT substring(row_nos FROM %s FOR %s) FROM grid_views WHERE view_id = %s",
        [start, limit * _ROW_BYTES, view_id],
    )
    row = await cursor.fetchone()
    packed: bytes = row[0] if row else b""
    return [number for (number,) in struct.iter_unpack(">i", packed)]


async def _clear_views(tx: Tx, grid_no: int) -> None:
    await tx.execute(
        "DELETE FROM grid_views WHERE view_id IN (SELECT view_id FROM grid_views "
        "WHERE created_at < now() - %s::interval OR (grid_no = %s AND view_id NOT IN "
        "(SELECT view_id FROM grid_views WHERE grid_no = %s ORDER BY created_at DESC LIMIT %s)) "
        "LIMIT 100 FOR UPDATE SKIP LOCKED)",
        [_VIEW_LIFE, grid_no, grid_no, _VIEWS_KEPT],
    )
    await fold_marks(tx, grid_no)


def _to_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise _refuse("This cursor is not one that a reply gave.")
    return int(text)


def _refuse(message: str) -> ValidationFailed:
    return ValidationFailed.of("cursor", message)
