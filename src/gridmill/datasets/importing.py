"""The import of linked tables: one transaction, all records or none.

A column of the sources that was declared keeps its declared type and rules. A value that does not
fit is never dropped: the import fails and names it.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from gridmill.datasets.errors import ValueMismatch
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
from gridmill.datasets.rows import check_quota
from gridmill.datasets.rules import check_columns
from gridmill.datasets.taking import take_new_records
from gridmill.kit.errors import GridmillError
from gridmill.kit.values import DataType
from gridmill.storage import grids
from gridmill.storage.database import Tx
from gridmill.storage.quotas import try_to_hold_quota

_ADVICE = "Declare the column as text or without these rules, or leave its type to be found."


class ImportFailed(Exception):
    """The import cannot be done; what the dataset's `error` will say."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


async def import_sources(
    tx: Tx, dataset_id: UUID, limits: DatasetLimits, *, wait: bool = True
) -> bool:
    """Import the dataset's tables; `False` when one of them is still being read.

    Without `wait` also when someone else is writing against the workspace's quota of rows: a long
    import would cost those behind it their attempts.

    Nothing happens unless the dataset is `processing`, so a job that runs twice imports once.

    Raises:
        ImportFailed: roll back, then `fail_import`.
    """
    state = await locks.lock_whole(tx, dataset_id)
    dataset = await repository.find_any_dataset(tx, dataset_id)
    if state is None or dataset is None or state[0] is not DatasetStatus.PROCESSING:
        return True
    linked = await load_links(tx, dataset)
    if any(one.is_pending for one in linked):
        return False
    is_limited = limits.rows is not None
    if is_limited and not wait and not await try_to_hold_quota(tx, "rows", dataset.workspace_id):
        return False
    for one in linked:
        if one.failure is not None:
            raise ImportFailed(
                "DATASOURCE_FAILED", f"{one.file_name} could not be read: {one.failure}"
            )
    tables = [one for one in linked if one.is_table]
    columns = await _match_columns(tx, dataset, tables)
    try:
        total = sum([await grids.count_rows(tx, one.grid_no) for one in tables])
        await check_quota(tx, dataset.workspace_id, total, limits)
        for one in tables:
            await take_new_records(
                tx,
                dataset,
                columns,
                await grids.count_rows(tx, one.grid_no),
                Writer("import", one.datasource_id),
                only=one.datasource_id,
            )
    except ValueMismatch as error:
        raise ImportFailed(error.code, f"{error.message} {_ADVICE}") from None
    except GridmillError as error:
        raise ImportFailed(error.code, error.message) from None
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


async def _match_columns(tx: Tx, dataset: Dataset, tables: Sequence[LinkedSource]) -> list[Column]:
    """All columns in order, those of the sources first."""
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
    return columns
