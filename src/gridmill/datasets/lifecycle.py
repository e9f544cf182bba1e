"""Datasets as wholes: made, found, listed, changed, deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gridmill.auth.model import Principal
from gridmill.datasets.errors import DatasetNotFound
from gridmill.datasets.importing import import_or_fail
from gridmill.datasets.linking import LinkedSource, find_sources
from gridmill.datasets.locking import lock_for_change
from gridmill.datasets.model import (
    IMPORTING_TYPES,
    Column,
    Dataset,
    DatasetLimits,
    DatasetStatus,
    DatasetType,
    NewColumn,
)
from gridmill.datasets.repository import datasets as repository
from gridmill.datasets.repository import sources
from gridmill.datasets.repository.datasets import DatasetFilter
from gridmill.datasets.rules import check_columns, check_knowledge, check_rows_from
from gridmill.engine.port import Engine, Job
from gridmill.kit.errors import InsufficientScope
from gridmill.kit.ids import new_uuid7, parse_uuid
from gridmill.kit.pages import PageQuery, Pagination, cut_page, find_place
from gridmill.storage import grids
from gridmill.storage.database import Tx
from gridmill.webhooks import service as webhooks

IMPORT_JOB = "datasets.import"
CLEAN_JOB = "datasets.clean"
_AT_ONCE_RECORDS = 2_000


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset to be made; `columns` are declared beside those of its sources."""

    type: DatasetType
    name: str
    description: str | None = None
    source_ids: Sequence[str] = ()
    columns: Sequence[NewColumn] = ()
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def get_dataset(tx: Tx, principal: Principal, dataset_id: str) -> Dataset:
    """A dataset that the key reaches.

    Raises:
        DatasetNotFound: malformed, unknown, of another workspace, or outside the key's datasets.
    """
    known = parse_uuid(dataset_id)
    if known is None or not principal.reaches_dataset(known):
        raise DatasetNotFound
    found = await repository.find_dataset(tx, principal.workspace_id, known)
    if found is None:
        raise DatasetNotFound
    return found


async def find_any_dataset(tx: Tx, dataset_id: UUID) -> Dataset | None:
    """A dataset of whichever workspace, for jobs."""
    return await repository.find_any_dataset(tx, dataset_id)


async def list_columns(tx: Tx, dataset: Dataset) -> list[Column]:
    """The dataset's columns in order."""
    return await repository.list_columns(tx, dataset.dataset_id)


async def list_datasets(
    tx: Tx,
    principal: Principal,
    query: PageQuery,
    *,
    type: DatasetType | None = None,  # noqa: A002 - the contract's word
    status: DatasetStatus | None = None,
    search: str | None = None,
) -> tuple[list[Dataset], Pagination]:
    """A page of the datasets that the key reaches, newest first.

    Raises:
        ValidationFailed: a cursor that no reply gave.
    """
    which = DatasetFilter(principal.workspace_id, principal.dataset_ids, type, status, search)
    before, offset = find_place(query)
    found = await repository.list_datasets(
        tx, which, before=before, offset=offset, limit=query.limit + 1
    )
    total = await repository.count_datasets(tx, which)
    return cut_page(query, found, total, lambda dataset: dataset.dataset_id)


async def create_dataset(
    tx: Tx,
    engine: Engine,
    principal: Principal,
    new: NewDataset,
    limits: DatasetLimits | None = None,
) -> Dataset:
    """Make a dataset, link its sources, and have its table sources imported if its type does so.

    With `limits`, short tables that have been read are imported at once. Others are left to a job:
    until it is done the status is `processing` and edits answer `DATASET_LOCKED`.

    Raises:
        ValidationFailed: columns that do not go together.
        DatasourceNotFound: a source, a column's knowledge, `rowsFrom` or a map's source that is not
            of the workspace.
        InsufficientScope: the key is bound to datasets that exist.
    """
    if principal.dataset_ids is not None:
        raise InsufficientScope("This key is bound to certain datasets and makes no new ones.")
    linked = await find_sources(tx, principal, new.source_ids)
    await check_knowledge(tx, principal, new.columns)
    await check_rows_from(tx, principal, new.config)
    await _check_map_source(tx, principal, new.config)
    imports = new.type in IMPORTING_TYPES and any(one.may_be_table for one in linked)
    expected = [column.name for one in linked for column in one.columns] if imports else []
    complete = not imports or all(not one.is_pending for one in linked)
    check_columns(new.columns, also_named=expected, complete=complete)
    grid_no = await grids.create_grid(tx, len(new.columns))
    dataset_id = new_uuid7()
    await repository.insert_dataset(
        tx,
        dataset_id,
        principal.workspace_id,
        name=new.name,
        description=new.description,
        type=new.type,
        config=new.config,
        status=DatasetStatus.PROCESSING if imports else DatasetStatus.COMPLETED,
        grid_no=grid_no,
    )
    if new.columns:
        numbered = [(column, physical) for physical, column in enumerate(new.columns, 1)]
        await repository.insert_columns(tx, dataset_id, numbered)
    if linked:
        await sources.insert_links(tx, dataset_id, [one.datasource_id for one in linked])
    is_short = complete and _count_records(linked) <= _AT_ONCE_RECORDS
    if imports and is_short and limits is not None:
        await import_or_fail(tx, dataset_id, limits)
    elif imports:
        await engine.enqueue(tx, [Job(IMPORT_JOB, {"datasetId": str(dataset_id)})])
    data = {"datasetId": dataset_id, "name": new.name, "type": new.type.value}
    await webhooks.tell(tx, engine, principal.workspace_id, webhooks.Event.DATASET_CREATED, data)
    return await _reread(tx, principal.workspace_id, dataset_id)


async def update_dataset(
    tx: Tx,
    principal: Principal,
    dataset: Dataset,
    fields: Mapping[str, Any],
    source_ids: Sequence[str] = (),
) -> Dataset:
    """Set `name`, `description` or `config`, and link more sources without importing them.

    Raises:
        ValidationFailed: `rowsFrom` names a document.
        DatasourceNotFound, DatasetLocked.
    """
    linked = await find_sources(tx, principal, source_ids)
    await check_rows_from(tx, principal, fields.get("config", {}))
    await _check_map_source(tx, principal, fields.get("config") or {})
    await lock_for_change(tx, dataset)
    await repository.update_dataset(tx, dataset.dataset_id, fields)
    if linked:
        await sources.insert_links(tx, dataset.dataset_id, [one.datasource_id for one in linked])
    return await _reread(tx, dataset.workspace_id, dataset.dataset_id)


async def delete_dataset(tx: Tx, engine: Engine, dataset: Dataset) -> None:
    """Delete a dataset with rows, columns and tasks; its history is cleared by a job.

    Raises:
        DatasetLocked.
    """
    await lock_for_change(tx, dataset)
    for grid_no in await repository.delete_dataset(tx, dataset.dataset_id):
        await grids.drop_grid(tx, grid_no)
    await engine.enqueue(tx, [Job(CLEAN_JOB, {"datasetId": str(dataset.dataset_id)})])


async def _check_map_source(tx: Tx, principal: Principal, config: Mapping[str, Any]) -> None:
    """A map's `source` may be a data source, which must be of the workspace."""
    kind, _, source_id = str(config.get("source") or "").partition(":")
    if kind == "datasource":
        await find_sources(tx, principal, [source_id])


def _count_records(linked: Sequence[LinkedSource]) -> int:
    return sum(one.row_count for one in linked if one.is_table)


async def _reread(tx: Tx, workspace_id: UUID, dataset_id: UUID) -> Dataset:
    found = await repository.find_dataset(tx, workspace_id, dataset_id)
    if found is None:
        raise DatasetNotFound
    return found
