"""How tasks end: batch by batch, cancelled, or failed.

A task's row is the referee: every statement here asks for an open status, and every batch is
counted by a statement that asks for `processing`.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from gridmill.providers.llm.model import Usage
from gridmill.storage.database import Tx
from gridmill.tasks.model import BatchResult, Task, TaskStatus
from gridmill.tasks.repository.tasks import COLUMNS, IS_OPEN, to_task

_MESSAGE_CHARACTERS = 2_000

# One statement for the batch and its task: the task's row is taken last of all rows that the
# transaction writes and held only until its commit, so parallel batches hardly wait for another.
_SETTLE = sql.SQL(
    "WITH ended AS (UPDATE tasks SET batches_done = batches_done + 1, "
    "completed = completed + %(completed)s, failed = failed + %(failed)s, "
    "skipped = CASE WHEN %(stopped)s::text IS NULL THEN skipped + %(skipped)s "
    "ELSE total - completed - failed - %(completed)s - %(failed)s END, "
    # Rows that cannot be made are no part of the task: its total becomes what exists.
    "total = total - %(missing)s, rows_created = rows_created + %(made)s, "
    "message = CASE WHEN strpos(coalesce(message, ''), %(message)s) > 0 THEN message "
    "ELSE nullif(left(concat_ws(' ', message, nullif(%(message)s, '')), %(characters)s), '') END, "
    "measured = CASE WHEN %(measured)s::jsonb IS NULL THEN measured "
    "ELSE coalesce(measured, '{}'::jsonb) || %(measured)s::jsonb END, "
    "needs_review = needs_review + %(review)s, cells_written = cells_written + %(written)s, "
    "cells_failed = cells_failed + %(cells_failed)s, "
    "cells_skipped = cells_skipped + %(cells_skipped)s, "
    "cells_needing_review = cells_needing_review + %(cells_review)s, "
    "requests = requests + %(requests)s, cached_requests = cached_requests + %(cached)s, "
    "prompt_tokens = prompt_tokens + %(prompt)s, "
    "completion_tokens = completion_tokens + %(completion)s, cost_usd = cost_usd + %(cost)s, "
    # What the stopping batch skipped cannot be told from what it left: all of it counts as left.
    "stopped_by = %(stopped)s, unreached = CASE WHEN %(stopped)s::text IS NULL THEN 0 "
    "ELSE total - completed - failed - skipped - %(completed)s - %(failed)s END, "
    "error = CASE WHEN completed + %(completed)s > 0 OR %(stopped)s::text IS NOT NULL THEN NULL "
    "ELSE coalesce(error, %(error)s) END, "
    "status = CASE WHEN %(stopped)s::text IS NOT NULL THEN 'completed' "
    "WHEN batches_done + 1 < batches_total THEN 'processing' "
    "WHEN completed + %(completed)s = 0 AND failed + %(failed)s > 0 THEN 'failed' "
    "ELSE 'completed' END, "
    "completed_at = CASE WHEN %(stopped)s::text IS NOT NULL OR batches_done + 1 = batches_total "
    "THEN clock_timestamp() END "
    "WHERE task_id = %(task)s AND status = 'processing' "
    "RETURNING task_id, dataset_id, batches_done, status) "
    "UPDATE task_batches b SET status = 'done', done_seq = ended.batches_done, "
    "completed = %(completed)s, failed = %(failed)s, skipped = %(skipped)s, "
    "needs_review = %(review)s, done_at = clock_timestamp() FROM ended "
    "WHERE b.task_id = ended.task_id AND b.batch_no = %(batch)s AND b.token = %(token)s "
    "AND b.status = 'running' RETURNING ended.status, ended.dataset_id"
)


async def settle_batch(
    tx: Tx, task_id: UUID, batch_no: int, token: UUID, result: BatchResult
) -> tuple[TaskStatus, UUID] | None:
    """Count a batch as done, ending the task if it was the last; the task's status and dataset.

    `None` when the task has ended or the batch belongs to another claim: then the caller's
    transaction must write nothing, so roll it back.

    A batch may say the same `message` as another one: it is told once.
    """
    counts, cells, usage = result.counts, result.cells, result.usage
    cursor = await tx.execute(
        _SETTLE,
        {
            "task": task_id,
            "batch": batch_no,
            "token": token,
            "completed": counts.completed,
            "failed": counts.failed,
            "skipped": counts.skipped,
            "review": counts.needs_review,
            "written": cells.completed,
            "cells_failed": cells.failed,
            "cells_skipped": cells.skipped,
            "cells_review": cells.needs_review,
            "requests": usage.requests,
            "cached": usage.cached_requests,
            "prompt": usage.prompt_tokens,
            "completion": usage.completion_tokens,
            "cost": usage.cost_usd,
            "missing": result.rows_missing,
            "made": result.rows_made,
            "message": result.message or "",
            "measured": Jsonb(dict(result.measured)) if result.measured else None,
            "characters": _MESSAGE_CHARACTERS,
            "stopped": result.stopped_by,
            "error": None
            if result.error is None
            else Jsonb({"code": result.error.code, "message": result.error.message}),
        },
    )
    row = await cursor.fetchone()
    return (TaskStatus(row[0]), row[1]) if row else None


async def complete_empty(tx: Tx, task_id: UUID) -> None:
    """`processing` → `completed` for a task without batches."""
    await tx.execute(
        "UPDATE tasks SET status = 'completed', completed_at = clock_timestamp() "
        "WHERE task_id = %s AND status = 'processing' AND batches_total = 0",
        [task_id],
    )


async def cancel_task(tx: Tx, task_id: UUID) -> Task | None:
    """Open → `cancelled`, the rest counted as skipped; `None` when it has ended."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL(
            "UPDATE tasks SET status = 'cancelled', completed_at = clock_timestamp(), "
            "skipped = total - completed - failed, error = NULL "
            "WHERE task_id = %s AND {open} RETURNING {columns}"
        ).format(open=IS_OPEN, columns=COLUMNS),
        [task_id],
    )
    row = await cursor.fetchone()
    return to_task(row) if row else None


async def fail_task(
    tx: Tx, task_id: UUID, error: Mapping[str, Any], *, failed: int = 0, usage: Usage | None = None
) -> UUID | None:
    """Open → `failed`: `failed` more units failed, the rest is skipped; its dataset, if it was open."""
    spent = usage or Usage()
    cursor = await tx.execute(
        sql.SQL(
            "UPDATE tasks SET status = 'failed', completed_at = clock_timestamp(), error = %s, "
            "failed = failed + %s, skipped = total - completed - failed - %s, "
            "requests = requests + %s, cached_requests = cached_requests + %s, "
            "prompt_tokens = prompt_tokens + %s, completion_tokens = completion_tokens + %s, "
            "cost_usd = cost_usd + %s WHERE task_id = %s AND {open} RETURNING dataset_id"
        ).format(open=IS_OPEN),
        [
            Jsonb(error),
            failed,
            failed,
            spent.requests,
            spent.cached_requests,
            spent.prompt_tokens,
            spent.completion_tokens,
            spent.cost_usd,
            task_id,
        ],
    )
    row = await cursor.fetchone()
    return row[0] if row else None
