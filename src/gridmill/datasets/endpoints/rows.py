"""The data page, rows in and out, exports."""

from starlette.responses import Response

from gridmill.auth.service import principal_of
from gridmill.datasets import service
from gridmill.datasets.endpoints.datasets import limits_of, load_dataset
from gridmill.datasets.errors import (
    DatasetLocked,
    DatasetNotFound,
    RowLimitExceeded,
    RowNotFound,
    RowQuotaExceeded,
)
from gridmill.datasets.replies import DataReply, ExportReply, RowsDeletedReply, RowsReply
from gridmill.datasets.schemas import DataQuery, ExportCreate, RowsCreate, RowsDelete
from gridmill.datasets.wire import page_to_wire
from gridmill.kit.clock import to_wire
from gridmill.kit.errors import InvalidFilter, InvalidSelection
from gridmill.kit.http import CallDep, make_router, no_content, operation, reply
from gridmill.kit.ids import encode_row

router = make_router()


@router.get(
    "/datasets/{dataset_id}/data",
    **operation(
        "readData",
        "Datasets",
        scope="read",
        query=DataQuery,
        reply=DataReply,
        errors=(DatasetNotFound, InvalidFilter, InvalidSelection),
    ),
)
async def read_data(call: CallDep, dataset_id: str) -> Response:
    """A page of rows as a 2D array.

    `nextCursor` goes on stably: in plain order after the last row, in a sorted or filtered view
    within that view as it was when its first page was read (for an hour). Empty cells and texts
    that do not fit their column's type sort last.
    """
    tx, dataset = await load_dataset(call, dataset_id)
    query = call.query(DataQuery)
    values_only = query.cells == "values"
    page = await service.read_data(
        tx,
        dataset,
        query.paging,
        service.DataView(
            query.sort,
            query.order == "desc",
            query.filter,
            None if query.column_ids is None else query.column_ids.split(","),
            query.status,
        ),
        with_metadata=not values_only,
    )
    return reply(page_to_wire(dataset, page, values_only=values_only))


@router.post(
    "/datasets/{dataset_id}/rows",
    **operation(
        "createRows",
        "Rows",
        scope="write",
        body=RowsCreate,
        reply=RowsReply,
        status=201,
        errors=(DatasetNotFound, DatasetLocked, RowQuotaExceeded),
    ),
)
async def create_rows(call: CallDep, dataset_id: str) -> Response:
    """Append up to 10,000 rows; columns that a row leaves out are empty."""
    tx, dataset = await load_dataset(call, dataset_id)
    body = await call.body(RowsCreate)
    row_nos = await service.insert_rows(
        tx,
        principal_of(call),
        dataset,
        body.rows,
        limits_of(call),
    )
    return reply({"rowIds": [encode_row(dataset.key, row_no) for row_no in row_nos]}, 201)


@router.delete(
    "/datasets/{dataset_id}/rows",
    **operation(
        "deleteRows",
        "Rows",
        scope="write",
        body=RowsDelete,
        reply=RowsDeletedReply,
        errors=(DatasetNotFound, InvalidSelection, DatasetLocked),
    ),
)
async def delete_rows(call: CallDep, dataset_id: str) -> Response:
    """Delete rows by id; all of them exist, or nothing is deleted."""
    tx, dataset = await load_dataset(call, dataset_id)
    body = await call.body(RowsDelete)
    return reply({"rows": await service.delete_rows(tx, dataset, body.row_ids)})


@router.delete(
    "/datasets/{dataset_id}/rows/{row_id}",
    **operation(
        "deleteRow",
        "Rows",
        scope="write",
        status=204,
        errors=(DatasetNotFound, RowNotFound, DatasetLocked),
    ),
)
async def delete_row(call: CallDep, dataset_id: str, row_id: str) -> Response:
    """Delete a row."""
    tx, dataset = await load_dataset(call, dataset_id)
    await service.delete_row(tx, dataset, row_id)
    return no_content()


@router.post(
    "/datasets/{dataset_id}/export",
    **operation(
        "exportDataset",
        "Datasets",
        scope="read",
        body=ExportCreate,
        reply=ExportReply,
        errors=(DatasetNotFound, InvalidFilter, InvalidSelection, RowLimitExceeded),
    ),
)
async def export_dataset(call: CallDep, dataset_id: str) -> Response:
    """Sign a link to a CSV, JSON Lines, Parquet or XLSX file of the dataset, made while it is fetched.

    In a CSV a text that a spreadsheet would run as a formula gets an apostrophe before it (a plain
    number with a sign does not). `includeMetadata` adds status, confidence and sources of each column in
    a table, and turns a line of JSON into `{rowId, values, metadata}`. Rows are each whole; a cell
    that changes while the file streams may be in it as it was or as it is.
    """
    tx, dataset = await load_dataset(call, dataset_id)
    body = await call.body(ExportCreate)
    token, file_name, expires_at = await service.create_export(
        tx,
        dataset,
        file_format=body.format,
        column_ids=body.column_ids,
        filter_text=body.filter,
        include_metadata=body.include_metadata,
        expires_in=body.expires_in,
    )
    return reply(
        {
            "downloadUrl": call.absolute_url(f"/downloads/{token}"),
            "expiresAt": to_wire(expires_at),
            "fileName": file_name,
        }
    )
