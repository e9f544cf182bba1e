"""Filling cells without a model: the worker process learns from the dataset and predicts."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gridmill.kit.processes import ProcessDied, ProcessPool, ProcessTimedOut
from gridmill.operations.enrichment.asking import Asked, RowState
from gridmill.operations.enrichment.learners import memory
from gridmill.operations.enrichment.learners.exchange import (
    Answer,
    Prediction,
    Question,
    Row,
    Table,
    Target,
)
from gridmill.operations.model import (
    Batch,
    CellError,
    CellOutcome,
    CellStatus,
    ColumnSpec,
    ExampleRow,
)
from gridmill.operations.outcomes import DEFAULT_THRESHOLD, FLOOR, fail_cell, grade_cell

_MOST_LEFT_OUT = 300
_MANY = 40
MAX_SECONDS = 900.0
"""Wall time of one column's fit and prediction of one batch in the worker process."""

MAX_CPU_SECONDS = 300.0
"""Processor time of the same. 300 columns of 5,000 rows, the most that is learnt from, took 20-37 s."""

_MAX_REFUSED = 256
_TOO_MUCH = (
    "Learning this column takes more time or memory than one column may have. Remove columns that "
    "say nothing about it, or configure a model."
)


class _Lessons:
    """What a batch's columns are learnt from: loaded when first needed, once for all of them."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.names = tuple(column.name for column in batch.columns)
        self._table: Table | None = None
        self._loading = asyncio.Lock()

    async def load(self) -> Table:
        """The batch's training rows and verdicts."""
        async with self._loading:
            if self._table is None:
                training = await self.batch.load_training()
                self._table = Table(
                    self.names,
                    tuple(row.row_id for row in training),
                    tuple(_read_row(self.names, row.values, set()) for row in training),
                    tuple(await self.batch.load_verdicts()),
                )
            return self._table


class LearnerFiller:
    """Fills columns by what the dataset's own rows teach."""

    def __init__(self, processes: ProcessPool, seed: int = 0) -> None:
        self._processes = processes
        self._seed = seed
        self._refused: OrderedDict[tuple[str, Target], None] = OrderedDict()

    async def fill(
        self, batch: Batch, columns: Sequence[ColumnSpec], states: Sequence[RowState]
    ) -> Asked:
        """Fill `columns` (of one stage) in all rows that wait for them."""
        asked = Asked()
        lessons = _Lessons(batch)
        names = lessons.names
        await self._warm_up(lessons, columns, states)
        hidden = {state.row.row_no: _list_hidden(batch, state) for state in states}
        for column in columns:
            waiting = [state for state in states if column.number in state.waiting]
            if not waiting:
                continue
            rows = [_read_row(names, state.values, hidden[state.row.row_no]) for state in waiting]
            ids = [state.row.row_id for state in waiting]
            answer = await self._predict(lessons, column, ids, rows)
            for state, said in zip(waiting, answer.spread(len(waiting)), strict=True):
                cell = _judge(state, column, said, answer.reason)
                asked.cells.append(cell)
                state.waiting.discard(column.number)
                if cell.status in {CellStatus.OK, CellStatus.NEEDS_REVIEW}:
                    state.values[column.name] = cell.value
                    hidden[state.row.row_no].discard(column.name)
        return asked

    async def find_left(
        self, batch: Batch, column: ColumnSpec, known: Sequence[ExampleRow]
    ) -> tuple[list[ExampleRow], list[ExampleRow]]:
        """Filled rows that the learners would leave empty, and unsure, had they not seen them.

        Every fourth of `known` (of few every second), at most `_MOST_LEFT_OUT`, is left out and
        asked for. What the learners leave is harder than the rest, the more so the more they know:
        a layer after them is measured on that.
        """
        step = 4 if len(known) >= _MANY else 2
        taught = [row for place, row in enumerate(known) if place % step]
        asked = known[::step][:_MOST_LEFT_OUT]
        if not asked:
            return [], []

        async def load() -> Sequence[ExampleRow]:
            return taught

        rest = _Lessons(replace(batch, load_training=load))
        rows = [_read_row(rest.names, row.values, {column.name}) for row in asked]
        ids = [row.row_id for row in asked]
        answer = await self._predict(rest, column, ids, rows, part=f" measured {column.number}")
        threshold = DEFAULT_THRESHOLD if column.threshold is None else column.threshold
        empty: list[ExampleRow] = []
        unsure: list[ExampleRow] = []
        for row, said in zip(asked, answer.spread(len(asked)), strict=True):
            if said is None or said.value is None or said.confidence < FLOOR:
                empty.append(row)
            elif said.confidence < threshold:
                unsure.append(row)
        return empty, unsure

    async def _warm_up(
        self, lessons: _Lessons, columns: Sequence[ColumnSpec], states: Sequence[RowState]
    ) -> None:
        """Fit columns in several children at once, as they are filled one after the other."""
        wanted = [c for c in columns if any(c.number in state.waiting for state in states)]
        if len(wanted) < 2 or self._processes.size < 2:
            return
        fits = (self._predict(lessons, column, (), ()) for column in wanted)
        # What fails here fails again when the column is filled, and is judged there.
        await asyncio.gather(*fits, return_exceptions=True)

    async def _predict(
        self,
        lessons: _Lessons,
        column: ColumnSpec,
        ids: Sequence[str],
        rows: Sequence[Row],
        *,
        part: str = "",
    ) -> Answer:
        """Ask the child; it is given the training rows only when it does not hold them yet."""
        key = f"{lessons.batch.task_id}{part}"
        about = " ".join(filter(None, (column.name, column.description, column.prompt)))
        target = Target(column.name, column.rules, about)
        question = Question(key, self._seed, target, tuple(ids), tuple(rows))
        if (key, target) in self._refused:
            return Answer(reason=_TOO_MUCH)
        try:
            answer = await self._ask(question, None)
            if answer.needs_table:
                answer = await self._ask(question, await lessons.load())
        except (ProcessTimedOut, ProcessDied, MemoryError) as error:
            if isinstance(error, ProcessDied) and not error.cpu_limit_reached:
                raise  # Killed by someone else: the job's next attempt may be luckier.
            return self._refuse(key, target)
        return answer

    async def _ask(self, question: Question, table: Table | None) -> Answer:
        return await self._processes.run(
            memory.answer,
            question,
            table,
            seconds=MAX_SECONDS,
            cpu_seconds=MAX_CPU_SECONDS,
            key=f"{question.key} {question.target.name}",
        )

    def _refuse(self, key: str, target: Target) -> Answer:
        """Remember what was too much, so that the task's other batches do not spend it again."""
        self._refused[key, target] = None
        if len(self._refused) > _MAX_REFUSED:
            self._refused.popitem(last=False)
        return Answer(reason=_TOO_MUCH)


def _list_hidden(batch: Batch, state: RowState) -> set[str]:
    """What is still to be filled is stale: no learner reads it."""
    return {column.name for column in batch.columns if column.number in state.waiting}


def _read_row(names: Sequence[str], values: Mapping[str, str | None], hidden: set[str]) -> Row:
    return tuple(None if name in hidden else values.get(name) for name in names)


def _judge(
    state: RowState, column: ColumnSpec, said: Prediction | None, reason: str | None
) -> CellOutcome:
    if said is None:
        message = reason or "There is nothing to learn this column from."
        return fail_cell(state.row, column, CellError("MODEL_REQUIRED", message))
    if said.value is None:
        if said.factors.get("method") == "lookup":
            message = (
                "The reference data knows no such place, or several that differ in this. Add the "
                "place's state or country in a column of its own, or configure a model."
            )
            cell = fail_cell(state.row, column, CellError("MODEL_REQUIRED", message))
            return replace(cell, factors=said.factors)
        if said.factors.get("rejectedBefore"):
            message = "The likeliest value is one that a person has rejected here."
            cell = fail_cell(state.row, column, CellError("NOT_CONFIDENT", message))
            return replace(cell, factors=said.factors)
        message = "The filled rows do not tell which value belongs here."
        return fail_cell(state.row, column, CellError("NOT_CONFIDENT", message))
    sources: list[Mapping[str, object]] = list(said.sources)
    if said.row_ids or not sources:
        rows = list(said.row_ids) or [state.row.row_id]
        sources.insert(0, {"kind": "dataset", "rowIds": rows})
    return grade_cell(
        state.row,
        column,
        said.value,
        round(said.confidence, 3),
        factors=said.factors,
        sources=sources,
    )
