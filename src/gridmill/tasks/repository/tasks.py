"""The rows of tasks: made, found, listed, begun."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from gridmill.providers.llm.model import Usage
from gridmill.storage import quotas
from gridmill.storage.database import Tx
from gridmill.tasks.model import Counts, Task, TaskKind, TaskStatus

COLUMNS = sql.SQL(
    "task_id, workspace_id, dataset_id, type, operation, status, request, webhook_id, retry_of, "
    "batches_total, batches_done, total, completed, failed, skipped, needs_review, rows_created, "
    "cells_written, cells_failed, cells_skipped, cells_needing_review, requests, cached_requests, "
    "prompt_tokens, completion_tokens, cost_usd, stopped_by, unreached, error, message, measured, "
    "created_at, started_at, completed_at"
)
IS_OPEN = sql.SQL("status IN ('queued', 'processing')")


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be stored as `queued`; `plan` is what planning needs beside the request."""

    task_id: UUID
    workspace_id: UUID
    dataset_id: UUID
    kind: TaskKind
    operation: str
    request: Mapping[str, Any]
    plan: Mapping[str, Any]
    plan_job_id: int
    created_by: UUID | None
    retry_of: UUID | None = None
    webhook_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks of a workspace; `only` limits them to some datasets."""

    workspace_id: UUID
    dataset_id: UUID | None = None
    only: frozenset[UUID] | None = None
    status: TaskStatus | None = None
    kind: TaskKind | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """What planning found: units in all, those settled from the start, batches, rows made.

    `message` is a word to people.
    """

    total: int
    completed: int
    skipped: int
    batches: int
    rows_created: int
    message: str | None = None


@dataclass(frozen=True, slots=True)
class UsageDay:
    """What a workspace's tasks of one day (UTC, by their creation) did and cost."""

    day: date
    tasks: int
    cells: int
    usage: Usage


async def insert_task(tx: Tx, new: NewTask) -> Task:
    """Store a task as `queued`."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL(
            "INSERT INTO tasks (task_id, workspace_id, dataset_id, type, operation, status, "
            "request, plan, plan_job_id, created_by, retry_of, webhook_id) "
            "VALUES (%s, %s, %s, %s, %s, 'queued', %s, %s, %s, %s, %s, %s) RETURNING {}"
        ).format(COLUMNS),
        [
            new.task_id,
            new.workspace_id,
            new.dataset_id,
            new.kind,
            new.operation,
            Jsonb(new.request),
            Jsonb(new.plan),
            new.plan_job_id,
            new.created_by,
            new.retry_of,
            new.webhook_id,
        ],
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - an INSERT returns its row
    return to_task(row)


async def find_task(tx: Tx, task_id: UUID, *, workspace_id: UUID, dataset_id: UUID) -> Task | None:
    """A task of this workspace and dataset."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL(
            "SELECT {} FROM tasks WHERE task_id = %s AND workspace_id = %s AND dataset_id = %s"
        ).format(COLUMNS),
        [task_id, workspace_id, dataset_id],
    )
    row = await cursor.fetchone()
    return to_task(row) if row else None


async def find_any_task(tx: Tx, task_id: UUID) -> Task | None:
    """A task of whichever workspace: for jobs, and for who has found it under its own before."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL("SELECT {} FROM tasks WHERE task_id = %s").format(COLUMNS), [task_id]
    )
    row = await cursor.fetchone()
    return to_task(row) if row else None


async def find_plan(tx: Tx, task_id: UUID) -> dict[str, Any]:
    """What was kept for planning, and by it."""
    cursor = await tx.execute("SELECT plan FROM tasks WHERE task_id = %s", [task_id])
    row = await cursor.fetchone()
    return dict(row[0]) if row else {}


async def list_tasks(
    tx: Tx, which: TaskFilter, *, before: UUID | None, offset: int, limit: int
) -> list[Task]:
    """Tasks, newest first; those before `before` if it is given."""
    where, params = _where(which)
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL(
            "SELECT {} FROM tasks WHERE {} AND (%s::uuid IS NULL OR task_id < %s::uuid) "
            "ORDER BY task_id DESC LIMIT %s OFFSET %s"
        ).format(COLUMNS, where),
        [*params, before, before, limit, offset],
    )
    return [to_task(row) for row in await cursor.fetchall()]


async def count_tasks(tx: Tx, which: TaskFilter) -> int:
    """How many tasks `which` names."""
    where, params = _where(which)
    cursor = await tx.execute(sql.SQL("SELECT count(*) FROM tasks WHERE {}").format(where), params)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def count_open(tx: Tx) -> dict[str, int]:
    """Tasks of all workspaces that have not ended, by status."""
    # The partial index on open tasks answers this, however many have ended.
    cursor = await tx.execute(
        sql.SQL("SELECT status, count(*) FROM tasks WHERE {} GROUP BY status").format(IS_OPEN)
    )
    found = {str(status): int(count) for status, count in await cursor.fetchall()}
    return {"queued": 0, "processing": 0, **found}


async def hold_quota(tx: Tx, workspace_id: UUID) -> tuple[int, int]:
    """Open tasks and this month's tokens; held until the transaction ends, so that counts hold."""
    await quotas.hold_quota(tx, "tasks", workspace_id)
    cursor = await tx.execute(
        sql.SQL(
            "SELECT count(*) FILTER (WHERE {open}), "
            "coalesce(sum(prompt_tokens + completion_tokens) "
            "FILTER (WHERE created_at >= date_trunc('month', now())), 0)::bigint "
            "FROM tasks WHERE workspace_id = %s"
        ).format(open=IS_OPEN),
        [workspace_id],
    )
    row = await cursor.fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


async def begin_task(tx: Tx, task_id: UUID, begun: Begun, plan: Mapping[str, Any]) -> bool:
    """`queued` → `processing` with its plan; false when it is no longer `queued`."""
    cursor = await tx.execute(
        "UPDATE tasks SET status = 'processing', started_at = clock_timestamp(), total = %s, "
        "completed = %s, skipped = %s, batches_total = %s, rows_created = %s, message = %s, plan = %s "
        "WHERE task_id = %s AND status = 'queued'",
        [
            begun.total,
            begun.completed,
            begun.skipped,
            begun.batches,
            begun.rows_created,
            begun.message,
            Jsonb(plan),
            task_id,
        ],
    )
    return cursor.rowcount == 1


async def find_report(tx: Tx, task_id: UUID) -> dict[str, Any] | None:
    """What was kept of a measurement of the rows that a task made up."""
    cursor = await tx.execute("SELECT report FROM tasks WHERE task_id = %s", [task_id])
    row = await cursor.fetchone()
    return row[0] if row else None


async def keep_report(tx: Tx, task_id: UUID, report: Mapping[str, Any]) -> None:
    """Keep what was measured, unless something was kept before."""
    await tx.execute(
        "UPDATE tasks SET report = %s WHERE task_id = %s AND report IS NULL",
        [Jsonb(report), task_id],
    )


async def mark_reverted(tx: Tx, task_id: UUID) -> None:
    """Remember that what the task wrote was undone."""
    await tx.execute(
        "UPDATE tasks SET reverted_at = clock_timestamp() WHERE task_id = %s", [task_id]
    )


async def list_open(tx: Tx, quiet_since: datetime) -> list[UUID]:
    """Open tasks that were made before `quiet_since`."""
    cursor = await tx.execute(
        sql.SQL(
            "SELECT task_id FROM tasks WHERE {} AND created_at < %s ORDER BY task_id LIMIT 1000"
        ).format(IS_OPEN),
        [quiet_since],
    )
    return [row[0] for row in await cursor.fetchall()]


async def lock_task(tx: Tx, task_id: UUID) -> Task | None:
    """A task, its row held until the transaction ends."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL("SELECT {} FROM tasks WHERE task_id = %s FOR NO KEY UPDATE").format(COLUMNS),
        [task_id],
    )
    row = await cursor.fetchone()
    return to_task(row) if row else None


async def set_plan_job(tx: Tx, task_id: UUID, job_id: int) -> None:
    """Remember a new planning job."""
    await tx.execute("UPDATE tasks SET plan_job_id = %s WHERE task_id = %s", [job_id, task_id])


async def sum_usage(
    tx: Tx, workspace_id: UUID, only: frozenset[UUID] | None, first: date, last: date
) -> list[UsageDay]:
    """Days from `first` to `last` (both included) that have tasks."""
    cursor = await tx.execute(
        "SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*), "
        "sum(cells_written)::bigint, sum(requests)::bigint, sum(cached_requests)::bigint, "
        "sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, "
        # One task whose cost is not known makes its day's unknown; sum() alone would skip it.
        "CASE WHEN bool_and(cost_usd IS NOT NULL) THEN sum(cost_usd) END "
        "FROM tasks WHERE workspace_id = %s AND (%s::uuid[] IS NULL OR dataset_id = ANY(%s)) "
        "AND created_at >= %s::date::timestamp AT TIME ZONE 'UTC' "
        "AND created_at < (%s::date + 1)::timestamp AT TIME ZONE 'UTC' GROUP BY 1 ORDER BY 1",
        [workspace_id, _list(only), _list(only), first, last],
    )
    return [
        UsageDay(row[0], row[1], row[2], Usage(row[3], row[4], row[5], row[6], row[7]))
        for row in await cursor.fetchall()
    ]


def _list(ids: frozenset[UUID] | None) -> list[UUID] | None:
    return None if ids is None else list(ids)


def _where(which: TaskFilter) -> tuple[sql.Composed, list[Any]]:
    parts: list[sql.Composable] = [sql.SQL("workspace_id = %s")]
    params: list[Any] = [which.workspace_id]
    wanted: Sequence[tuple[str, Any]] = (
        ("dataset_id = %s", which.dataset_id),
        ("dataset_id = ANY(%s)", _list(which.only)),
        ("status = %s", which.status),
        ("type = %s", which.kind),
    )
    for test, value in wanted:
        if value is not None:
            parts.append(sql.SQL(test))
            params.append(value)
    return sql.SQL(" AND ").join(parts), params


def to_task(row: Mapping[str, Any]) -> Task:
    """A row of `COLUMNS` as a task."""
    return Task(
        task_id=row["task_id"],
        workspace_id=row["workspace_id"],
        dataset_id=row["dataset_id"],
        kind=TaskKind(row["type"]),
        operation=row["operation"],
        status=TaskStatus(row["status"]),
        request=row["request"],
        webhook_id=row["webhook_id"],
        retry_of=row["retry_of"],
        batches_total=row["batches_total"],
        batches_done=row["batches_done"],
        total=row["total"],
        counts=Counts(row["completed"], row["failed"], row["skipped"], row["needs_review"]),
        rows_created=row["rows_created"],
        cells=Counts(
            row["cells_written"],
            row["cells_failed"],
            row["cells_skipped"],
            row["cells_needing_review"],
        ),
        usage=Usage(
            row["requests"],
            row["cached_requests"],
            row["prompt_tokens"],
            row["completion_tokens"],
            row["cost_usd"],
        ),
        stopped_by=row["stopped_by"],
        unreached=row["unreached"],
        error=row["error"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        message=row["message"],
        measured=row["measured"] or {},
    )
