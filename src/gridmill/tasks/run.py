"""Running a batch: claim, load, compute, write; each step ends before the next begins.

A claim leaves a fresh token on the batch. The one transaction that writes also counts the batch,
and does so only while the batch carries that token and its task is processing: whatever is killed,
repeated or late, a batch is written once or not at all.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import structlog

from gridmill.datasets import service as datasets
from gridmill.datasets.model import TaskType, Writer
from gridmill.engine.port import Engine
from gridmill.kit.clock import now
from gridmill.kit.ids import encode_row
from gridmill.kit.meters import CELLS
from gridmill.operations.model import (
    BatchOutcome,
    CellError,
    CellOutcome,
    ExampleRow,
    RowInput,
    Verdict,
)
from gridmill.providers.llm.errors import ProviderRefused
from gridmill.providers.llm.model import Usage
from gridmill.storage.database import Database, Tx
from gridmill.tasks import lifecycle
from gridmill.tasks.model import (
    INTERNAL_ERROR,
    OPERATION_UNAVAILABLE,
    BatchKey,
    BatchResult,
    Counts,
    Operations,
    TaskKind,
    TaskStatus,
    count_outcome,
)
from gridmill.tasks.outcomes import match_outcomes, refuse_cells, to_writes, with_answers
from gridmill.tasks.planning import pick_wanted
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import ends
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.repository.batches import BatchRange, Claimed
from gridmill.tasks.setup import Setup, make_batch, make_setup, to_examples, to_verdicts

TRAINING_ROWS = 5_000
VERDICTS = 2_000
_SETUPS = 32
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class _LateWrite(Exception):
    """The task ended or the batch was claimed anew: nothing of this run may be written."""


class BatchRunner:
    """Runs batches for one worker; many at once."""

    def __init__(self, database: Database, engine: Engine, operations: Operations) -> None:
        self._database = database
        self._engine = engine
        self._operations = operations
        # While a task runs nothing of its dataset's structure can change, so what its batches
        # share is read once a worker and not once a batch.
        self._setups: OrderedDict[UUID, Setup] = OrderedDict()
        # One batch is read after the other: the first one's calls are on their way while the next
        # is read, instead of all of them waiting for the last.
        self._reading = asyncio.Lock()

    async def run(self, key: BatchKey) -> None:
        """Do the batch, unless it is done or its task has ended.

        Raises whatever an operation raises but `ProviderRefused`, which fails the whole task.
        """
        token = uuid4()
        loaded = await self._load(key, token)
        if loaded is None:
            return
        claimed, setup, rows = loaded
        try:
            outcome = await self._compute(setup, rows, claimed.spent)
        except ProviderRefused as error:
            await self._refuse(setup, key, claimed, error)
            return
        result = count_outcome(outcome, setup.task.kind, claimed.batch.rows)
        await self._write(setup, key, token, outcome.cells, result)

    async def give_up(self, key: BatchKey, reason: str) -> None:
        """After the last attempt: every cell of the batch gets a retryable error, the task goes on."""
        _log.error("batch given up", task_id=str(key.task_id), batch=key.batch_no, reason=reason)
        token = uuid4()
        loaded = await self._load(key, token)
        if loaded is None:
            return
        claimed, setup, rows = loaded
        cells = refuse_cells(rows, _internal_error())
        result = count_outcome(BatchOutcome(cells), setup.task.kind, claimed.batch.rows)
        await self._write(setup, key, token, cells, result)

    async def _load(
        self, key: BatchKey, token: UUID
    ) -> tuple[Claimed, Setup, list[RowInput]] | None:
        async with self._reading, self._database.transaction() as tx:
            claimed = await batch_rows.claim_batch(tx, key.task_id, key.batch_no, token)
            if claimed is None:
                return None
            setup = await self._find_setup(tx, key.task_id)
            if setup is None:
                return None
            rows = await load_rows(tx, setup, claimed.batch)
            return claimed, setup, rows

    async def _find_setup(self, tx: Tx, task_id: UUID) -> Setup | None:
        setup = self._setups.get(task_id)
        if setup is None:
            setup = await load_setup(tx, task_id)
            if setup is None:
                return None
            self._setups[task_id] = setup
            if len(self._setups) > _SETUPS:
                self._setups.popitem(last=False)
        else:
            self._setups.move_to_end(task_id)
        return setup

    async def _compute(self, setup: Setup, rows: list[RowInput], spent: Usage) -> BatchOutcome:
        """Each cell by its column's task type; no transaction is open."""
        budget = setup.open_budget(spent)
        names = {spec.number: spec.name for spec in setup.specs}
        cells: list[CellOutcome] = []
        usage, stopped_by = Usage(), None
        for task_type, numbers in setup.group_targets().items():
            part = narrow_rows(rows, numbers)
            if not part:
                continue
            operation = self._operations.by_task_type.get(task_type)
            if operation is None:
                cells += refuse_cells(part, _unavailable(task_type))
                continue
            loader = _TrainingLoader(self._database, setup, numbers)
            batch = make_batch(setup, part, loader, budget)
            outcome = await operation.run(replace(batch, load_verdicts=loader.load_verdicts))
            found = match_outcomes(part, outcome.cells, _internal_error())
            cells += found
            usage += outcome.usage
            stopped_by = stopped_by or outcome.stopped_by
            rows = with_answers(rows, names, found)
        return BatchOutcome(cells, usage, stopped_by)

    async def _write(
        self,
        setup: Setup,
        key: BatchKey,
        token: UUID,
        cells: Sequence[CellOutcome],
        result: BatchResult,
    ) -> None:
        operations = {column.column_no: column.task_type.value for column in setup.columns}
        writes = to_writes(cells, operations, key.task_id, now())
        writer = Writer("task", key.task_id, key.batch_no)
        try:
            async with self._database.transaction(workspace_id=setup.task.workspace_id) as tx:
                await datasets.write_cells(tx, setup.dataset, setup.columns, writes, writer)
                settled = await ends.settle_batch(tx, key.task_id, key.batch_no, token, result)
                if settled is None:
                    raise _LateWrite
                status, dataset_id = settled
                if status is not TaskStatus.PROCESSING:
                    await datasets.unlock_after_task(tx, dataset_id, key.task_id)
                    await lifecycle.tell(tx, self._engine, key.task_id)
                    if result.stopped_by is not None:
                        await self._cancel_others(tx, key)
        except _LateWrite:
            _log.info("late batch refused", task_id=str(key.task_id), batch=key.batch_no)
        else:
            _count_cells(result.cells)

    async def _refuse(
        self, setup: Setup, key: BatchKey, claimed: Claimed, error: ProviderRefused
    ) -> None:
        batch = claimed.batch
        failed = batch.rows if setup.task.kind is TaskKind.NEW_ROWS else batch.cells
        told = {"code": error.code, "message": error.message}
        async with self._database.transaction(workspace_id=setup.task.workspace_id) as tx:
            dataset_id = await ends.fail_task(
                tx, key.task_id, told, failed=failed, usage=error.usage
            )
            if dataset_id is not None:
                await datasets.unlock_after_task(tx, dataset_id, key.task_id)
                await lifecycle.tell(tx, self._engine, key.task_id)
                await self._cancel_others(tx, key)

    async def _cancel_others(self, tx: Tx, key: BatchKey) -> None:
        others = await batch_rows.list_job_ids(tx, key.task_id, except_batch=key.batch_no)
        await self._engine.cancel(tx, others)


def _count_cells(cells: Counts) -> None:
    CELLS.labels("ok").inc(cells.completed - cells.needs_review)
    CELLS.labels("needs_review").inc(cells.needs_review)
    CELLS.labels("failed").inc(cells.failed)
    CELLS.labels("skipped").inc(cells.skipped)


class _TrainingLoader:
    """`Batch.load_training`: the dataset's known rows, read in a transaction of their own."""

    def __init__(self, database: Database, setup: Setup, numbers: frozenset[int]) -> None:
        self._database = database
        self._setup = setup
        self._numbers = numbers

    async def __call__(self) -> Sequence[ExampleRow]:
        setup = self._setup
        fill = [column for column in setup.fill if column.column_no in self._numbers]
        async with self._database.transaction(
            read_only=True, workspace_id=setup.task.workspace_id
        ) as tx:
            found = await datasets.read_filled(
                tx, setup.dataset, setup.columns, fill, limit=TRAINING_ROWS
            )
        return to_examples(setup.dataset, setup.columns, found)

    async def load_verdicts(self) -> Sequence[Verdict]:
        """`Batch.load_verdicts`: what people said of values that tasks wrote."""
        setup = self._setup
        fill = [column for column in setup.fill if column.column_no in self._numbers]
        async with self._database.transaction(
            read_only=True, workspace_id=setup.task.workspace_id
        ) as tx:
            found = await datasets.read_verdicts(tx, setup.dataset, fill, limit=VERDICTS)
        return to_verdicts(setup.dataset, setup.columns, found)


async def load_setup(tx: Tx, task_id: UUID) -> Setup | None:
    """What the batches of a planned task share; `None` when it or its dataset is gone."""
    task = await repository.find_any_task(tx, task_id)
    if task is None:
        return None
    dataset = await datasets.find_any_dataset(tx, task.dataset_id)
    if dataset is None:
        return None
    columns = await datasets.list_columns(tx, dataset)
    return make_setup(task, dataset, columns, await repository.find_plan(tx, task_id))


async def load_rows(tx: Tx, setup: Setup, batch: BatchRange) -> list[RowInput]:
    """The rows of a batch that have a cell to fill."""
    dataset, columns = setup.dataset, setup.columns
    listing: dict[int, list[int]] = {}
    if batch.listed:
        listing = dict(
            await batch_rows.read_selection(
                tx, setup.task.task_id, first=batch.first_row, last=batch.last_row
            )
        )
        rows = await datasets.read_rows(tx, dataset, columns, row_nos=list(listing))
    else:
        # Between the ends of a range there may be far more filled rows than empty ones.
        rows = await datasets.read_rows(
            tx,
            dataset,
            columns,
            first=batch.first_row,
            last=batch.last_row,
            empty_in=setup.fill if setup.only_empty else None,
        )
    names = {column.column_no: column.name for column in columns}
    found: list[RowInput] = []
    for row in rows:
        wanted = pick_wanted(
            listing.get(row.row_no, ()), setup.targets, row.values, only_empty=setup.only_empty
        )
        if wanted:
            values = {names[number]: value for number, value in row.values.items()}
            found.append(RowInput(row.row_no, encode_row(dataset.key, row.row_no), values, wanted))
    return found


def narrow_rows(rows: Sequence[RowInput], numbers: frozenset[int]) -> list[RowInput]:
    """The rows that want one of these columns, wanting just those."""
    found: list[RowInput] = []
    for row in rows:
        wanted = tuple(number for number in row.wanted if number in numbers)
        if wanted == row.wanted:
            found.append(row)
        elif wanted:
            found.append(RowInput(row.row_no, row.row_id, row.values, wanted))
    return found


def _internal_error() -> CellError:
    return CellError(INTERNAL_ERROR, "This cell could not be worked on; try again.", retryable=True)


def _unavailable(task_type: TaskType) -> CellError:
    return CellError(
        OPERATION_UNAVAILABLE, f"No operation for {task_type.value} columns is available here."
    )
