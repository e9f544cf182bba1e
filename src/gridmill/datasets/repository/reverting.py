"""Undoing what a task wrote, and settling cells that wait for review: set-based, in the server."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import sql

from gridmill.datasets.model import Column, Dataset, Writer
from gridmill.datasets.repository.history import open_journal
from gridmill.storage.database import Tx
from gridmill.storage.grids import column, mark_write, table

_CHANGES = sql.SQL(
    "SELECT row_no, {physical} AS physical, value, metadata, previous_value, previous_metadata "
    "FROM cell_changes"
)


async def revert_cells(
    tx: Tx, dataset: Dataset, target: Column, task_id: UUID, writer: Writer
) -> tuple[int, int]:
    """Put a column's cells back to before the task; how many, and how many someone wrote since.

    The caller holds the dataset alone and has deleted the task's own rows before.
    """
    # The task's first entry of a cell says what was before it; a later entry by another writer
    # says that the cell is no longer the task's to undo. If the first such entry is a revert, then
    # it is this task's own: nothing was left there.
    await _make_changes(
        tx,
        sql.SQL(
            "SELECT DISTINCT ON (h.row_no) h.row_no, h.previous_value AS value, "
            "h.previous_metadata AS metadata, g.{k} AS previous_value, "
            "g.m -> {key} AS previous_metadata, "
            "(SELECT l.action <> 'revert' FROM cell_history l WHERE l.dataset_id = h.dataset_id "
            "AND l.row_no = h.row_no AND l.physical = h.physical AND l.history_id > h.history_id "
            "AND (l.kind, l.writer_id) IS DISTINCT FROM (h.kind, h.writer_id) "
            "ORDER BY l.history_id LIMIT 1) AS taken "
            "FROM cell_history h JOIN {grid} g ON g.row_no = h.row_no "
            "WHERE h.kind = 'task' AND h.writer_id = %s AND h.dataset_id = %s "
            "AND h.physical = {physical} ORDER BY h.row_no, h.history_id"
        ),
        dataset,
        target,
        [task_id, dataset.dataset_id],
    )
    cursor = await tx.execute("DELETE FROM cell_changes WHERE taken")
    left = cursor.rowcount
    await tx.execute("DELETE FROM cell_changes WHERE NOT taken")
    return await _apply_changes(tx, dataset, target, writer), left


async def count_lost_cells(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], task_id: UUID
) -> int:
    """Cells of living rows that the task wrote into columns which were reset since, not reverted."""
    cursor = await tx.execute(
        sql.SQL(
            "SELECT count(DISTINCT (h.row_no, h.physical)) FROM cell_history h "
            "JOIN {} g ON g.row_no = h.row_no WHERE h.kind = 'task' AND h.writer_id = %s "
            "AND h.dataset_id = %s AND h.physical <> ALL(%s) "
            "AND NOT EXISTS (SELECT 1 FROM cell_history l WHERE l.dataset_id = h.dataset_id "
            "AND l.row_no = h.row_no AND l.physical = h.physical "
            "AND l.history_id > h.history_id AND l.action = 'revert')"
        ).format(table(dataset.grid_no)),
        [task_id, dataset.dataset_id, [target.physical for target in columns]],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def approve_cells(
    tx: Tx,
    dataset: Dataset,
    target: Column,
    writer: Writer,
    *,
    row_nos: Sequence[int] | None = None,
    task_id: UUID | None = None,
) -> int:
    """Turn `needs_review` into `ok` in a column's cells (of those rows, of that task); how many."""
    return await _review(
        tx,
        dataset,
        target,
        writer,
        sql.SQL(
            "SELECT g.row_no, g.{k} AS value, g.m -> {key} || "
            '\'{{"status": "ok", "approved": true}}\'::jsonb AS metadata, '
            "g.{k} AS previous_value, g.m -> {key} AS previous_metadata, NULL::boolean AS taken "
            "FROM {grid} g WHERE {waiting}"
        ),
        row_nos=row_nos,
        task_id=task_id,
    )


async def reject_cells(
    tx: Tx,
    dataset: Dataset,
    target: Column,
    writer: Writer,
    *,
    row_nos: Sequence[int] | None = None,
    task_id: UUID | None = None,
) -> int:
    """Put back what a column's `needs_review` cells held before; how many.

    Without a recorded write (there always is one) a cell becomes empty.
    """
    return await _review(
        tx,
        dataset,
        target,
        writer,
        sql.SQL(
            "SELECT g.row_no, h.previous_value AS value, h.previous_metadata AS metadata, "
            "g.{k} AS previous_value, g.m -> {key} AS previous_metadata, NULL::boolean AS taken FROM {grid} g "
            "LEFT JOIN LATERAL (SELECT previous_value, previous_metadata FROM cell_history h "
            "WHERE h.dataset_id = {dataset} AND h.row_no = g.row_no AND h.physical = {physical} "
            "ORDER BY h.history_id DESC LIMIT 1) h ON true WHERE {waiting}"
        ),
        row_nos=row_nos,
        task_id=task_id,
    )


async def _review(
    tx: Tx,
    dataset: Dataset,
    target: Column,
    writer: Writer,
    query: sql.SQL,
    *,
    row_nos: Sequence[int] | None,
    task_id: UUID | None,
) -> int:
    key = sql.Literal(str(target.physical))
    tests = [sql.SQL("g.m -> {} ->> 'status' = 'needs_review'").format(key)]
    params: list[Any] = []
    if row_nos is not None:
        tests.append(sql.SQL("g.row_no = ANY(%s::bigint[])").format())
        params.append(list(row_nos))
    if task_id is not None:
        tests.append(sql.SQL("g.m -> {} ->> 'taskId' = %s").format(key))
        params.append(str(task_id))
    waiting = sql.SQL(" AND ").join(tests)
    await _make_changes(tx, query, dataset, target, params, waiting=waiting)
    return await _apply_changes(tx, dataset, target, writer)


async def _make_changes(
    tx: Tx,
    query: sql.SQL,
    dataset: Dataset,
    target: Column,
    params: Sequence[Any],
    **more: sql.Composable,
) -> None:
    await tx.execute("DROP TABLE IF EXISTS pg_temp.cell_changes")
    filled = query.format(
        k=column(target.physical),
        key=sql.Literal(str(target.physical)),
        physical=sql.Literal(target.physical),
        dataset=sql.Literal(dataset.dataset_id),
        grid=table(dataset.grid_no),
        **more,
    )
    # A table takes no parameters in its definition: make it empty, then fill it.
    await tx.execute(
        "CREATE TEMPORARY TABLE cell_changes (row_no bigint, value text, metadata jsonb, "
        "previous_value text, previous_metadata jsonb, taken boolean) ON COMMIT DROP"
    )
    await tx.execute(sql.SQL("INSERT INTO cell_changes {}").format(filled), params)


async def _apply_changes(tx: Tx, dataset: Dataset, target: Column, writer: Writer) -> int:
    changes = _CHANGES.format(physical=sql.Literal(target.physical))
    journal = open_journal(dataset.dataset_id, writer)
    await tx.execute(journal.write(changes), journal.params)
    cursor = await tx.execute(
        sql.SQL(
            "UPDATE {grid} g SET {k} = c.value, m = CASE WHEN c.metadata IS NULL "
            "THEN nullif(g.m - {key}::text, '{{}}'::jsonb) "
            "ELSE coalesce(g.m, '{{}}'::jsonb) || jsonb_build_object({key}::text, c.metadata) END "
            "FROM cell_changes c WHERE c.row_no = g.row_no"
        ).format(
            grid=table(dataset.grid_no),
            k=column(target.physical),
            key=sql.Literal(str(target.physical)),
        )
    )
    if cursor.rowcount:
        await mark_write(tx, dataset.grid_no, [target.physical])
    return cursor.rowcount
