"""The routes of tasks."""

from starlette.responses import Response, StreamingResponse

from gridmill.auth.model import Scope
from gridmill.auth.service import principal_of
from gridmill.datasets import service as datasets
from gridmill.datasets.errors import DatasetLocked, DatasetNotFound
from gridmill.datasets.model import DatasetLimits
from gridmill.engine.port import Engine
from gridmill.kit.errors import InvalidSelection, QuotaExceeded
from gridmill.kit.http import Call, CallDep, make_router, operation, reply
from gridmill.storage.database import Database
from gridmill.tasks import estimate, events, service
from gridmill.tasks.errors import (
    InvalidTaskForDataset,
    TaskNotCancellable,
    TaskNotFound,
)
from gridmill.tasks.library import Librarian
from gridmill.tasks.model import Operations, Task, TaskLimits
from gridmill.tasks.schemas import (
    BulkCreate,
    EstimateReply,
    EstimateRequest,
    EventsQuery,
    NewRowsCreate,
    ReportReply,
    RevertReply,
    TaskList,
    TaskQuery,
    TaskReply,
    UsageQuery,
    WorkspaceUsage,
)
from gridmill.tasks.service import Shop, Terms
from gridmill.tasks.wire import report_to_wire, task_to_wire, workspace_usage_to_wire
from gridmill.webhooks.errors import WebhookNotFound

router = make_router()
_TASKS = "/datasets/{dataset_id}/tasks"
_TASK = f"{_TASKS}/{{task_id}}"
_LOCATION = {"Location": "Path of the new task"}
_CREATING = (
    DatasetNotFound,
    WebhookNotFound,
    InvalidSelection,
    InvalidTaskForDataset,
    DatasetLocked,
    QuotaExceeded,
)


@router.post(
    f"{_TASKS}/bulk",
    **operation(
        "createBulkTask",
        "Tasks",
        scope=Scope.WRITE,
        body=BulkCreate,
        body_required=False,
        reply=TaskReply,
        status=202,
        errors=_CREATING,
        reply_headers=_LOCATION,
    ),
)
async def create_bulk_task(call: CallDep, dataset_id: str) -> Response:
    """Fill or refresh cells: every empty one, or those that are named. Locks the dataset."""
    tx, principal = await call.tx(), principal_of(call)
    dataset = await datasets.get_dataset(tx, principal, dataset_id)
    body = await call.body(BulkCreate, optional=True)
    task = await service.create_bulk(
        tx, _shop_of(call), principal, dataset, asked=body.selection, terms=_terms_of(body)
    )
    return _accepted(task)


@router.post(
    f"{_TASKS}/new-rows",
    **operation(
        "createNewRowsTask",
        "Tasks",
        scope=Scope.WRITE,
        body=NewRowsCreate,
        reply=TaskReply,
        status=202,
        errors=_CREATING,
        reply_headers=_LOCATION,
    ),
)
async def create_new_rows_task(call: CallDep, dataset_id: str) -> Response:
    """Add rows and fill them: from linked sources first. Locks the dataset."""
    tx, principal = await call.tx(), principal_of(call)
    dataset = await datasets.get_dataset(tx, principal, dataset_id)
    body = await call.body(NewRowsCreate)
    task = await service.create_new_rows(
        tx,
        _shop_of(call),
        principal,
        dataset,
        row_count=body.row_count,
        terms=_terms_of(body),
        allow_generated=body.allow_generated is not False,
    )
    return _accepted(task)


@router.post(
    f"{_TASKS}/estimate",
    **operation(
        "estimateTask",
        "Tasks",
        scope=Scope.READ,
        body=EstimateRequest,
        reply=EstimateReply,
        errors=(DatasetNotFound, WebhookNotFound, InvalidSelection, InvalidTaskForDataset),
    ),
)
async def estimate_task(call: CallDep, dataset_id: str) -> Response:
    """Say what a task would do and cost. Locks nothing and calls no model."""
    principal, operations = principal_of(call), call.service(Operations)
    database = call.service(Database)
    async with database.transaction(read_only=True, workspace_id=principal.workspace_id) as tx:
        dataset = await datasets.get_dataset(tx, principal, dataset_id)
    body = await call.body(EstimateRequest)
    async with database.transaction(read_only=True, workspace_id=principal.workspace_id) as tx:
        if body.row_count is None:
            sample = await estimate.sample_bulk(
                tx,
                operations,
                principal,
                dataset,
                asked=body.bulk.selection,
                terms=_terms_of(body),
            )
        else:
            sample = await estimate.sample_new_rows(
                tx,
                operations,
                principal,
                dataset,
                row_count=body.row_count,
                terms=_terms_of(body),
            )
    library = Librarian(database).open(principal.workspace_id)
    found = await estimate.estimate_sample(operations, sample, library)
    return reply(
        {
            "cells": found.cells,
            "rows": found.rows,
            "requests": found.requests,
            "promptTokens": found.prompt_tokens,
            "completionTokens": found.completion_tokens,
            "costUsd": found.cost_usd,
        }
    )


@router.get(
    "/tasks",
    **operation("listAllTasks", "Tasks", scope=Scope.READ, query=TaskQuery, reply=TaskList),
)
async def list_all_tasks(call: CallDep) -> Response:
    """List the workspace's tasks, newest first."""
    query = call.query(TaskQuery)
    tasks, pagination = await service.list_tasks(
        await call.tx(), principal_of(call), query.paging, status=query.status, kind=query.type
    )
    return reply({"tasks": [task_to_wire(t) for t in tasks], "pagination": pagination.to_wire()})


@router.get(
    _TASKS,
    **operation(
        "listTasks",
        "Tasks",
        scope=Scope.READ,
        query=TaskQuery,
        reply=TaskList,
        errors=(DatasetNotFound,),
    ),
)
async def list_tasks(call: CallDep, dataset_id: str) -> Response:
    """List a dataset's tasks, newest first."""
    tx, principal = await call.tx(), principal_of(call)
    dataset = await datasets.get_dataset(tx, principal, dataset_id)
    query = call.query(TaskQuery)
    tasks, pagination = await service.list_tasks(
        tx, principal, query.paging, dataset=dataset, status=query.status, kind=query.type
    )
    return reply({"tasks": [task_to_wire(t) for t in tasks], "pagination": pagination.to_wire()})


@router.get(
    _TASK,
    **operation(
        "getTask",
        "Tasks",
        scope=Scope.READ,
        reply=TaskReply,
        errors=(DatasetNotFound, TaskNotFound),
    ),
)
async def get_task(call: CallDep, dataset_id: str, task_id: str) -> Response:
    """Show a task: status, progress, results, usage."""
    dataset = await datasets.get_dataset(await call.tx(), principal_of(call), dataset_id)
    return reply(task_to_wire(await service.get_task(await call.tx(), dataset, task_id)))


async def _cancel(call: Call, dataset_id: str, task_id: str) -> Response:
    tx = await call.tx()
    dataset = await datasets.get_dataset(tx, principal_of(call), dataset_id)
    task = await service.get_task(tx, dataset, task_id)
    return reply(task_to_wire(await service.cancel_task(tx, call.service(Engine), task)))


@router.post(
    f"{_TASK}/cancel",
    **operation(
        "cancelTask",
        "Tasks",
        scope=Scope.WRITE,
        reply=TaskReply,
        errors=(DatasetNotFound, TaskNotFound, TaskNotCancellable),
    ),
)
async def cancel_task(call: CallDep, dataset_id: str, task_id: str) -> Response:
    """End an open task. It is cancelled and the dataset free when this replies."""
    return await _cancel(call, dataset_id, task_id)


@router.delete(
    _TASK,
    **operation(
        "deleteTask",
        "Tasks",
        scope=Scope.WRITE,
        reply=TaskReply,
        errors=(DatasetNotFound, TaskNotFound, TaskNotCancellable),
    ),
)
async def delete_task(call: CallDep, dataset_id: str, task_id: str) -> Response:
    """End an open task: the same as its `cancel`."""
    return await _cancel(call, dataset_id, task_id)


@router.post(
    f"{_TASK}/retry",
    **operation(
        "retryTask",
        "Tasks",
        scope=Scope.WRITE,
        reply=TaskReply,
        status=202,
        errors=(
            DatasetNotFound,
            TaskNotFound,
            InvalidTaskForDataset,
            DatasetLocked,
            QuotaExceeded,
        ),
        reply_headers=_LOCATION,
    ),
)
async def retry_task(call: CallDep, dataset_id: str, task_id: str) -> Response:
    """Make a new task over just the cells that failed."""
    tx, principal = await call.tx(), principal_of(call)
    dataset = await datasets.get_dataset(tx, principal, dataset_id)
    before = await service.get_task(tx, dataset, task_id)
    return _accepted(await service.retry_task(tx, _shop_of(call), principal, dataset, before))


@router.post(
    f"{_TASK}/revert",
    **operation(
        "revertTask",
        "Tasks",
        scope=Scope.WRITE,
        reply=RevertReply,
        errors=(DatasetNotFound, TaskNotFound, DatasetLocked),
    ),
)
async def revert_task(call: CallDep, dataset_id: str, task_id: str) -> Response:
    """Undo what a task wrote; cells that anyone wrote since are left."""
    tx, principal = await call.tx(), principal_of(call)
    dataset = await datasets.get_dataset(tx, principal, dataset_id)
    task = await service.get_task(tx, dataset, task_id)
    found = await service.revert_task(tx, principal, dataset, task)
    return reply(
        {
            "cellsReverted": found.cells,
            "rowsDeleted": found.rows,
            "cellsLeft": found.cells_left,
        }
    )


@router.get(
    f"{_TASK}/report",
    **operation(
        "getTaskReport",
        "Tasks",
        scope=Scope.READ,
        reply=ReportReply,
        errors=(DatasetNotFound, TaskNotFound),
    ),
)
async def get_task_report(call: CallDep, dataset_id: str, task_id: str) -> Response:
    """Show what the operation measured: cells by status and error, how sure the values are."""
    tx = await call.tx()
    dataset = await datasets.get_dataset(tx, principal_of(call), dataset_id)
    task = await service.get_task(tx, dataset, task_id)
    return reply(report_to_wire(task, await service.summarise_task(tx, task)))


@router.get(
    f"{_TASK}/events",
    **operation(
        "streamTaskEvents",
        "Tasks",
        scope=Scope.READ,
        query=EventsQuery,
        reply_types=("text/event-stream",),
        errors=(DatasetNotFound, TaskNotFound),
    ),
)
async def stream_task_events(call: CallDep, dataset_id: str, task_id: str) -> Response:
    """Follow a task: `progress`, `cell` (with `cells=true`) and one event named after its end.

    Send `Last-Event-ID` to go on after the last event that was seen.
    """
    tx = await call.tx()
    dataset = await datasets.get_dataset(tx, principal_of(call), dataset_id)
    task = await service.get_task(tx, dataset, task_id)
    query = call.query(EventsQuery)
    place = events.parse_place(call.request.headers.get("last-event-id"))
    return StreamingResponse(
        events.stream(call.service(Database), task, place, with_cells=query.cells),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get(
    "/usage",
    **operation("getUsage", "Tasks", scope=Scope.READ, query=UsageQuery, reply=WorkspaceUsage),
)
async def get_usage(call: CallDep) -> Response:
    """Show what the workspace's tasks did and cost, by day (UTC)."""
    first, last = call.query(UsageQuery).days
    days = await service.sum_usage(await call.tx(), principal_of(call), first, last)
    return reply(workspace_usage_to_wire(first, last, days))


def _shop_of(call: Call) -> Shop:
    task_limits = call.services.registry.get(TaskLimits)
    dataset_limits = call.services.registry.get(DatasetLimits)
    return Shop(
        call.service(Engine),
        call.service(Operations),
        task_limits if isinstance(task_limits, TaskLimits) else TaskLimits(),
        dataset_limits if isinstance(dataset_limits, DatasetLimits) else DatasetLimits(),
    )


def _terms_of(body: BulkCreate | NewRowsCreate | EstimateRequest) -> Terms:
    return Terms(body.webhook_id, body.limits, body.model)


def _accepted(task: Task) -> Response:
    path = f"/api/v2/datasets/{task.dataset_id}/tasks/{task.task_id}"
    return reply(task_to_wire(task), 202, {"Location": path})
