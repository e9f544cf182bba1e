"""Running a batch: claim, load, compute, write; each step ends before the next begins.

A claim leaves a fresh token on the batch. The one transaction that writes also counts the batch,
and does so only while the batch carries that token and its task is processing: whatever is killed,
repeated or late, a batch is written once or not at all.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import structlog

from gridmill.datasets import service as datasets
from gridmill.datasets.errors import RowQuotaExceeded
from gridmill.datasets.model import DatasetLimits, TaskType, Writer
from gridmill.engine.port import Engine
from gridmill.kit.clock import now
from gridmill.kit.meters import CELLS
from gridmill.operations.model import (
    BatchOutcome,
    CellError,
    CellOutcome,
    RowInput,
)
from gridmill.providers.llm.errors import ProviderRefused
from gridmill.providers.llm.model import NOTHING_SPENT, Usage
from gridmill.storage.database import Database, Tx
from gridmill.tasks import lifecycle
from gridmill.tasks.atlas import make_atlas
from gridmill.tasks.following import TakenFinder, make_loader
from gridmill.tasks.library import Librarian
from gridmill.tasks.loading import (
    READING_TYPES,
    TrainingLoader,
    load_rows,
    load_setup,
    narrow_rows,
)
from gridmill.tasks.making import Made, make_order, number_rows, refuse_order, sum_up, write_made
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
from gridmill.tasks.outcomes import (
    NO_DOCUMENT,
    match_outcomes,
    refuse_cells,
    skip_cells,
    to_writes,
    with_answers,
)
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import ends
from gridmill.tasks.repository.batches import Claimed
from gridmill.tasks.setup import Setup, make_batch

_SETUPS = 32
_NO_LIMITS = DatasetLimits()
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class _LateWrite(Exception):
    """The task ended or the batch was claimed anew: nothing of this run may be written."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A claimed batch; without `rows` when they are still to be made."""

    key: BatchKey
    token: UUID
    claimed: Claimed
    setup: Setup
    rows: list[RowInput]


class BatchRunner:
    """Runs batches for one worker; many at once."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        operations: Operations,
        limits: DatasetLimits = _NO_LIMITS,
    ) -> None:
        self._database = database
        self._engine = engine
        self._operations = operations
        self._limits = limits
        self._librarian = Librarian(database)
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
        loaded = await self._load(key)
        if loaded is None:
            return
        claimed, setup = loaded.claimed, loaded.setup
        try:
            if claimed.batch.makes_rows:
                await self._write_made(loaded, await self._make(setup, claimed))
                return
            outcome = await self._compute(setup, loaded.rows, claimed.spent)
        except ProviderRefused as error:
            await self._fail(loaded, error.code, error.message, error.usage)
            return
        result = count_outcome(outcome, setup.task.kind, claimed.batch.rows)
        await self._write(loaded, outcome.cells, result)

    async def give_up(self, key: BatchKey, reason: str) -> None:
        """After the last attempt: every cell of the batch gets a retryable error, the task goes on."""
        _log.error("batch given up", task_id=str(key.task_id), batch=key.batch_no, reason=reason)
        loaded = await self._load(key)
        if loaded is None:
            return
        batch, setup = loaded.claimed.batch, loaded.setup
        if batch.makes_rows:
            await self._write_made(loaded, refuse_order(setup, batch, _internal_error()))
            return
        cells = refuse_cells(loaded.rows, _internal_error())
        result = count_outcome(BatchOutcome(cells), setup.task.kind, batch.rows)
        await self._write(loaded, cells, result)

    async def _load(self, key: BatchKey) -> _Loaded | None:
        token = uuid4()
        async with self._reading, self._database.transaction() as tx:
            claimed = await batch_rows.claim_batch(tx, key.task_id, key.batch_no, token)
            if claimed is None:
                return None
            setup = await self._find_setup(tx, key.task_id)
            if setup is None:
                return None
            makes_rows = claimed.batch.makes_rows
            rows = [] if makes_rows else await load_rows(tx, setup, claimed.batch)
            return _Loaded(key, token, claimed, setup, rows)

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
            if task_type in READING_TYPES:
                cells += refuse_cells([row for row in part if row.origin is None], NO_DOCUMENT)
                part = [row for row in part if row.origin is not None]
                if not part:
                    continue
            fill = [column for column in setup.fill if column.column_no in numbers]
            loader = TrainingLoader(self._database, setup, fill)
            batch = replace(
                make_batch(setup, part, loader, budget),
                load_verdicts=loader.load_verdicts,
                library=self._librarian.open(setup.task.workspace_id),
                atlas=make_atlas(self._database, setup),
            )
            outcome = await operation.run(batch)
            found = match_outcomes(part, outcome.cells, _internal_error())
            cells += found
            usage += outcome.usage
            stopped_by = stopped_by or outcome.stopped_by
            rows = with_answers(rows, names, found)
        return BatchOutcome(cells, usage, stopped_by)

    async def _make(self, setup: Setup, claimed: Claimed) -> Made:
        """Make the rows that a batch orders, then fill what is not the maker's to fill."""
        wanted = [column for column in setup.columns if column.column_no in setup.made_columns]
        budget = setup.open_budget(claimed.spent)
        maker = self._operations.makers[setup.dataset.type]
        loader = make_loader(self._database, setup, wanted)
        library = self._librarian.open(setup.task.workspace_id)
        order = make_order(setup, claimed.batch, loader, budget, library)
        taken, atlas = TakenFinder(self._database, setup), make_atlas(self._database, setup)
        made = await maker.make(replace(order, find_taken=taken, atlas=atlas))
        rows, cells = number_rows(setup, made, claimed.batch.rows)
        wanting = [row for row in rows if row.wanted]
        if made.stopped_by is None:
            rest = await self._compute(setup, wanting, claimed.spent + made.usage)
        else:
            rest = BatchOutcome(skip_cells(wanting))
        return sum_up(claimed.batch, made, [row.origin for row in rows], cells, rest)

    async def _write_made(self, loaded: _Loaded, made: Made) -> None:
        # The task's row first, unlike `_write`: rows are appended one batch after another in any
        # case, and a cancellation takes the task and then the grid.
        key, setup = loaded.key, loaded.setup
        writer = Writer("task", key.task_id, key.batch_no)
        try:
            async with self._database.transaction(workspace_id=setup.task.workspace_id) as tx:
                settled = await self._settle(tx, loaded, made.result)
                await datasets.check_quota(
                    tx, setup.task.workspace_id, len(made.origins), self._limits
                )
                await write_made(tx, setup, made, writer)
                await self._end(tx, key, settled, made.result)
        except _LateWrite:
            _log.info("late batch refused", task_id=str(key.task_id), batch=key.batch_no)
        except RowQuotaExceeded as error:
            await self._fail(loaded, error.code, error.message, made.result.usage)
        else:
            _count_cells(made.result.cells)

    async def _write(
        self, loaded: _Loaded, cells: Sequence[CellOutcome], result: BatchResult
    ) -> None:
        key, setup = loaded.key, loaded.setup
        writes = to_writes(cells, setup.operation_names, key.task_id, now())
        writer = Writer("task", key.task_id, key.batch_no)
        try:
            async with self._database.transaction(workspace_id=setup.task.workspace_id) as tx:
                await datasets.write_cells(tx, setup.dataset, setup.columns, writes, writer)
                settled = await self._settle(tx, loaded, result)
                await self._end(tx, key, settled, result)
        except _LateWrite:
            _log.info("late batch refused", task_id=str(key.task_id), batch=key.batch_no)
        else:
            _count_cells(result.cells)

    async def _settle(
        self, tx: Tx, loaded: _Loaded, result: BatchResult
    ) -> tuple[TaskStatus, UUID]:
        key = loaded.key
        settled = await ends.settle_batch(tx, key.task_id, key.batch_no, loaded.token, result)
        if settled is None:
            raise _LateWrite
        return settled

    async def _end(
        self, tx: Tx, key: BatchKey, settled: tuple[TaskStatus, UUID], result: BatchResult
    ) -> None:
        """What follows from the task's end, if this batch was its last."""
        status, dataset_id = settled
        if status is not TaskStatus.PROCESSING:
            await datasets.unlock_after_task(tx, dataset_id, key.task_id)
            await lifecycle.tell(tx, self._engine, key.task_id)
            if result.stopped_by is not None:
                await self._cancel_others(tx, key)

    async def _fail(
        self, loaded: _Loaded, code: str, message: str, usage: Usage = NOTHING_SPENT
    ) -> None:
        """End the whole task, which cannot go on."""
        key, task, batch = loaded.key, loaded.setup.task, loaded.claimed.batch
        failed = batch.rows if task.kind is TaskKind.NEW_ROWS else batch.cells
        told = {"code": code, "message": message}
        async with self._database.transaction(workspace_id=task.workspace_id) as tx:
            dataset_id = await ends.fail_task(tx, key.task_id, told, failed=failed, usage=usage)
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


def _internal_error() -> CellError:
    return CellError(INTERNAL_ERROR, "This cell could not be worked on; try again.", retryable=True)


def _unavailable(task_type: TaskType) -> CellError:
    return CellError(
        OPERATION_UNAVAILABLE, f"No operation for {task_type.value} columns is available here."
    )
