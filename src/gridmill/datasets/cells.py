"""Cells: read, edited, written by tasks, reviewed, undone; and their history."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from gridmill.auth.model import Principal
from gridmill.datasets.errors import CellNotFound
from gridmill.datasets.locking import (
    hold_for_change,
    hold_for_edit,
    lock_for_change,
    lock_for_edit,
)
from gridmill.datasets.model import (
    CellWrite,
    Column,
    Dataset,
    HistoryEntry,
    Reverted,
    Row,
    Writer,
)
from gridmill.datasets.repository import datasets as repository
from gridmill.datasets.repository import history, locks, reverting, sources
from gridmill.datasets.rows import NAMED_IDS, check_count, read_rows, refuse_ids
from gridmill.kit.errors import InvalidSelection, ValidationFailed
from gridmill.kit.ids import decode_cell, decode_column, parse_uuid
from gridmill.kit.pages import PageQuery, Pagination, decode_cursor, encode_cursor, unknown_cursor
from gridmill.kit.values import parse_wire
from gridmill.storage import grids
from gridmill.storage.database import Tx


async def write_cells(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    writes: Sequence[CellWrite],
    writer: Writer,
) -> int:
    """Write cells, each at most once a call, with their history; how many were written.

    `columns` are those of the dataset. Cells of rows or columns that are gone are left out. A
    few statements whatever the number of cells; the caller holds the lock.

    Raises:
        ValueError: a cell is named twice.
    """
    physical_of = {target.column_no: target.physical for target in columns}
    return await grids.write_cells(
        tx,
        dataset.grid_no,
        [
            grids.GridWrite(
                write.row_no,
                physical_of[write.column_no],
                write.value,
                write.keep_value,
                write.metadata,
            )
            for write in writes
            if write.column_no in physical_of
        ],
        history.open_journal(dataset.dataset_id, writer),
    )


async def get_cell(tx: Tx, dataset: Dataset, cell_id: str) -> tuple[Row, Column]:
    """The cell's row, read for its column alone, and the column.

    Raises:
        CellNotFound: malformed, of another dataset, or its row or column is gone.
    """
    place = decode_cell(dataset.key, cell_id)
    if place is None:
        raise CellNotFound
    row_no, column_no = place
    columns = await repository.list_columns(tx, dataset.dataset_id)
    target = next((one for one in columns if one.column_no == column_no), None)
    if target is None:
        raise CellNotFound
    rows = await read_rows(tx, dataset, [target], row_nos=[row_no])
    if not rows:
        raise CellNotFound
    return rows[0], target


async def edit_cell(
    tx: Tx,
    principal: Principal,
    dataset: Dataset,
    cell_id: str,
    value: Any,  # noqa: ANN401 - any JSON; the column's type says which
) -> tuple[Row, Column]:
    """A person's new value; the cell's metadata is reset. The cell as it is now.

    Raises:
        CellNotFound, DatasetLocked.
        ValidationFailed: the value does not fit the column.
    """
    await hold_for_edit(tx, dataset)
    row, target = await get_cell(tx, dataset, cell_id)
    text = _parse(value, target)
    await lock_for_edit(tx, dataset)
    write = CellWrite(row.row_no, target.column_no, text)
    if await write_cells(tx, dataset, [target], [write], Writer("user", principal.key_id)) == 0:
        raise CellNotFound
    return Row(row.row_no, {target.column_no: text}, {}), target


def _parse(value: Any, target: Column) -> str | None:  # noqa: ANN401 - any JSON
    try:
        return parse_wire(value, target.rules)
    except ValueError as error:
        raise ValidationFailed.of("value", str(error)) from None


async def list_history(
    tx: Tx, dataset: Dataset, row: Row, target: Column, query: PageQuery
) -> tuple[list[HistoryEntry], Pagination]:
    """A page of a cell's writes, newest first, down to the value that its row was made with."""
    offset = query.offset
    if query.cursor is not None:
        (text,) = decode_cursor(query.cursor, 1)
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise unknown_cursor()
        offset = int(text)
    entries, total = await history.list_cell_history(
        tx, dataset, target, row.row_no, offset=offset, limit=query.limit
    )
    end = offset + query.limit
    following = encode_cursor(end) if end < total else None
    return entries, Pagination(offset // query.limit + 1, query.limit, total, following)


async def list_batch_writes(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], task_id: UUID, batch_no: int
) -> list[HistoryEntry]:
    """What one batch of a task wrote, by row and column; columns reset since are left out."""
    return await history.list_batch_writes(tx, dataset, columns, task_id, batch_no)


async def resolve_cells(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], cell_ids: Sequence[str]
) -> list[tuple[int, int]]:
    """Cell ids as `(row_no, column_no)`, each once.

    Raises:
        InvalidSelection: no ids, over 100,000, or ids that are not of this dataset.
    """
    check_count(cell_ids, "cellIds")
    numbers = {target.column_no for target in columns}
    places: dict[tuple[int, int], str] = {}
    bad: list[str] = []
    for cell_id in cell_ids:
        place = decode_cell(dataset.key, cell_id)
        if place is None or place[1] not in numbers:
            bad.append(cell_id)
        else:
            places[place] = cell_id
    wanted = list(dict.fromkeys(row_no for row_no, _ in places))
    missing = set(await grids.find_missing_rows(tx, dataset.grid_no, wanted, NAMED_IDS))
    bad += [cell_id for (row_no, _), cell_id in places.items() if row_no in missing]
    refuse_ids(bad, "cellIds")
    return list(places)


def resolve_columns(
    dataset: Dataset, columns: Sequence[Column], column_ids: Sequence[str], field: str = "columnIds"
) -> list[Column]:
    """Column ids as columns, each once, in the order given.

    Raises:
        InvalidSelection: no ids, over 100,000, or ids that are not of this dataset.
    """
    check_count(column_ids, field)
    by_number = {target.column_no: target for target in columns}
    found: dict[int, Column] = {}
    bad: list[str] = []
    for column_id in column_ids:
        number = decode_column(dataset.key, column_id)
        target = None if number is None else by_number.get(number)
        if target is None:
            bad.append(column_id)
        else:
            found[target.column_no] = target
    refuse_ids(bad, field)
    return list(found.values())


async def review_cells(
    tx: Tx,
    principal: Principal,
    dataset: Dataset,
    action: Literal["approve", "reject"],
    *,
    cell_ids: Sequence[str] | None = None,
    task_id: UUID | None = None,
    column_ids: Sequence[str] | None = None,
) -> int:
    """Settle cells that wait for review, those of exactly one selection; how many changed.

    `approve` clears the mark, `reject` puts back the value from before.

    Raises:
        InvalidSelection: not exactly one selection, or ids that are not of this dataset.
        DatasetLocked.
    """
    if sum(chosen is not None for chosen in (cell_ids, task_id, column_ids)) != 1:
        raise InvalidSelection("Give exactly one of cellIds, taskId and columnIds.")
    await hold_for_change(tx, dataset)
    columns = await repository.list_columns(tx, dataset.dataset_id)
    row_nos: dict[int, list[int]] | None = None
    targets: Sequence[Column] = columns
    if column_ids is not None:
        targets = resolve_columns(dataset, columns, column_ids)
    if cell_ids is not None:
        row_nos = defaultdict(list)
        for row_no, column_no in await resolve_cells(tx, dataset, columns, cell_ids):
            row_nos[column_no].append(row_no)
    await lock_for_change(tx, dataset)
    settle = reverting.approve_cells if action == "approve" else reverting.reject_cells
    writer = Writer("user", principal.key_id, action=action)
    changed = 0
    for target in targets:
        number = target.column_no
        if row_nos is not None and number not in row_nos:
            continue
        changed += await settle(
            tx,
            dataset,
            target,
            writer,
            row_nos=None if row_nos is None else row_nos[number],
            task_id=task_id,
        )
    return changed


async def resolve_task(tx: Tx, dataset: Dataset, task_id: str) -> UUID:
    """The id of a task that works, or worked, on the dataset.

    Raises:
        InvalidSelection: malformed, unknown, or of another dataset.
    """
    known = parse_uuid(task_id)
    if known is None or not await locks.is_task(tx, dataset.dataset_id, known):
        raise InvalidSelection(
            "taskId is no task of this dataset.",
            details={"field": "taskId", "ids": [task_id[:100]]},
        )
    return known


async def revert_task(tx: Tx, principal: Principal, dataset: Dataset, task_id: UUID) -> Reverted:
    """Undo what a task wrote: its new rows gone, its cells back to value and metadata from before.

    Cells that anyone wrote since (an edit, an approval, another task, a reset of the column) are
    left. The undoing is itself history. The caller has checked that the task is of this dataset.

    Raises:
        DatasetLocked: a task holds the dataset, this one or another.
    """
    await lock_for_change(tx, dataset)
    rows = 0
    for first, last in await sources.list_task_ranges(tx, dataset.dataset_id, task_id):
        rows += await grids.delete_range(tx, dataset.grid_no, first, last)
    columns = await repository.list_columns(tx, dataset.dataset_id)
    writer = Writer("user", principal.key_id, action="revert")
    cells, left = 0, await reverting.count_lost_cells(tx, dataset, columns, task_id)
    for target in columns:
        done, taken = await reverting.revert_cells(tx, dataset, target, task_id, writer)
        cells, left = cells + done, left + taken
    return Reverted(cells, rows, left)
