"""Rows: inserted by people, taken from sources, deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from gridmill.auth.model import Principal
from gridmill.datasets.errors import RowNotFound, RowQuotaExceeded
from gridmill.datasets.locking import hold_for_edit, lock_for_edit
from gridmill.datasets.model import (
    INSERT_LIMIT,
    SELECTION_LIMIT,
    Column,
    Dataset,
    DatasetLimits,
    Row,
    SourceRecord,
    Writer,
)
from gridmill.datasets.repository import datasets as repository
from gridmill.datasets.repository import sources
from gridmill.datasets.repository.sources import Origin
from gridmill.kit.errors import FieldError, InvalidSelection, ValidationFailed
from gridmill.kit.ids import decode_row
from gridmill.kit.values import parse_wire
from gridmill.storage import grids
from gridmill.storage.database import Tx
from gridmill.storage.quotas import hold_quota

NAMED_IDS = 20
_FAULTS = 50


def to_row(columns: Sequence[Column], row: grids.GridRow) -> Row:
    """A grid's row, read for the physical columns of `columns`, in the dataset's numbers."""
    return Row(
        row.row_no,
        {target.column_no: value for target, value in zip(columns, row.values, strict=True)},
        {
            target.column_no: row.metadata[str(target.physical)]
            for target in columns
            if str(target.physical) in row.metadata
        }
        if row.metadata
        else {},
    )


async def read_rows(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    *,
    row_nos: Sequence[int] | None = None,
    first: int = 1,
    last: int | None = None,
    limit: int | None = None,
    empty_in: Sequence[Column] | None = None,
) -> list[Row]:
    """Rows by number or range, in order; numbers without a row are left out.

    With `empty_in`, only rows with an empty cell in one of these columns.
    """
    where = None
    if empty_in is not None:
        where = grids.any_empty([target.physical for target in empty_in])
    found = await grids.read_rows(
        tx,
        dataset.grid_no,
        [target.physical for target in columns],
        row_nos=row_nos,
        first=first,
        last=last,
        limit=limit,
        where=where,
    )
    return [to_row(columns, row) for row in found]


async def find_missing_rows(
    tx: Tx, dataset: Dataset, row_nos: Sequence[int], limit: int = NAMED_IDS
) -> list[int]:
    """Up to `limit` of `row_nos` that name no row of the dataset."""
    return await grids.find_missing_rows(tx, dataset.grid_no, row_nos, limit)


def parse_rows(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]
) -> list[list[str | None]]:
    """Client rows (values by column name) as canonical texts in the order of `columns`.

    Raises:
        ValidationFailed: unknown names and values that do not fit, up to 50 of them.
    """
    by_name = {target.name: index for index, target in enumerate(columns)}
    rules = [target.rules for target in columns]
    faults: list[FieldError] = []
    parsed: list[list[str | None]] = []
    for number, row in enumerate(rows):
        values: list[str | None] = [None] * len(columns)
        for name, value in row.items():
            index = by_name.get(name)
            if index is None:
                faults.append(
                    FieldError(f"rows.{number}.{name[:200]}", "The dataset has no such column.")
                )
                continue
            try:
                values[index] = parse_wire(value, rules[index])
            except ValueError as error:
                faults.append(FieldError(f"rows.{number}.{name[:200]}", str(error)))
        if len(faults) >= _FAULTS:
            break
        parsed.append(values)
    if faults:
        raise ValidationFailed(faults[:_FAULTS])
    return parsed


async def insert_rows(
    tx: Tx,
    principal: Principal,
    dataset: Dataset,
    rows: Sequence[Mapping[str, Any]],
    limits: DatasetLimits,
) -> list[int]:
    """Append 1 to 10,000 rows of a person; their numbers.

    Raises:
        ValidationFailed: none or too many rows, an unknown column, a value that does not fit.
        DatasetLocked: a task holds the dataset.
        RowQuotaExceeded: the workspace may hold no more.
    """
    if not 1 <= len(rows) <= INSERT_LIMIT:
        raise ValidationFailed.of("rows", f"Give 1 to {INSERT_LIMIT} rows.")
    # Checked against the columns twice: before the lock for the order of answers (422, then 409),
    # after it because a change of columns may have come in between.
    parse_rows(await repository.list_columns(tx, dataset.dataset_id), rows)
    await lock_for_edit(tx, dataset)
    columns = await repository.list_columns(tx, dataset.dataset_id)
    parsed = parse_rows(columns, rows)
    await check_quota(tx, dataset.workspace_id, len(rows), limits)
    first = await grids.insert_rows(
        tx, dataset.grid_no, [target.physical for target in columns], parsed
    )
    last = first + len(rows) - 1
    writer = Writer("user", principal.key_id)
    await sources.insert_origins(tx, dataset.dataset_id, [Origin(first, last, writer)])
    return list(range(first, last + 1))


async def append_rows(
    tx: Tx, dataset: Dataset, records: Sequence[SourceRecord | None], writer: Writer
) -> int:
    """Append an empty row for each of `records` (what it is made of); the first one's number.

    The numbers have no gaps. The caller holds the dataset's lock.
    """
    first = await grids.insert_rows(tx, dataset.grid_no, (), [()] * len(records))
    origins: list[Origin] = []
    for row_no, record in enumerate(records, first):
        if origins and _continues(origins[-1], record):
            origins[-1] = replace(origins[-1], last_row=row_no)
        elif record is None:
            origins.append(Origin(row_no, row_no, writer))
        else:
            origins.append(Origin(row_no, row_no, writer, record.datasource_id, record.record))
    await sources.insert_origins(tx, dataset.dataset_id, origins)
    return first


def _continues(origin: Origin, record: SourceRecord | None) -> bool:
    """Whether a row of `record` belongs to the range before it."""
    if record is None or origin.first_record is None:
        return record is None and origin.first_record is None
    length = origin.last_row - origin.first_row + 1
    return (
        origin.datasource_id == record.datasource_id
        and origin.first_record > 0
        and origin.first_record + length == record.record
    )


async def find_records(
    tx: Tx, dataset: Dataset, row_nos: Sequence[int]
) -> Mapping[int, SourceRecord]:
    """The records that rows were made of, by row number; rows made otherwise are left out."""
    return await sources.find_records(tx, dataset.dataset_id, row_nos)


async def delete_rows(tx: Tx, dataset: Dataset, row_ids: Sequence[str]) -> int:
    """Delete rows by id; how many.

    Raises:
        InvalidSelection: no ids, over 100,000, or ids that are not of this dataset.
        DatasetLocked: a task holds the dataset.
    """
    await hold_for_edit(tx, dataset)
    row_nos = await resolve_rows(tx, dataset, row_ids)
    await lock_for_edit(tx, dataset)
    return await grids.delete_rows(tx, dataset.grid_no, row_nos)


async def delete_row(tx: Tx, dataset: Dataset, row_id: str) -> None:
    """Delete one row.

    Raises:
        RowNotFound, DatasetLocked.
    """
    await hold_for_edit(tx, dataset)
    row_no = decode_row(dataset.key, row_id)
    if row_no is None or await grids.find_missing_rows(tx, dataset.grid_no, [row_no], 1):
        raise RowNotFound
    await lock_for_edit(tx, dataset)
    if await grids.delete_rows(tx, dataset.grid_no, [row_no]) == 0:
        raise RowNotFound


async def resolve_rows(tx: Tx, dataset: Dataset, row_ids: Sequence[str]) -> list[int]:
    """Row ids as numbers, each once.

    Raises:
        InvalidSelection: no ids, over 100,000, or ids that are not of this dataset.
    """
    check_count(row_ids, "rowIds")
    numbers = {row_id: decode_row(dataset.key, row_id) for row_id in row_ids}
    row_nos = {number: row_id for row_id, number in numbers.items() if number is not None}
    missing = await grids.find_missing_rows(tx, dataset.grid_no, list(row_nos), NAMED_IDS)
    bad = [row_id for row_id, number in numbers.items() if number is None]
    refuse_ids([*bad, *(row_nos[number] for number in missing)], "rowIds")
    return list(row_nos)


def check_count(ids: Sequence[str], field: str) -> None:
    """Raise `InvalidSelection` unless there are 1 to 100,000 ids."""
    if not ids:
        raise InvalidSelection(f"{field} is empty.", details={"field": field})
    if len(ids) > SELECTION_LIMIT:
        raise InvalidSelection(
            f"{field} holds over {SELECTION_LIMIT} ids.",
            details={"field": field, "limit": SELECTION_LIMIT},
        )


def refuse_ids(ids: Sequence[str], field: str) -> None:
    """Raise `InvalidSelection` naming up to 20 of `ids`, unless there are none."""
    if ids:
        raise InvalidSelection(
            f"{field} holds ids that are not of this dataset.",
            details={"field": field, "ids": [text[:100] for text in ids[:NAMED_IDS]]},
        )


async def check_quota(tx: Tx, workspace_id: UUID, more: int, limits: DatasetLimits) -> None:
    """Raise `RowQuotaExceeded` when `more` rows would pass the workspace's limit.

    The count holds until the transaction ends: two who ask at once do not pass it together.
    """
    if limits.rows is None:
        return
    await hold_quota(tx, "rows", workspace_id)
    if await repository.count_workspace_rows(tx, workspace_id) + more > limits.rows:
        raise RowQuotaExceeded(limits.rows)
