"""Use cases of the tasks room: create, find, list, cancel, retry, revert, report, usage.

Creating takes the dataset's lock in the transaction that stores the task and its planning job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from gridmill.auth.model import Principal
from gridmill.datasets import service as datasets
from gridmill.datasets.errors import DatasetLocked
from gridmill.datasets.model import Column, Dataset, DatasetLimits, Reverted
from gridmill.datasets.task_writes import TaskWrites
from gridmill.engine.port import Engine
from gridmill.kit.errors import QuotaExceeded, ValidationFailed
from gridmill.kit.ids import encode_cell, encode_row, new_uuid7, parse_uuid
from gridmill.kit.pages import PageQuery, Pagination, cut_page, find_place
from gridmill.operations.errors import PriceUnknown
from gridmill.storage.database import Tx
from gridmill.tasks import lifecycle
from gridmill.tasks.errors import (
    NAMED_IDS,
    InvalidTaskForDataset,
    TaskNotFound,
    unknown_ids,
)
from gridmill.tasks.model import Budget, Operations, Task, TaskKind, TaskLimits, TaskStatus
from gridmill.tasks.new_rows import find_planner
from gridmill.tasks.planning import make_plan_job
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.repository.tasks import NewTask, TaskFilter, UsageDay
from gridmill.tasks.selection import (
    Selection,
    SelectionRequest,
    is_target,
    list_targets,
    resolve,
)
from gridmill.tasks.setup import to_specs
from gridmill.webhooks import service as webhooks

# Longer lists of ids are not told back in a task's `request`.
_TOLD_IDS = 1_000
_NO_LIMITS = DatasetLimits()


@dataclass(frozen=True, slots=True)
class Terms:
    """What every creating call may say beside what is to be done."""

    webhook_id: str | None = None
    budget: Budget | None = None
    model: str | None = None

    def to_request(self) -> dict[str, Any]:
        """Their part of the task's `request`."""
        said: dict[str, Any] = {}
        if self.budget is not None:
            limits = {
                "maxCostUsd": self.budget.max_cost_usd,
                "maxTokens": self.budget.max_tokens,
            }
            said["budget"] = {name: value for name, value in limits.items() if value is not None}
        if self.model is not None:
            said["model"] = self.model
        return said


@dataclass(frozen=True, slots=True)
class Shop:
    """What creating stands on: where jobs go, which operations there are, what is allowed."""

    engine: Engine
    operations: Operations
    limits: TaskLimits
    dataset_limits: DatasetLimits = _NO_LIMITS


async def create_bulk(
    tx: Tx,
    shop: Shop,
    principal: Principal,
    dataset: Dataset,
    *,
    asked: SelectionRequest,
    terms: Terms,
) -> Task:
    """Ask for cells to be filled; the dataset is locked for the task from here on.

    Raises:
        ValidationFailed, WebhookNotFound, InvalidSelection, InvalidTaskForDataset.
        DatasetLocked: another task holds it, or it is still imported.
        QuotaExceeded.
    """
    check_terms(shop.operations, terms)
    webhook_id = await webhooks.check_webhook(tx, dataset.workspace_id, terms.webhook_id)
    if asked.cell_ids is not None or asked.row_ids is not None:
        await datasets.hold_for_task(tx, dataset)
    columns = await datasets.list_columns(tx, dataset)
    check_bulk(shop.operations, dataset, columns)
    selection = await resolve_selection(tx, dataset, columns, asked)
    check_prices(shop.operations, columns, selection.targets, terms)
    task_id = new_uuid7()
    await datasets.lock_for_task(tx, dataset, task_id)
    # Columns may have changed before the lock was ours.
    fresh = await datasets.list_columns(tx, dataset)
    if fresh != columns:
        selection = await resolve_selection(tx, dataset, fresh, asked)
    request = {**describe_selection(asked), **terms.to_request()}
    order = _Order(task_id, TaskKind.BULK, request, selection.to_json(), webhook_id=webhook_id)
    task = await _store(tx, shop, principal, dataset, order)
    if selection.is_listed:
        listing = batch_rows.to_listing(selection.row_nos, selection.cells)
        await batch_rows.insert_selection(tx, task_id, listing)
    return task


async def create_new_rows(
    tx: Tx,
    shop: Shop,
    principal: Principal,
    dataset: Dataset,
    *,
    row_count: int,
    terms: Terms,
    allow_generated: bool = True,
) -> Task:
    """Ask for new rows; the dataset is locked for the task from here on.

    Raises:
        ValidationFailed, WebhookNotFound.
        InvalidTaskForDataset: there is nothing to make rows from; says what is missing.
        DatasetLocked, QuotaExceeded.
        RowQuotaExceeded: they are more than the workspace may hold.
    """
    check_terms(shop.operations, terms)
    webhook_id = await webhooks.check_webhook(tx, dataset.workspace_id, terms.webhook_id)
    columns = await datasets.list_columns(tx, dataset)
    planner = find_planner(shop.operations, dataset)
    rows = await planner.count(tx, dataset, columns, row_count)
    check_prices(shop.operations, columns, list_targets(columns), terms)
    task_id = new_uuid7()
    await datasets.lock_for_task(tx, dataset, task_id)
    await datasets.check_quota(tx, dataset.workspace_id, rows, shop.dataset_limits)
    request = {"rowCount": row_count, "allowGenerated": allow_generated, **terms.to_request()}
    order = _Order(task_id, TaskKind.NEW_ROWS, request, {"onlyEmpty": True}, webhook_id=webhook_id)
    return await _store(tx, shop, principal, dataset, order)


async def retry_task(
    tx: Tx, shop: Shop, principal: Principal, dataset: Dataset, before: Task
) -> Task:
    """A new task over just the cells at which `before` failed; with none it completes at once.

    Raises:
        DatasetLocked: a task holds the dataset, this one or another.
        QuotaExceeded.
    """
    if before.is_open:
        raise DatasetLocked(before.task_id)
    kept = await repository.find_plan(tx, before.task_id)
    task_id = new_uuid7()
    await datasets.lock_for_task(tx, dataset, task_id)
    request = {
        name: before.request[name]
        for name in ("processOnlyEmpty", "budget", "model")
        if name in before.request
    }
    request["retryOf"] = str(before.task_id)
    plan = {
        "targets": kept.get("targets", []),
        "onlyEmpty": kept.get("onlyEmpty", True),
        "countsFilled": False,
    }
    order = _Order(task_id, TaskKind.BULK, request, plan, retry_of=before.task_id)
    return await _store(tx, shop, principal, dataset, order)


async def get_task(tx: Tx, dataset: Dataset, task_id: str) -> Task:
    """A task of the dataset.

    Raises:
        TaskNotFound: malformed, unknown, or of another dataset.
    """
    known = parse_uuid(task_id)
    if known is None:
        raise TaskNotFound
    task = await repository.find_task(
        tx, known, workspace_id=dataset.workspace_id, dataset_id=dataset.dataset_id
    )
    if task is None:
        raise TaskNotFound
    return task


async def list_tasks(
    tx: Tx,
    principal: Principal,
    paging: PageQuery,
    *,
    dataset: Dataset | None = None,
    status: TaskStatus | None = None,
    kind: TaskKind | None = None,
) -> tuple[list[Task], Pagination]:
    """A page of the tasks that the key reaches, newest first.

    Raises:
        ValidationFailed: a cursor that no reply gave.
    """
    which = TaskFilter(
        principal.workspace_id,
        None if dataset is None else dataset.dataset_id,
        principal.dataset_ids,
        status,
        kind,
    )
    before, offset = find_place(paging)
    found = await repository.list_tasks(
        tx, which, before=before, offset=offset, limit=paging.limit + 1
    )
    total = await repository.count_tasks(tx, which)
    return cut_page(paging, found, total, lambda task: task.task_id)


async def cancel_task(tx: Tx, engine: Engine, task: Task) -> Task:
    """End the task; it is cancelled and its dataset free when the transaction commits.

    Raises:
        TaskNotCancellable: it has ended.
    """
    return await lifecycle.cancel(tx, engine, task)


async def revert_task(tx: Tx, principal: Principal, dataset: Dataset, task: Task) -> Reverted:
    """Undo what the task wrote, but for cells that anyone wrote since.

    Raises:
        DatasetLocked: a task holds the dataset, this one or another.
    """
    if task.is_open:
        raise DatasetLocked(task.task_id)
    found = await datasets.revert_task(tx, principal, dataset, task.task_id)
    await repository.mark_reverted(tx, task.task_id)
    return found


async def summarise_task(tx: Tx, task: Task) -> TaskWrites:
    """Count what the task wrote by status, error and confidence."""
    return await datasets.summarise_task(tx, task.task_id)


async def sum_usage(tx: Tx, principal: Principal, first: date, last: date) -> list[UsageDay]:
    """What the workspace's tasks did and cost, by day; days without a task are left out."""
    return await repository.sum_usage(
        tx, principal.workspace_id, principal.dataset_ids, first, last
    )


def check_terms(operations: Operations, terms: Terms) -> None:
    """Raise `ValidationFailed` for a model that this server cannot ask."""
    if terms.model is not None:
        fault = operations.check_model(terms.model)
        if fault is not None:
            raise ValidationFailed.of("model", fault)


def check_prices(
    operations: Operations, columns: Sequence[Column], targets: Sequence[int], terms: Terms
) -> None:
    """Raise `ValidationFailed` when a limit in dollars meets a model without a known price."""
    if terms.budget is None or terms.budget.max_cost_usd is None:
        return
    specs = to_specs(columns)
    for task_type, operation in operations.by_task_type.items():
        mine = [c.column_no for c in columns if c.task_type is task_type and c.column_no in targets]
        try:
            operation.check_budget(specs, mine, terms.model, terms.budget.max_cost_usd)
        except PriceUnknown as error:
            raise ValidationFailed.of("budget.maxCostUsd", error.message) from None


def check_bulk(operations: Operations, dataset: Dataset, columns: Sequence[Column]) -> None:
    """Raise `InvalidTaskForDataset` when there are columns to fill and none can be filled here."""
    kinds = {column.task_type for column in columns if is_target(column)}
    if kinds and not kinds & operations.by_task_type.keys():
        raise InvalidTaskForDataset(
            f"This server has no operation for the columns of this {dataset.type.value} dataset: "
            f"{', '.join(sorted(kinds))}."
        )


async def resolve_selection(
    tx: Tx, dataset: Dataset, columns: list[Column], asked: SelectionRequest
) -> Selection:
    """The cells that are asked for, their rows known to exist.

    Raises:
        InvalidSelection: see `selection.resolve`; also for rows that are not there.
    """
    selection = resolve(asked, columns, dataset.key)
    rows = selection.named_rows
    missing = await datasets.find_missing_rows(tx, dataset, rows, NAMED_IDS) if rows else []
    if missing and selection.cells is not None:
        cells = selection.cells
        ids = [encode_cell(dataset.key, row, number) for row in missing for number in cells[row]]
        raise unknown_ids("cellIds", ids)
    if missing:
        raise unknown_ids("rowIds", [encode_row(dataset.key, row) for row in missing])
    return selection


def describe_selection(asked: SelectionRequest) -> dict[str, Any]:
    """A bulk task's `request`: what was asked, very long lists of ids as their number."""
    said: dict[str, Any] = {}
    lists = {"cellIds": asked.cell_ids, "columnIds": asked.column_ids, "rowIds": asked.row_ids}
    for name, ids in lists.items():
        if ids is not None and len(ids) <= _TOLD_IDS:
            said[name] = list(ids)
        elif ids is not None:
            said[f"{name.removesuffix('Ids')}Count"] = len(ids)
    said["processOnlyEmpty"] = asked.only_empty
    return said


@dataclass(frozen=True, slots=True)
class _Order:
    """A task to be stored."""

    task_id: UUID
    kind: TaskKind
    request: Mapping[str, Any]
    plan: Mapping[str, Any]
    retry_of: UUID | None = None
    webhook_id: UUID | None = None


async def _store(tx: Tx, shop: Shop, principal: Principal, dataset: Dataset, order: _Order) -> Task:
    await _check_quota(tx, dataset.workspace_id, shop.limits)
    (job_id,) = await shop.engine.enqueue(tx, [make_plan_job(order.task_id)])
    return await repository.insert_task(
        tx,
        NewTask(
            task_id=order.task_id,
            workspace_id=dataset.workspace_id,
            dataset_id=dataset.dataset_id,
            kind=order.kind,
            operation=dataset.type.value,
            request=order.request,
            plan=order.plan,
            plan_job_id=job_id,
            created_by=principal.key_id,
            retry_of=order.retry_of,
            webhook_id=order.webhook_id,
        ),
    )


async def _check_quota(tx: Tx, workspace_id: UUID, limits: TaskLimits) -> None:
    if limits.open_tasks is None and limits.tokens_per_month is None:
        return
    open_tasks, tokens = await repository.hold_quota(tx, workspace_id)
    if limits.open_tasks is not None and open_tasks >= limits.open_tasks:
        raise QuotaExceeded(
            "openTasks",
            limits.open_tasks,
            f"The workspace may have {limits.open_tasks} open tasks; wait for one to end.",
        )
    if limits.tokens_per_month is not None and tokens >= limits.tokens_per_month:
        raise QuotaExceeded(
            "tokensPerMonth",
            limits.tokens_per_month,
            f"The workspace's tasks have used this month's {limits.tokens_per_month} tokens.",
        )
