"""What was written into cells, by whom, and what stood there before."""

from collections.abc import Sequence
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


async def list_cell_history(
    tx: Tx, dataset: Dataset, target: Column, row_no: int, *, offset: int, limit: int
) -> tuple[list[HistoryEntry], int]:
    """The writes of a cell, newest first, with their number.

    Beside recorded writes: the resets of its column (which emptied it), and the value that the
    row was made with, read back from the first change (or the present cell).
    """
    archives = await _list_archives(tx, dataset.dataset_id, target.column_no)
    entries = await _list_writes(
        tx, dataset.dataset_id, target.column_no, row_no, [*archives, target.physical]
    )
    present = await _read_cell(tx, dataset.grid_no, target.physical, row_no)
    lives = [(physical, *archives[physical]) for physical in archives]
    told: list[HistoryEntry] = []
    first_value: str | None = None
    for index, (physical, grid_no, reset_at, reset_by) in enumerate(lives):
        writes = [entry for number, entry, _ in entries if number == physical]
        at_reset = await _read_cell(tx, grid_no, 1, row_no)
        if index == 0:
            first_value = _first_value(entries, physical, at_reset)
        told += writes
        if at_reset is not None:
            told.append(
                HistoryEntry(
                    row_no, target.column_no, None, None, Writer("user", reset_by), reset_at
                )
            )
    if not lives:
        first_value = _first_value(entries, target.physical, present)
    told += [entry for number, entry, _ in entries if number == target.physical]
    origin = await _find_origin(tx, dataset.dataset_id, row_no)
    if first_value is not None and origin is not None:
        writer, made_at = origin
        first = HistoryEntry(row_no, target.column_no, first_value, None, writer, made_at)
        told.insert(0, first)
    told.reverse()
    return told[offset : offset + limit], len(told)


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


def _first_value(
    entries: Sequence[tuple[int, HistoryEntry, str | None]], physical: int, last: str | None
) -> str | None:
    for number, _, previous in entries:
        if number == physical:
            return previous
    return last


async def _list_archives(
    tx: Tx, dataset_id: UUID, column_no: int
) -> dict[int, tuple[int, datetime, UUID | None]]:
    cursor = await tx.execute(
        "SELECT physical, grid_no, reset_at, reset_by FROM column_archives "
        "WHERE dataset_id = %s AND column_no = %s ORDER BY physical",
        [dataset_id, column_no],
    )
    return {row[0]: (row[1], row[2], row[3]) for row in await cursor.fetchall()}


async def _list_writes(
    tx: Tx, dataset_id: UUID, column_no: int, row_no: int, physicals: Sequence[int]
) -> list[tuple[int, HistoryEntry, str | None]]:
    cursor = await tx.execute(
        "SELECT physical, value, metadata, kind, writer_id, batch_no, written_at, previous_value "
        "FROM cell_history WHERE dataset_id = %s AND row_no = %s AND physical = ANY(%s) "
        "ORDER BY physical, history_id",
        [dataset_id, row_no, list(physicals)],
    )
    return [
        (
            row[0],
            HistoryEntry(row_no, column_no, row[1], row[2], Writer(row[3], row[4], row[5]), row[6]),
            row[7],
        )
        for row in await cursor.fetchall()
    ]


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
