"""Columns."""

from starlette.responses import Response

from gridmill.auth.service import principal_of
from gridmill.datasets import service
from gridmill.datasets.endpoints.datasets import hold_for_match, load_dataset
from gridmill.datasets.errors import ColumnNotFound, DatasetLocked, DatasetNotFound
from gridmill.datasets.model import Dataset
from gridmill.datasets.replies import ColumnReply
from gridmill.datasets.schemas import ColumnCreate, ColumnPatch, TaskTypePut
from gridmill.datasets.wire import column_to_wire
from gridmill.datasources.errors import DatasourceNotFound
from gridmill.kit.errors import ValidationFailed
from gridmill.kit.http import (
    Call,
    CallDep,
    check_match,
    make_router,
    no_content,
    operation,
    tagged_reply,
)
from gridmill.storage.database import Tx

router = make_router()
_ERRORS = (DatasetNotFound, ColumnNotFound, DatasourceNotFound, DatasetLocked)


@router.post(
    "/datasets/{dataset_id}/columns",
    **operation(
        "createColumn",
        "Columns",
        scope="write",
        body=ColumnCreate,
        reply=ColumnReply,
        status=201,
        errors=(DatasetNotFound, DatasourceNotFound, DatasetLocked),
        tagged=True,
    ),
)
async def create_column(call: CallDep, dataset_id: str) -> Response:
    """Append an empty column."""
    tx, dataset = await load_dataset(call, dataset_id)
    body = await call.body(ColumnCreate)
    column = await service.add_column(tx, principal_of(call), dataset, body.to_column(dataset.type))
    return tagged_reply(call.request, column_to_wire(dataset.key, column), 201)


@router.get(
    "/datasets/{dataset_id}/columns/{column_id}",
    **operation(
        "getColumn",
        "Columns",
        scope="read",
        reply=ColumnReply,
        errors=(DatasetNotFound, ColumnNotFound),
        tagged=True,
    ),
)
async def get_column(call: CallDep, dataset_id: str, column_id: str) -> Response:
    """A column."""
    tx, dataset = await load_dataset(call, dataset_id)
    column = await service.get_column(tx, dataset, column_id)
    return tagged_reply(call.request, column_to_wire(dataset.key, column))


async def _match_column(call: Call, tx: Tx, dataset: Dataset, column_id: str) -> None:
    """Hold the call's `If-Match` against the column as it is now."""
    await hold_for_match(call, tx, dataset)
    column = await service.get_column(tx, dataset, column_id)
    check_match(call.request, column_to_wire(dataset.key, column))


@router.patch(
    "/datasets/{dataset_id}/columns/{column_id}",
    **operation(
        "updateColumn",
        "Columns",
        scope="write",
        body=ColumnPatch,
        reply=ColumnReply,
        errors=_ERRORS,
        tagged=True,
    ),
)
async def update_column(call: CallDep, dataset_id: str, column_id: str) -> Response:
    """Rename a column or change its metadata: only what is named changes, `null` takes it back."""
    tx, dataset = await load_dataset(call, dataset_id)
    await service.get_column(tx, dataset, column_id)
    body = await call.body(ColumnPatch)
    if "name" in body.model_fields_set and body.name is None:
        raise ValidationFailed.of("name", "This must be a string.")
    await _match_column(call, tx, dataset, column_id)
    column = await service.update_column(
        tx,
        principal_of(call),
        dataset,
        column_id,
        name=body.name,
        metadata=None if body.metadata is None else body.metadata.said(),
    )
    return tagged_reply(call.request, column_to_wire(dataset.key, column))


@router.delete(
    "/datasets/{dataset_id}/columns/{column_id}",
    **operation(
        "deleteColumn",
        "Columns",
        scope="write",
        status=204,
        errors=(DatasetNotFound, ColumnNotFound, DatasetLocked, ValidationFailed),
        tagged=True,
    ),
)
async def delete_column(call: CallDep, dataset_id: str, column_id: str) -> Response:
    """Delete a column with its values and history."""
    tx, dataset = await load_dataset(call, dataset_id)
    await _match_column(call, tx, dataset, column_id)
    await service.delete_column(tx, dataset, column_id)
    return no_content()


@router.put(
    "/datasets/{dataset_id}/columns/{column_id}/task-type",
    **operation(
        "setTaskType",
        "Columns",
        scope="write",
        body=TaskTypePut,
        reply=ColumnReply,
        errors=_ERRORS,
        tagged=True,
    ),
)
async def set_task_type(call: CallDep, dataset_id: str, column_id: str) -> Response:
    """Give a column another task type. The column is emptied; its history keeps the old values."""
    tx, dataset = await load_dataset(call, dataset_id)
    await service.get_column(tx, dataset, column_id)
    body = await call.body(TaskTypePut)
    await _match_column(call, tx, dataset, column_id)
    column = await service.reset_task_type(
        tx,
        principal_of(call),
        dataset,
        column_id,
        task_type=body.task_type,
        metadata=None if body.metadata is None else body.metadata.to_metadata(),
    )
    return tagged_reply(call.request, column_to_wire(dataset.key, column))
