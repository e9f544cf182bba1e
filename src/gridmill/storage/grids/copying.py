"""Rows in, in bulk: by COPY from a parser, from grid to grid, or as an insert.

Row numbers are always `last_row + 1 …` of the registry, taken under its lock, so that they have
no gaps and a position is a row number until something is deleted.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from psycopg import sql

from gridmill.storage.database import Tx
from gridmill.storage.grids.tables import column_list, mark_write, table


async def copy_rows(
    tx: Tx,
    grid_no: int,
    columns: int,
    rows: Iterable[Sequence[str | None]] | AsyncIterable[Sequence[str | None]],
) -> int:
    """Append rows of exactly `columns` values (physical columns `1 … columns`) through COPY.

    Returns the number of rows. An empty grid is filled without a trace in the write-ahead log
    that VACUUM would come back for (TRUNCATE, then COPY FREEZE).
    """
    count = 0
    async with (
        _filling(tx, grid_no, range(1, columns + 1)) as statement,
        tx.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        if isinstance(rows, AsyncIterable):
            async for row in rows:
                await copy.write_row(row)
                count += 1
        else:
            for row in rows:
                await copy.write_row(row)
                count += 1
    await _take_numbers(tx, grid_no, count)
    return count


async def copy_text(tx: Tx, grid_no: int, columns: int, chunks: AsyncIterable[bytes]) -> int:
    r"""Append rows that are already written as COPY text: the fastest way in.

    One row a line with exactly `columns` cells parted by tabs, `\N` for an empty one; backslash,
    tab and line ends are escaped by a backslash. Unlike CSV it has no text that means its own
    end. Returns the number of rows.
    """
    async with _filling(tx, grid_no, range(1, columns + 1)) as statement, tx.cursor() as cursor:
        async with cursor.copy(statement) as copy:
            async for chunk in chunks:
                await copy.write(chunk)
        count = cursor.rowcount
    await _take_numbers(tx, grid_no, count)
    return count


async def copy_between(
    tx: Tx,
    source_grid: int,
    target_grid: int,
    mapping: Mapping[int, int],
    *,
    first_record: int = 1,
    limit: int | None = None,
) -> tuple[int, int] | None:
    """Append records of one grid to another, inside the server.

    `mapping` is source physical → target physical. Records are the source's row numbers from
    `first_record` on, at most `limit` of them. Returns the first and last row number made, or
    `None` when there was nothing to copy.
    """
    bounds = await tx.execute(
        sql.SQL("SELECT count(*) FROM (SELECT 1 FROM {} WHERE row_no >= %s LIMIT %s) r").format(
            table(source_grid)
        ),
        [first_record, limit],
    )
    row = await bounds.fetchone()
    count = int(row[0]) if row else 0
    if count == 0:
        return None
    first = await _take_numbers(tx, target_grid, count)
    into = [sql.SQL("row_no"), *(sql.Identifier(f"k{target}") for target in mapping.values())]
    picked = [
        sql.SQL("%s::bigint + row_number() OVER (ORDER BY row_no) - 1"),
        *(sql.Identifier(f"k{source}") for source in mapping),
    ]
    await tx.execute(
        sql.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM {} WHERE row_no >= %s ORDER BY row_no LIMIT %s"
        ).format(
            table(target_grid),
            sql.SQL(", ").join(into),
            sql.SQL(", ").join(picked),
            table(source_grid),
        ),
        [first, first_record, count],
    )
    return first, first + count - 1


async def insert_rows(
    tx: Tx, grid_no: int, physicals: Sequence[int], rows: Sequence[Sequence[str | None]]
) -> int:
    """Append `rows`, their values in the order of `physicals`; the first row number."""
    first = await _take_numbers(tx, grid_no, len(rows))
    names = [sql.SQL("row_no"), *(sql.Identifier(f"k{int(physical)}") for physical in physicals)]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table(grid_no), sql.SQL(", ").join(names))
    async with tx.cursor() as cursor, cursor.copy(statement) as copy:
        for row_no, row in enumerate(rows, first):
            await copy.write_row((row_no, *row))
    return first


@asynccontextmanager
async def _filling(tx: Tx, grid_no: int, physicals: Sequence[int]) -> AsyncGenerator[sql.Composed]:
    """The COPY statement to run meanwhile; an empty grid has its key again afterwards.

    To sort a million numbers once costs half of what it costs to enter them one by one.
    """
    cursor = await tx.execute(
        "SELECT last_row FROM grids WHERE grid_no = %s FOR NO KEY UPDATE", [grid_no]
    )
    row = await cursor.fetchone()
    last_row: int = row[0] if row else 0
    names, into = column_list(physicals), table(grid_no)
    if last_row:
        await tx.execute(
            sql.SQL("ALTER TABLE {} ALTER COLUMN row_no RESTART WITH {}").format(
                into, sql.Literal(last_row + 1)
            )
        )
        yield sql.SQL("COPY {} ({}) FROM STDIN").format(into, names)
        return
    await tx.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(into))
    found = await tx.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'p'",
        [f"grid_{int(grid_no)}"],
    )
    for (key,) in await found.fetchall():
        await tx.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(into, sql.Identifier(key))
        )
    yield sql.SQL("COPY {} ({}) FROM STDIN (FREEZE)").format(into, names)
    await tx.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (row_no)").format(into))


async def _take_numbers(tx: Tx, grid_no: int, count: int) -> int:
    cursor = await tx.execute(
        "UPDATE grids SET last_row = last_row + %s, row_count = row_count + %s WHERE grid_no = %s "
        "RETURNING last_row - %s + 1",
        [count, count, grid_no, count],
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the caller holds a grid that exists
    await mark_write(tx, grid_no)
    return int(row[0])
