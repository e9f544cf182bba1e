"""The batches of tasks and the rows that a selection lists."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from gridmill.providers.llm.model import Usage
from gridmill.storage.database import Tx
from gridmill.tasks.model import Counts


@dataclass(frozen=True, slots=True)
class BatchRange:
    """A batch to be stored: its range, what it holds, whether the selection lists its cells.

    With `items` it makes `rows` rows of them (JSON, as planning wrote it), and its range is empty.
    """

    first_row: int
    last_row: int
    rows: int
    cells: int
    listed: bool
    items: Sequence[Any] | None = None

    @property
    def makes_rows(self) -> bool:
        """Whether its rows are still to be made."""
        return self.items is not None


def order_rows(items: Sequence[Any], rows: int, columns: int) -> BatchRange:
    """A batch that makes `rows` rows of `items`, with `columns` cells each."""
    return BatchRange(1, 0, rows, rows * columns, listed=False, items=items)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch that this run may work on, and what its task has spent so far."""

    batch: BatchRange
    attempts: int
    spent: Usage


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A batch that is not done; `attempts` counts its claims so far."""

    batch_no: int
    job_id: int
    attempts: int
    range: BatchRange


@dataclass(frozen=True, slots=True)
class DoneBatch:
    """A finished batch: `seq` is its place in the order of finishing, from 1 without gaps."""

    seq: int
    batch_no: int
    completed: int
    failed: int
    skipped: int
    needs_review: int
    done_at: datetime

    @property
    def counts(self) -> Counts:
        """What it added to the progress."""
        return Counts(self.completed, self.failed, self.skipped, self.needs_review)


async def insert_batches(
    tx: Tx, task_id: UUID, batches: Iterable[BatchRange], job_ids: Sequence[int]
) -> None:
    """Store a task's batches, numbered from 1, each with its job."""
    statement = (
        "COPY task_batches (task_id, batch_no, first_row, last_row, rows, cells, listed, items, "
        "job_id) FROM STDIN"
    )
    async with tx.cursor() as cursor, cursor.copy(statement) as copy:
        for number, (batch, job_id) in enumerate(zip(batches, job_ids, strict=True), 1):
            await copy.write_row(
                (
                    task_id,
                    number,
                    batch.first_row,
                    batch.last_row,
                    batch.rows,
                    batch.cells,
                    batch.listed,
                    None if batch.items is None else Jsonb(batch.items),
                    job_id,
                )
            )


async def claim_batch(tx: Tx, task_id: UUID, batch_no: int, token: UUID) -> Claimed | None:
    """Take a batch under a fresh token; `None` when it is done or its task no longer runs."""
    cursor = await tx.execute(
        "UPDATE task_batches b SET status = 'running', token = %s, attempts = b.attempts + 1 "
        "FROM tasks t WHERE b.task_id = %s AND b.batch_no = %s AND b.status <> 'done' "
        "AND t.task_id = b.task_id AND t.status = 'processing' "
        "RETURNING b.first_row, b.last_row, b.rows, b.cells, b.listed, b.items, b.attempts, t.requests, "
        "t.cached_requests, t.prompt_tokens, t.completion_tokens, t.cost_usd",
        [token, task_id, batch_no],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Claimed(BatchRange(*row[:6]), row[6], Usage(*row[7:]))


async def list_job_ids(tx: Tx, task_id: UUID, *, except_batch: int | None = None) -> list[int]:
    """The jobs of a task that may still wait or run: its planning and its unfinished batches."""
    cursor = await tx.execute(
        "SELECT job_id FROM task_batches WHERE task_id = %s AND status <> 'done' "
        "AND job_id IS NOT NULL AND batch_no IS DISTINCT FROM %s "
        "UNION ALL SELECT plan_job_id FROM tasks "
        "WHERE task_id = %s AND plan_job_id IS NOT NULL AND batches_total IS NULL",
        [task_id, except_batch, task_id],
    )
    return [int(row[0]) for row in await cursor.fetchall()]


async def list_unfinished(tx: Tx, task_id: UUID) -> list[Unfinished]:
    """A task's unfinished batches in order."""
    cursor = await tx.execute(
        "SELECT batch_no, coalesce(job_id, 0), attempts, first_row, last_row, rows, cells, listed, items "
        "FROM task_batches WHERE task_id = %s AND status <> 'done' ORDER BY batch_no",
        [task_id],
    )
    return [
        Unfinished(row[0], int(row[1]), row[2], BatchRange(*row[3:]))
        for row in await cursor.fetchall()
    ]


async def set_job_ids(tx: Tx, task_id: UUID, jobs: Mapping[int, int]) -> None:
    """Give batches (by number) new jobs."""
    await tx.execute(
        "UPDATE task_batches b SET job_id = n.job_id "
        "FROM unnest(%s::int[], %s::bigint[]) AS n (batch_no, job_id) "
        "WHERE b.task_id = %s AND b.batch_no = n.batch_no",
        [list(jobs), list(jobs.values()), task_id],
    )


async def list_done(tx: Tx, task_id: UUID, after: int, limit: int) -> list[DoneBatch]:
    """Batches that finished after the one with place `after`, in order."""
    cursor = tx.cursor(row_factory=class_row(DoneBatch))
    await cursor.execute(
        "SELECT done_seq AS seq, batch_no, completed, failed, skipped, needs_review, done_at "
        "FROM task_batches WHERE task_id = %s AND done_seq > %s ORDER BY done_seq LIMIT %s",
        [task_id, after, limit],
    )
    return await cursor.fetchall()


async def sum_done(tx: Tx, task_id: UUID, through: int) -> Counts:
    """What the batches up to the one with place `through` added."""
    cursor = await tx.execute(
        "SELECT coalesce(sum(completed), 0)::bigint, coalesce(sum(failed), 0)::bigint, "
        "coalesce(sum(skipped), 0)::bigint, coalesce(sum(needs_review), 0)::bigint "
        "FROM task_batches WHERE task_id = %s AND done_seq <= %s",
        [task_id, through],
    )
    row = await cursor.fetchone()
    return Counts(*row) if row else Counts()


async def insert_selection(
    tx: Tx, task_id: UUID, rows: Sequence[tuple[int, Sequence[int]]]
) -> None:
    """Keep which rows a task lists, each with its columns (none: all that the task fills)."""
    # Two long texts: binding 100,000 numbers and arrays one by one costs ten times as much.
    await tx.execute(
        "INSERT INTO task_selection (task_id, row_no, column_nos) "
        "SELECT %s, s.row_no::bigint, s.column_nos::int[] "
        "FROM unnest(string_to_array(%s, ';'), string_to_array(%s, ';')) AS s (row_no, column_nos)",
        [
            task_id,
            ";".join([str(row_no) for row_no, _ in rows]),
            ";".join(["{" + ",".join(map(str, numbers)) + "}" for _, numbers in rows]),
        ],
    )


async def read_selection(
    tx: Tx, task_id: UUID, *, first: int = 1, last: int | None = None
) -> list[tuple[int, list[int]]]:
    """The listed rows in a range, in order, with their columns."""
    cursor = await tx.execute(
        "SELECT row_no, column_nos FROM task_selection "
        "WHERE task_id = %s AND row_no >= %s AND (%s::bigint IS NULL OR row_no <= %s::bigint) "
        "ORDER BY row_no",
        [task_id, first, last, last],
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


def to_listing(
    row_nos: Sequence[int] | None, cells: Mapping[int, Sequence[int]] | None
) -> list[tuple[int, Sequence[int]]]:
    """What `insert_selection` keeps of a selection."""
    if cells is not None:
        return list(cells.items())
    none: Sequence[Any] = ()
    return [(row_no, none) for row_no in row_nos or ()]
