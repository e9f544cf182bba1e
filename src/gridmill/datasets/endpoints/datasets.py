"""Datasets: made, listed, read, changed, deleted."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gridmill.auth.service import principal_of
from gridmill.datasets import service
from gridmill.datasets.errors import DatasetLocked, DatasetNotFound
from gridmill.datasets.model import Dataset, DatasetLimits, DatasetType
from gridmill.datasets.replies import DatasetReply, DatasetsReply
from gridmill.datasets.schemas import (
    DatasetCreate,
    DatasetListQuery,
    DatasetPatch,
    check_config,
    check_map,
)
from gridmill.datasets.uploading import UPLOAD_FORM, UPLOAD_SCHEMA, create_from_upload, judge_upload
from gridmill.datasets.wire import dataset_to_wire, dataset_with_columns
from gridmill.datasources import service as datasources
from gridmill.datasources.errors import DatasourceNotFound, FileTooLarge, UnsupportedFormat
from gridmill.datasources.model import SourceLimits
from gridmill.datasources.upload import receive_upload
from gridmill.engine.port import Engine
from gridmill.kit.errors import QuotaExceeded, ValidationFailed
from gridmill.kit.http import (
    Call,
    CallDep,
    check_match,
    has_precondition,
    make_router,
    no_content,
    operation,
    reply,
    tagged_reply,
)
from gridmill.storage.database import Tx

router = make_router()


async def reply_dataset(call: Call, tx: Tx, dataset: Dataset, status: int = 200) -> Response:
    """A dataset with its columns, and its tag."""
    columns = await service.list_columns(tx, dataset)
    headers = {"Location": f"/api/v2/datasets/{dataset.dataset_id}"} if status == 201 else None
    return tagged_reply(call.request, dataset_with_columns(dataset, columns), status, headers)


async def load_dataset(call: Call, dataset_id: str) -> tuple[Tx, Dataset]:
    """The request's transaction and the dataset of its path; 404 before anything else is read."""
    tx = await call.tx()
    return tx, await service.get_dataset(tx, principal_of(call), dataset_id)


async def hold_for_match(call: Call, tx: Tx, dataset: Dataset) -> None:
    """Take the dataset alone before the call's `If-Match` is judged; nothing without the header.

    What is read from here on stays as it is until the transaction ends.

    Raises:
        DatasetLocked: then no state would do (RFC 9110, section 13.2.1).
    """
    if has_precondition(call.request):
        await service.lock_for_change(tx, dataset)


async def _match_dataset(call: Call, tx: Tx, dataset: Dataset) -> Dataset:
    """The dataset as it is now, after its tag was found to be what the call asks for."""
    await hold_for_match(call, tx, dataset)
    if not has_precondition(call.request):
        return dataset
    present = await service.get_dataset(tx, principal_of(call), str(dataset.dataset_id))
    columns = await service.list_columns(tx, present)
    check_match(call.request, dataset_with_columns(present, columns))
    return present


async def _check_config(kind: DatasetType, config: Mapping[str, Any] | None) -> dict[str, Any]:
    checked = check_config(kind, config)
    if kind is DatasetType.MAP:
        await check_map(checked)
    return checked


def limits_of(call: Call) -> DatasetLimits:
    """What the operator allows a workspace."""
    found = call.services.registry.get(DatasetLimits)
    return found if isinstance(found, DatasetLimits) else DatasetLimits()


@router.post(
    "/datasets",
    **operation(
        "createDataset",
        "Datasets",
        scope="write",
        body=DatasetCreate,
        reply=DatasetReply,
        status=201,
        errors=(DatasourceNotFound,),
        tagged=True,
    ),
)
async def create_dataset(call: CallDep) -> Response:
    """Make a dataset, blank or from data sources.

    Tables given to an enrichment, generation or blank dataset are imported: short ones at once,
    others soon after (status `processing` until that is done); documents, and tables of the other types, wait for new-rows tasks.
    Declared columns are matched to those of the sources by name; a value that does not fit a
    declared type fails the import and is named in `error`. A map's boundary, categories and source
    are checked now, and the place of a fault is named.
    """
    body = await call.body(DatasetCreate)
    config = await _check_config(body.type, body.config)
    tx = await call.tx()
    dataset = await service.create_dataset(
        tx,
        call.service(Engine),
        principal_of(call),
        service.NewDataset(
            body.type,
            body.name,
            body.description,
            body.source_ids,
            [column.to_column(body.type) for column in body.columns or []],
            config,
        ),
        limits_of(call),
    )
    return await reply_dataset(call, tx, dataset, 201)


@router.post(
    "/datasets/upload",
    **operation(
        "uploadDataset",
        "Datasets",
        scope="write",
        multipart=UPLOAD_SCHEMA,
        reply=DatasetReply,
        status=201,
        errors=(FileTooLarge, UnsupportedFormat, QuotaExceeded),
        tagged=True,
    ),
)
async def upload_dataset(call: CallDep) -> Response:
    """Upload files and make a dataset of them at once."""
    async with receive_upload(call.request, UPLOAD_FORM) as upload:
        call.note_payload(upload.digest)
        judged = await judge_upload(upload)
        tx = await call.tx()
        await datasources.check_quota(
            tx,
            principal_of(call).workspace_id,
            sum(file.size for file in upload.files),
            call.service(SourceLimits),
        )
        dataset = await create_from_upload(tx, call.service(Engine), principal_of(call), judged)
        return await reply_dataset(call, tx, dataset, 201)


@router.get(
    "/datasets",
    **operation(
        "listDatasets", "Datasets", scope="read", query=DatasetListQuery, reply=DatasetsReply
    ),
)
async def list_datasets(call: CallDep) -> Response:
    """List datasets, newest first."""
    query = call.query(DatasetListQuery)
    found, pagination = await service.list_datasets(
        await call.tx(),
        principal_of(call),
        query.paging,
        type=query.type,
        status=query.status,
        search=query.search,
    )
    return reply(
        {
            "datasets": [dataset_to_wire(dataset) for dataset in found],
            "pagination": pagination.to_wire(),
        }
    )


@router.get(
    "/datasets/{dataset_id}",
    **operation(
        "getDataset",
        "Datasets",
        scope="read",
        reply=DatasetReply,
        errors=(DatasetNotFound,),
        tagged=True,
    ),
)
async def get_dataset(call: CallDep, dataset_id: str) -> Response:
    """A dataset with its columns and config."""
    tx, dataset = await load_dataset(call, dataset_id)
    return await reply_dataset(call, tx, dataset)


@router.patch(
    "/datasets/{dataset_id}",
    **operation(
        "updateDataset",
        "Datasets",
        scope="write",
        body=DatasetPatch,
        reply=DatasetReply,
        errors=(DatasetNotFound, DatasourceNotFound, DatasetLocked),
        tagged=True,
    ),
)
async def update_dataset(call: CallDep, dataset_id: str) -> Response:
    """Rename, describe or configure a dataset, or link more sources (nothing is imported).

    `config` replaces the old one whole.
    """
    tx, dataset = await load_dataset(call, dataset_id)
    body = await call.body(DatasetPatch)
    fields: dict[str, Any] = {}
    if "name" in body.model_fields_set:
        if body.name is None:
            raise ValidationFailed.of("name", "This must be a string.")
        fields["name"] = body.name
    if "description" in body.model_fields_set:
        fields["description"] = body.description
    if "config" in body.model_fields_set:
        fields["config"] = await _check_config(dataset.type, body.config)
    changed = await service.update_dataset(
        tx,
        principal_of(call),
        await _match_dataset(call, tx, dataset),
        fields,
        list(dict.fromkeys(body.datasource_ids or [])),
    )
    return await reply_dataset(call, tx, changed)


@router.delete(
    "/datasets/{dataset_id}",
    **operation(
        "deleteDataset",
        "Datasets",
        scope="write",
        status=204,
        errors=(DatasetNotFound, DatasetLocked),
        tagged=True,
    ),
)
async def delete_dataset(call: CallDep, dataset_id: str) -> Response:
    """Delete a dataset with its rows, history and tasks; its data sources stay."""
    tx, dataset = await load_dataset(call, dataset_id)
    present = await _match_dataset(call, tx, dataset)
    await service.delete_dataset(tx, call.service(Engine), present)
    return no_content()
