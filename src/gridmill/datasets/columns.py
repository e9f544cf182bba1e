"""Columns: added, renamed, described anew, emptied, deleted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gridmill.auth.model import Principal
from gridmill.datasets.errors import ColumnNotFound
from gridmill.datasets.locking import lock_for_change
from gridmill.datasets.model import (
    COLUMN_LIMIT,
    Column,
    ColumnMetadata,
    Dataset,
    NewColumn,
    TaskType,
)
from gridmill.datasets.references import find_references, rename_reference
from gridmill.datasets.repository import datasets as repository
from gridmill.datasets.rules import check_columns, check_knowledge
from gridmill.kit.errors import ValidationFailed
from gridmill.kit.ids import decode_column
from gridmill.storage import grids
from gridmill.storage.database import Tx


async def get_column(tx: Tx, dataset: Dataset, column_id: str) -> Column:
    """A column by its id.

    Raises:
        ColumnNotFound.
    """
    number = decode_column(dataset.key, column_id)
    for column in await repository.list_columns(tx, dataset.dataset_id):
        if column.column_no == number:
            return column
    raise ColumnNotFound


async def add_column(tx: Tx, principal: Principal, dataset: Dataset, new: NewColumn) -> Column:
    """Append an empty column.

    Raises:
        ValidationFailed: the name is taken, a reference is unknown or circular, the 301st column.
        DatasourceNotFound: knowledge that is not of the workspace.
        DatasetLocked.
    """
    await check_knowledge(tx, principal, [new])
    beside = await repository.list_columns(tx, dataset.dataset_id)
    check_columns([new], beside=beside, field="")
    await lock_for_change(tx, dataset)
    beside = await repository.list_columns(tx, dataset.dataset_id)
    check_columns([new], beside=beside, field="")
    if len(beside) >= COLUMN_LIMIT:
        raise ValidationFailed.of("name", f"A dataset has at most {COLUMN_LIMIT} columns.")
    physical = await grids.add_column(tx, dataset.grid_no)
    await repository.insert_columns(tx, dataset.dataset_id, [(new, physical)])
    return (await repository.list_columns(tx, dataset.dataset_id))[-1]


async def update_column(
    tx: Tx,
    principal: Principal,
    dataset: Dataset,
    column_id: str,
    *,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Column:
    """Rename a column, or change what `metadata` names (`None` takes back).

    Prompts that read the column by its old name read it by the new one from now on.

    Raises:
        ColumnNotFound, DatasourceNotFound, DatasetLocked.
        ValidationFailed: as when the column would be made so.
    """
    await _change(tx, principal, dataset, column_id, name=name, metadata=metadata)
    await lock_for_change(tx, dataset)
    changed = await _change(tx, principal, dataset, column_id, name=name, metadata=metadata)
    before = await repository.list_columns(tx, dataset.dataset_id)
    for column in [changed, *await _list_beside(tx, dataset, changed)]:
        if column not in before:
            await repository.update_column(tx, dataset.dataset_id, column)
    await repository.update_dataset(tx, dataset.dataset_id, {})
    return changed


async def reset_task_type(
    tx: Tx,
    principal: Principal,
    dataset: Dataset,
    column_id: str,
    *,
    task_type: TaskType,
    metadata: ColumnMetadata | None = None,
) -> Column:
    """Give a column another task type and empty it; its history keeps what it held.

    Raises:
        ColumnNotFound, DatasourceNotFound, DatasetLocked.
        ValidationFailed: references of the new metadata that are unknown or circular.
    """
    column = await get_column(tx, dataset, column_id)
    changed = replace(column, task_type=task_type, metadata=metadata or column.metadata)
    await _check_change(tx, principal, dataset, changed)
    await lock_for_change(tx, dataset)
    column = await get_column(tx, dataset, column_id)
    changed = replace(column, task_type=task_type, metadata=metadata or column.metadata)
    await _check_change(tx, principal, dataset, changed)
    archive = await grids.archive_column(tx, dataset.grid_no, column.physical)
    await repository.insert_archive(tx, dataset.dataset_id, column, archive, principal.key_id)
    physical = await grids.add_column(tx, dataset.grid_no)
    await grids.drop_column(tx, dataset.grid_no, column.physical)
    changed = replace(changed, physical=physical)
    await repository.update_column(tx, dataset.dataset_id, changed)
    await repository.update_dataset(tx, dataset.dataset_id, {})
    return changed


async def delete_column(tx: Tx, dataset: Dataset, column_id: str) -> None:
    """Delete a column with its values and archives.

    Raises:
        ColumnNotFound, DatasetLocked.
        ValidationFailed: another column's prompt reads it.
    """
    column = await get_column(tx, dataset, column_id)
    await _check_unread(tx, dataset, column)
    await lock_for_change(tx, dataset)
    column = await get_column(tx, dataset, column_id)
    await _check_unread(tx, dataset, column)
    for archive in await repository.delete_column(tx, dataset.dataset_id, column.column_no):
        await grids.drop_grid(tx, archive)
    await grids.drop_column(tx, dataset.grid_no, column.physical)
    await repository.update_dataset(tx, dataset.dataset_id, {})


async def _change(
    tx: Tx,
    principal: Principal,
    dataset: Dataset,
    column_id: str,
    *,
    name: str | None,
    metadata: Mapping[str, Any] | None,
) -> Column:
    column = await get_column(tx, dataset, column_id)
    said = column.metadata.to_json() | dict(metadata or {})
    kept = {key: value for key, value in said.items() if value is not None}
    changed = replace(column, name=name or column.name, metadata=ColumnMetadata.from_json(kept))
    low, high = changed.metadata.minimum, changed.metadata.maximum
    if low is not None and high is not None and low > high:
        raise ValidationFailed.of("metadata", "The minimum is over the maximum.")
    await _check_change(tx, principal, dataset, changed)
    return changed


async def _check_change(tx: Tx, principal: Principal, dataset: Dataset, changed: Column) -> None:
    await check_knowledge(tx, principal, [changed])
    beside = await _list_beside(tx, dataset, changed)
    check_columns([changed], beside=beside, field="")


async def _list_beside(tx: Tx, dataset: Dataset, changed: Column) -> list[Column]:
    """The other columns, their prompts reading the changed one by its new name."""
    columns = await repository.list_columns(tx, dataset.dataset_id)
    old = next(column.name for column in columns if column.column_no == changed.column_no)
    others = [column for column in columns if column.column_no != changed.column_no]
    if old == changed.name:
        return others
    return [
        column
        if column.metadata.prompt is None
        else replace(
            column,
            metadata=replace(
                column.metadata,
                prompt=rename_reference(column.metadata.prompt, old, changed.name),
            ),
        )
        for column in others
    ]


async def _check_unread(tx: Tx, dataset: Dataset, column: Column) -> None:
    for other in await repository.list_columns(tx, dataset.dataset_id):
        reads = column.name in find_references(other.metadata.prompt)
        if reads and other.column_no != column.column_no:
            raise ValidationFailed.of(
                "name", f"The prompt of {other.name!r} reads {column.name!r}; change it first."
            )
