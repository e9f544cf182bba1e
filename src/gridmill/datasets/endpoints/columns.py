"""Columns."""

from fastapi import APIRouter
from starlette.responses import Response

from gridmill.auth.service import principal_of
from gridmill.datasets import service
from gridmill.datasets.endpoints.datasets import load_dataset
from gridmill.datasets.errors import ColumnNotFound, DatasetLocked, DatasetNotFound
from gridmill.datasets.replies import ColumnReply
from gridmill.datasets.schemas import ColumnCreate, ColumnPatch, TaskTypePut
from gridmill.datasets.wire import column_to_wire
from gridmill.datasources.errors import DatasourceNotFound
from gridmill.kit.errors import ValidationFailed
from gridmill.kit.http import CallDep, no_content, operation, reply

router = APIRouter()
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
    ),
)
async def create_column(call: CallDep, dataset_id: str) -> Response:
    """Append an empty column."""
    tx, dataset = await load_dataset(call, dataset_id)
    body = await call.body(ColumnCreate)
    column = await service.add_column(tx, principal_of(call), dataset, body.to_column(dataset.type))
    return reply(column_to_wire(dataset.key, column), 201)


@router.patch(
    "/datasets/{dataset_id}/columns/{column_id}",
    **operation(
        "updateColumn",
        "Columns",
        scope="write",
        body=ColumnPatch,
        reply=ColumnReply,
        errors=_ERRORS,
    ),
)
async def update_column(call: CallDep, dataset_id: str, column_id: str) -> Response:
    """Rename a column or change its metadata: only what is named changes, `null` takes it back."""
    tx, dataset = await load_dataset(call, dataset_id)
    await service.get_column(tx, dataset, column_id)
    body = await call.body(ColumnPatch)
    if "name" in body.model_fields_set and body.name is None:
        raise ValidationFailed.of("name", "This must be a string.")
    column = await service.update_column(
        tx,
        principal_of(call),
        dataset,
        column_id,
        name=body.name,
        metadata=None if body.metadata is None else body.metadata.said(),
    )
    return reply(column_to_wire(dataset.key, column))


@router.delete(
    "/datasets/{dataset_id}/columns/{column_id}",
    **operation(
        "deleteColumn",
        "Columns",
        scope="write",
        status=204,
        errors=(DatasetNotFound, ColumnNotFound, DatasetLocked, ValidationFailed),
    ),
)
async def delete_column(call: CallDep, dataset_id: str, column_id: str) -> Response:
    """Delete a column with its values and history."""
    tx, dataset = await load_dataset(call, dataset_id)
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
    ),
)
async def set_task_type(call: CallDep, dataset_id: str, column_id: str) -> Response:
    """Give a column another task type. The column is emptied; its history keeps the old values."""
    tx, dataset = await load_dataset(call, dataset_id)
    await service.get_column(tx, dataset, column_id)
    body = await call.body(TaskTypePut)
    column = await service.reset_task_type(
        tx,
        principal_of(call),
        dataset,
        column_id,
        task_type=body.task_type,
        metadata=None if body.metadata is None else body.metadata.to_metadata(),
    )
    return reply(column_to_wire(dataset.key, column))
