"""Cells, their history, their review."""

from starlette.responses import Response

from gridmill.auth.service import principal_of
from gridmill.datasets import service
from gridmill.datasets.endpoints.datasets import hold_for_match, load_dataset
from gridmill.datasets.errors import CellNotFound, DatasetLocked, DatasetNotFound
from gridmill.datasets.replies import CellReply, HistoryReply, ReviewReply
from gridmill.datasets.schemas import CellPatch, ReviewBody
from gridmill.datasets.wire import cell_to_wire, history_to_wire
from gridmill.kit.errors import GridmillError, InvalidSelection
from gridmill.kit.http import (
    CallDep,
    ListQuery,
    check_match,
    has_precondition,
    make_router,
    operation,
    reply,
    tagged_reply,
)

router = make_router()


@router.post(
    "/datasets/{dataset_id}/cells/review",
    **operation(
        "reviewCells",
        "Cells",
        scope="write",
        body=ReviewBody,
        reply=ReviewReply,
        errors=(DatasetNotFound, InvalidSelection, DatasetLocked),
    ),
)
async def review_cells(call: CallDep, dataset_id: str) -> Response:
    """Approve or reject cells that wait for review.

    Exactly one of `cellIds`, `taskId` and `columnIds` says which. Approving clears the mark and
    makes the value an example for later tasks, rejecting puts back the value from before.
    """
    tx, dataset = await load_dataset(call, dataset_id)
    body = await call.body(ReviewBody)
    task_id = None
    if body.task_id is not None:
        task_id = await service.resolve_task(tx, dataset, body.task_id)
    changed = await service.review_cells(
        tx,
        principal_of(call),
        dataset,
        body.action,
        cell_ids=body.cell_ids,
        task_id=task_id,
        column_ids=body.column_ids,
    )
    return reply({"cells": changed})


@router.get(
    "/datasets/{dataset_id}/cells/{cell_id}",
    **operation(
        "getCell",
        "Cells",
        scope="read",
        reply=CellReply,
        errors=(DatasetNotFound, CellNotFound),
        tagged=True,
    ),
)
async def get_cell(call: CallDep, dataset_id: str, cell_id: str) -> Response:
    """A cell."""
    tx, dataset = await load_dataset(call, dataset_id)
    row, column = await service.get_cell(tx, dataset, cell_id)
    return tagged_reply(call.request, cell_to_wire(dataset.key, row, column))


@router.patch(
    "/datasets/{dataset_id}/cells/{cell_id}",
    **operation(
        "updateCell",
        "Cells",
        scope="write",
        body=CellPatch,
        reply=CellReply,
        errors=(DatasetNotFound, CellNotFound, DatasetLocked),
        tagged=True,
    ),
)
async def update_cell(call: CallDep, dataset_id: str, cell_id: str) -> Response:
    """Write a value of the column's type; `null` empties the cell. The metadata is reset."""
    tx, dataset = await load_dataset(call, dataset_id)
    try:
        body = await call.body(CellPatch)
    except GridmillError:
        # That there is no such cell comes before what the body says.
        await service.get_cell(tx, dataset, cell_id)
        raise
    await hold_for_match(call, tx, dataset)
    if has_precondition(call.request):
        row, column = await service.get_cell(tx, dataset, cell_id)
        check_match(call.request, cell_to_wire(dataset.key, row, column))
    row, column = await service.edit_cell(tx, principal_of(call), dataset, cell_id, body.value)
    return tagged_reply(call.request, cell_to_wire(dataset.key, row, column))


@router.get(
    "/datasets/{dataset_id}/cells/{cell_id}/history",
    **operation(
        "listCellHistory",
        "Cells",
        scope="read",
        query=ListQuery,
        reply=HistoryReply,
        errors=(DatasetNotFound, CellNotFound),
    ),
)
async def list_history(call: CallDep, dataset_id: str, cell_id: str) -> Response:
    """The writes of a cell, newest first, down to the value that its row was made with."""
    tx, dataset = await load_dataset(call, dataset_id)
    row, column = await service.get_cell(tx, dataset, cell_id)
    query = call.query(ListQuery)
    entries, pagination = await service.list_history(tx, dataset, row, column, query.paging)
    return reply(
        {
            "history": [history_to_wire(entry, column) for entry in entries],
            "pagination": pagination.to_wire(),
        }
    )
