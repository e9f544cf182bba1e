"""Planning: from what was asked to batches of rows, counted inside the database.

All of it is one transaction: a task has either its whole plan and every job, or nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.datasets.model import DatasetLimits
from gridmill.datasources import service as datasources
from gridmill.engine.port import Engine, Job
from gridmill.kit.ids import parse_uuid
from gridmill.operations.model import NOT_TRIED_CODES
from gridmill.storage.database import Tx
from gridmill.tasks import lifecycle
from gridmill.tasks.model import Operations, Task, TaskKind, TaskStatus
from gridmill.tasks.new_rows import find_planner
from gridmill.tasks.plans import Ground, Plan, pick_wanted, plan_selection
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import ends
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.repository.batches import BatchRange
from gridmill.tasks.repository.tasks import Begun
from gridmill.tasks.selection import Selection, is_target
from gridmill.tasks.setup import dump_examples, to_examples

PLAN_JOB = "tasks.plan"
BATCH_JOB = "tasks.batch"
# A name of its own: a worker of before knows no making, and leaves the job to one that does.
MAKE_JOB = "tasks.make"
BATCH_QUEUE = "batches"

MAX_EXAMPLES = 20
_CHUNK_ROWS = 5_000
# Batches of two tasks take turns in groups of this size, so that a short task behind a long one
# ends early.
_FAIRNESS_GROUP = 5
_NO_LIMITS = DatasetLimits()

Listing = Sequence[tuple[int, Sequence[int]]]
"""Row numbers, ascending, each with column numbers; none stands for all that the task fills."""


async def plan_task(
    tx: Tx,
    engine: Engine,
    operations: Operations,
    task_id: UUID,
    limits: DatasetLimits = _NO_LIMITS,
) -> None:
    """Plan a queued task and enqueue its batches, or complete it when there is nothing to do.

    Raises (the transaction must then write nothing):
        PlanOutdated: the task is no longer queued.
        InvalidTaskForDataset: this server cannot make its new rows.
        RowQuotaExceeded: its new rows are more than the workspace may hold.
        ValueMismatch: a record that it would take does not fit the dataset's columns.
    """
    task = await repository.find_any_task(tx, task_id)
    if task is None or task.status is not TaskStatus.QUEUED:
        return
    dataset = await datasets.find_any_dataset(tx, task.dataset_id)
    if dataset is None:
        return
    columns = await datasets.list_columns(tx, dataset)
    kept = await repository.find_plan(tx, task_id)
    ground = Ground(operations, limits, task, dataset, columns, kept)
    if task.kind is TaskKind.NEW_ROWS:
        planner = find_planner(operations, dataset)
        plan = await planner.plan(tx, ground, int(task.request["rowCount"]))
    elif task.retry_of is not None:
        plan = await _plan_retry(tx, ground, task.retry_of)
    else:
        plan = await _plan_bulk(tx, ground)
    fill = [column for column in columns if column.column_no in plan.targets]
    named = {name for column in fill for name in column.metadata.knowledge}
    known = [one for one in map(parse_uuid, sorted(named)) if one is not None]
    await datasources.prepare_passages(tx, dataset.workspace_id, known)
    found = await datasets.read_filled(tx, dataset, columns, fill, limit=MAX_EXAMPLES)
    kept |= {
        "targets": list(plan.targets),
        "settled": {"completed": plan.completed, "skipped": plan.skipped},
        "examples": dump_examples(to_examples(dataset, columns, found)),
        "oneByOne": plan.one_by_one,
    }
    await _begin(tx, engine, task, plan, kept)


class PlanOutdated(Exception):
    """The task ended, or was planned, while it was being planned."""


async def _begin(tx: Tx, engine: Engine, task: Task, plan: Plan, kept: Mapping[str, Any]) -> None:
    makes = {number: batch.makes_rows for number, batch in enumerate(plan.batches, 1)}
    jobs = make_batch_jobs(task, makes, one_by_one=plan.one_by_one)
    job_ids = await engine.enqueue(tx, jobs)
    await batch_rows.insert_batches(tx, task.task_id, plan.batches, job_ids)
    # The task's own row comes last: a cancellation never waits for a long planning.
    begun = Begun(
        total=plan.count(task.kind),
        completed=plan.completed,
        skipped=plan.skipped,
        batches=len(plan.batches),
        rows_created=plan.rows_created,
        message=plan.message,
    )
    if not await repository.begin_task(tx, task.task_id, begun, kept):
        raise PlanOutdated
    await lifecycle.tell(tx, engine, task.task_id)
    if not plan.batches:
        await ends.complete_empty(tx, task.task_id)
        await datasets.unlock_after_task(tx, task.dataset_id, task.task_id)
        await lifecycle.tell(tx, engine, task.task_id)


def make_plan_job(task_id: UUID) -> Job:
    """The job that plans a task; it goes before imports that wait in the same queue."""
    return Job(PLAN_JOB, {"taskId": str(task_id)}, priority=1)


def make_batch_jobs(task: Task, makes: Mapping[int, bool], *, one_by_one: bool) -> list[Job]:
    """The jobs of a task's batches, by number whether they make rows.

    They run one after another when the plan says so, and when the task has a budget.
    """
    lock = f"task:{task.task_id}" if one_by_one or task.request.get("budget") else None
    return [
        Job(
            MAKE_JOB if makes_rows else BATCH_JOB,
            {"taskId": str(task.task_id), "batchNo": number},
            queue=BATCH_QUEUE,
            priority=-((number - 1) // _FAIRNESS_GROUP),
            lock=lock,
        )
        for number, makes_rows in makes.items()
    ]


async def _plan_bulk(tx: Tx, ground: Ground) -> Plan:
    listing = await batch_rows.read_selection(tx, ground.task.task_id)
    selection = Selection.from_json(ground.kept, listing)
    size = ground.choose_batch_rows(selection.targets)
    return await plan_selection(tx, ground.dataset, ground.columns, selection, size)


async def _plan_retry(tx: Tx, ground: Ground, retry_of: UUID) -> Plan:
    """Just the cells that failed, and those that a task which failed as a whole never came to."""
    task, dataset, kept = ground.task, ground.dataset, ground.kept
    fill = [column for column in ground.columns if is_target(column)]
    still = {column.column_no for column in fill}
    targets = tuple(number for number in kept["targets"] if number in still)
    before = await repository.find_any_task(tx, retry_of)
    listing: dict[int, Sequence[int]] = {}
    if before is not None and before.status is TaskStatus.FAILED:
        listing.update(await _list_untouched(tx, before))
    failed = await datasets.list_failed_cells(
        tx, dataset, fill, retry_of, except_codes=NOT_TRIED_CODES
    )
    for row_no, number in failed:
        listing[row_no] = (*listing.get(row_no, ()), number)
    rows = sorted(listing.items())
    await batch_rows.insert_selection(tx, task.task_id, rows)
    sizes: list[tuple[int, int]] = []
    for start in range(0, len(rows), _CHUNK_ROWS):
        chunk = dict(rows[start : start + _CHUNK_ROWS])
        for row in await datasets.read_rows(tx, dataset, fill, row_nos=list(chunk)):
            wanted = pick_wanted(
                chunk[row.row_no], targets, row.values, only_empty=bool(kept["onlyEmpty"])
            )
            if wanted:
                sizes.append((row.row_no, len(wanted)))
    return Plan(list(_group(sizes, ground.choose_batch_rows(targets))), targets)


async def _list_untouched(tx: Tx, before: Task) -> Listing:
    """Rows that a task which failed as a whole never came to."""
    found: list[tuple[int, Sequence[int]]] = []
    for unfinished in await batch_rows.list_unfinished(tx, before.task_id):
        batch = unfinished.range
        if batch.listed:
            found += await batch_rows.read_selection(
                tx, before.task_id, first=batch.first_row, last=batch.last_row
            )
        else:
            found += [(row_no, ()) for row_no in range(batch.first_row, batch.last_row + 1)]
    return found


def _group(sizes: Sequence[tuple[int, int]], batch_size: int) -> Iterator[BatchRange]:
    for start in range(0, len(sizes), batch_size):
        group = sizes[start : start + batch_size]
        cells = sum(count for _, count in group)
        yield BatchRange(group[0][0], group[-1][0], len(group), cells, listed=True)
