"""The import of linked tables: one transaction, all records or none.

A column of the sources that was declared keeps its declared type; texts that are written
differently but mean a value of it take their canonical form ("1,234" as an integer is 1234). A
text that does not fit is never dropped: the import fails and names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from gridmill.datasets.linking import LinkedSource, load_links
from gridmill.datasets.model import (
    COLUMN_LIMIT,
    Column,
    Dataset,
    DatasetLimits,
    DatasetStatus,
    NewColumn,
    Writer,
    default_task_type,
)
from gridmill.datasets.repository import datasets as repository
from gridmill.datasets.repository import locks
from gridmill.datasets.rows import check_quota, take_new_records
from gridmill.datasets.rules import check_columns
from gridmill.kit.errors import GridmillError
from gridmill.kit.values import DataType, ValueRules, coerce, is_empty
from gridmill.storage import grids
from gridmill.storage.database import Tx

_CHUNK_ROWS = 5_000


class ImportFailed(Exception):
    """The import cannot be done; what the dataset's `error` will say."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class _Range:
    """Rows of one source, for messages that name a record."""

    first: int
    last: int
    first_record: int
    file_name: str


async def import_sources(tx: Tx, dataset_id: UUID, limits: DatasetLimits) -> bool:
    """Import the dataset's tables; `False` when one of them is still being read.

    Nothing happens unless the dataset is `processing`, so a job that runs twice imports once.

    Raises:
        ImportFailed: roll back, then `fail_import`.
    """
    state = await locks.lock_whole(tx, dataset_id)
    dataset = await repository.find_dataset(tx, None, dataset_id)
    if state is None or dataset is None or state[0] is not DatasetStatus.PROCESSING:
        return True
    linked = await load_links(tx, dataset)
    if any(one.is_pending for one in linked):
        return False
    for one in linked:
        if one.failure is not None:
            raise ImportFailed(
                "DATASOURCE_FAILED", f"{one.file_name} could not be read: {one.failure}"
            )
    tables = [one for one in linked if one.is_table]
    columns, retyped = await _match_columns(tx, dataset, tables)
    try:
        total = sum([await grids.count_rows(tx, one.grid_no) for one in tables])
        await check_quota(tx, dataset.workspace_id, total, limits)
    except GridmillError as error:
        raise ImportFailed(error.code, error.message) from None
    for one in tables:
        made = await take_new_records(
            tx,
            dataset,
            columns,
            await grids.count_rows(tx, one.grid_no),
            Writer("import", one.datasource_id),
            only=one.datasource_id,
        )
        for first, last in made:
            await _retype(tx, dataset, retyped, _Range(first, last, 1, one.file_name))
    await repository.update_dataset(
        tx, dataset_id, {"status": DatasetStatus.COMPLETED, "error": None}
    )
    return True


async def import_or_fail(tx: Tx, dataset_id: UUID, limits: DatasetLimits) -> None:
    """Import sources that have all been read, within the caller's transaction; or say why not."""
    try:
        async with grids.undo_on_error(tx):
            await import_sources(tx, dataset_id, limits)
    except ImportFailed as error:
        await fail_import(tx, dataset_id, error.code, error.message)


async def fail_import(tx: Tx, dataset_id: UUID, code: str, message: str) -> None:
    """Say why a dataset has no rows; it can be edited from now on."""
    state = await locks.lock_whole(tx, dataset_id)
    if state is not None and state[0] is DatasetStatus.PROCESSING:
        error = {"code": code, "message": message}
        await repository.update_dataset(
            tx, dataset_id, {"status": DatasetStatus.FAILED, "error": error}
        )


async def _match_columns(
    tx: Tx, dataset: Dataset, tables: Sequence[LinkedSource]
) -> tuple[list[Column], list[Column]]:
    """All columns in order (those of the sources first), and those whose texts must be read anew."""
    declared = {
        column.name: column for column in await repository.list_columns(tx, dataset.dataset_id)
    }
    found: dict[str, DataType] = {}
    conflicting: set[str] = set()
    for one in tables:
        for column in one.columns:
            if found.setdefault(column.name, column.data_type) is not column.data_type:
                conflicting.add(column.name)
    if len(found.keys() | declared.keys()) > COLUMN_LIMIT:
        raise ImportFailed("TOO_MANY_COLUMNS", f"A dataset has at most {COLUMN_LIMIT} columns.")
    fresh = [
        NewColumn(
            name,
            # Sources that disagree on a column's type are kept as they are written.
            DataType.TEXT if name in conflicting else data_type,
            default_task_type(dataset.type),
        )
        for name, data_type in found.items()
        if name not in declared
    ]
    if fresh:
        numbered = [(column, await grids.add_column(tx, dataset.grid_no)) for column in fresh]
        await repository.insert_columns(tx, dataset.dataset_id, numbered)
    columns = await repository.list_columns(tx, dataset.dataset_id)
    order = {name: place for place, name in enumerate(found)}
    columns.sort(key=lambda column: order.get(column.name, len(order)))
    columns = [replace(column, position=place) for place, column in enumerate(columns)]
    await repository.set_positions(tx, dataset.dataset_id, columns)
    try:
        check_columns(columns)
    except GridmillError as error:
        raise ImportFailed(error.code, error.message) from None
    retyped = [
        column
        for column in columns
        if column.name in declared
        and column.name in found
        and column.data_type is not DataType.TEXT
        and (found[column.name] is not column.data_type or column.name in conflicting)
    ]
    return columns, retyped


async def _retype(tx: Tx, dataset: Dataset, columns: Sequence[Column], made: _Range) -> None:
    if not columns:
        return
    first = made.first
    while first <= made.last:
        last = min(first + _CHUNK_ROWS - 1, made.last)
        rows = await grids.read_rows(
            tx,
            dataset.grid_no,
            [column.physical for column in columns],
            first=first,
            last=last,
            with_metadata=False,
        )
        writes = [
            grids.GridWrite(row.row_no, column.physical, text)
            for row in rows
            for column, value in zip(columns, row.values, strict=True)
            if (text := _read_value(column, value, row.row_no, made)) != value
        ]
        await grids.write_cells(tx, dataset.grid_no, writes)
        first = last + 1


def _read_value(column: Column, value: str | None, row_no: int, made: _Range) -> str | None:
    if value is None or is_empty(value):
        return value
    rules = ValueRules(column.data_type, column.metadata.options)
    try:
        text = coerce(value, rules)
        if text is not None:
            return text
        reason = "it is no value of that type."
    except ValueError as error:
        reason = str(error)
    record = made.first_record + row_no - made.first
    raise ImportFailed(
        "VALUE_MISMATCH",
        f"{made.file_name}, record {record}, column {column.name!r}: {value[:80]!r} does not fit "
        f"the declared type {column.data_type.value}: {reason} Declare the column as text, or "
        "leave its type to be found.",
    )
