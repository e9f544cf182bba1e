"""What was written into cells, by whom, and what stood there before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import sql

from gridmill.datasets.model import Column, Dataset, HistoryEntry, Writer
from gridmill.storage.database import Tx
from gridmill.storage.grids import Journal, column, table


def open_journal(dataset_id: UUID, writer: Writer) -> Journal:
    """A journal that turns a batch's changes into history, inside the server."""
    return Journal(
        sql.SQL(
            "INSERT INTO cell_history (dataset_id, row_no, physical, value, metadata, "
            "previous_value, previous_metadata, kind, action, writer_id, batch_no) "
            "SELECT %s::uuid, c.row_no, c.physical, c.value, c.metadata, c.previous_value, "
            "c.previous_metadata, %s, %s, %s::uuid, %s::int FROM changes c"
        ).format(),
        [dataset_id, writer.kind, writer.action, writer.id, writer.batch_no],
    )


@dataclass(frozen=True, slots=True)
class _Life:
    """The writes of a cell while its column was at one physical place, and the reset after them."""

    physical: int
    writes: int
    reset: HistoryEntry | None


async def list_cell_history(
    tx: Tx, dataset: Dataset, target: Column, row_no: int, *, offset: int, limit: int
) -> tuple[list[HistoryEntry], int]:
    """The writes of a cell, newest first, with their number.

    Beside recorded writes: the resets of its column (which emptied it), and the value that the
    row was made with, read back from the first change (or the present cell).
    """
    lives = await _list_lives(tx, dataset, target, row_no)
    told: list[HistoryEntry] = []
    passed = 0
    for life in lives:
        if life.reset is not None:
            if offset <= passed < offset + limit:
                told.append(life.reset)
            passed += 1
        skip = max(0, offset - passed)
        wanted = min(life.writes - skip, limit - len(told))
        if wanted > 0 and passed < offset + limit:
            told += await _list_writes(
                tx, dataset, target, row_no, life.physical, skip=skip, limit=wanted
            )
        passed += life.writes
    first = await _find_first(tx, dataset, target, row_no, lives[-1].physical)
    if first is not None:
        if offset <= passed < offset + limit:
            told.append(first)
        passed += 1
    return told, passed


async def list_batch_writes(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], task_id: UUID, batch_no: int
) -> list[HistoryEntry]:
    """What one batch of a task wrote, by row and column; columns reset since are left out."""
    number_of = {column.physical: column.column_no for column in columns}
    cursor = await tx.execute(
        "SELECT row_no, physical, value, metadata, written_at FROM cell_history "
        "WHERE kind = 'task' AND writer_id = %s AND batch_no = %s AND dataset_id = %s "
        "AND physical = ANY(%s) ORDER BY row_no, physical",
        [task_id, batch_no, dataset.dataset_id, list(number_of)],
    )
    writer = Writer("task", task_id, batch_no)
    return [
        HistoryEntry(row[0], number_of[row[1]], row[2], row[3], writer, row[4])
        for row in await cursor.fetchall()
    ]


async def delete_history(tx: Tx, dataset_id: UUID, limit: int) -> int:
    """Delete up to `limit` entries of a dataset that is gone; how many were deleted."""
    cursor = await tx.execute(
        "DELETE FROM cell_history WHERE ctid = ANY(ARRAY(SELECT ctid FROM cell_history "
        "WHERE dataset_id = %s LIMIT %s))",
        [dataset_id, limit],
    )
    return cursor.rowcount


async def _list_lives(tx: Tx, dataset: Dataset, target: Column, row_no: int) -> list[_Life]:
    """The places that the column had, newest first; the last one is its first."""
    cursor = await tx.execute(
        "SELECT physical, grid_no, reset_at, reset_by FROM column_archives "
        "WHERE dataset_id = %s AND column_no = %s ORDER BY physical DESC",
        [dataset.dataset_id, target.column_no],
    )
    archives = await cursor.fetchall()
    cursor = await tx.execute(
        "SELECT physical, count(*) FROM cell_history "
        "WHERE dataset_id = %s AND row_no = %s AND physical = ANY(%s) GROUP BY physical",
        [dataset.dataset_id, row_no, [target.physical, *(archive[0] for archive in archives)]],
    )
    writes = {row[0]: int(row[1]) for row in await cursor.fetchall()}
    lives = [_Life(target.physical, writes.get(target.physical, 0), None)]
    for physical, grid_no, reset_at, reset_by in archives:
        reset = None
        if await _read_cell(tx, grid_no, 1, row_no) is not None:
            writer = Writer("user", reset_by)
            reset = HistoryEntry(row_no, target.column_no, None, None, writer, reset_at)
        lives.append(_Life(physical, writes.get(physical, 0), reset))
    return lives


async def _list_writes(
    tx: Tx, dataset: Dataset, target: Column, row_no: int, physical: int, *, skip: int, limit: int
) -> list[HistoryEntry]:
    cursor = await tx.execute(
        "SELECT value, metadata, kind, writer_id, batch_no, written_at FROM cell_history "
        "WHERE dataset_id = %s AND row_no = %s AND physical = %s "
        "ORDER BY history_id DESC LIMIT %s OFFSET %s",
        [dataset.dataset_id, row_no, physical, limit, skip],
    )
    return [
        HistoryEntry(
            row_no, target.column_no, row[0], row[1], Writer(row[2], row[3], row[4]), row[5]
        )
        for row in await cursor.fetchall()
    ]


async def _find_first(
    tx: Tx, dataset: Dataset, target: Column, row_no: int, physical: int
) -> HistoryEntry | None:
    """The value that the row was made with, at the first of the column's places."""
    cursor = await tx.execute(
        "SELECT previous_value FROM cell_history "
        "WHERE dataset_id = %s AND row_no = %s AND physical = %s ORDER BY history_id LIMIT 1",
        [dataset.dataset_id, row_no, physical],
    )
    change = await cursor.fetchone()
    if change is not None:
        value: str | None = change[0]
    elif physical == target.physical:
        value = await _read_cell(tx, dataset.grid_no, physical, row_no)
    else:
        value = await _read_archive(tx, dataset, physical, row_no)
    origin = await _find_origin(tx, dataset.dataset_id, row_no)
    if value is None or origin is None:
        return None
    writer, made_at = origin
    return HistoryEntry(row_no, target.column_no, value, None, writer, made_at)


async def _read_archive(tx: Tx, dataset: Dataset, physical: int, row_no: int) -> str | None:
    cursor = await tx.execute(
        "SELECT grid_no FROM column_archives WHERE dataset_id = %s AND physical = %s",
        [dataset.dataset_id, physical],
    )
    row = await cursor.fetchone()
    return await _read_cell(tx, row[0], 1, row_no) if row else None


async def _read_cell(tx: Tx, grid_no: int, physical: int, row_no: int) -> str | None:
    cursor = await tx.execute(
        sql.SQL("SELECT {} FROM {} WHERE row_no = %s").format(column(physical), table(grid_no)),
        [row_no],
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def _find_origin(tx: Tx, dataset_id: UUID, row_no: int) -> tuple[Writer, datetime] | None:
    cursor = await tx.execute(
        "SELECT kind, CASE WHEN kind = 'import' THEN datasource_id ELSE writer_id END, made_at "
        "FROM dataset_row_origins WHERE dataset_id = %s AND first_row <= %s AND last_row >= %s "
        "ORDER BY first_row DESC LIMIT 1",
        [dataset_id, row_no, row_no],
    )
    row = await cursor.fetchone()
    return (Writer(row[0], row[1]), row[2]) if row else None
