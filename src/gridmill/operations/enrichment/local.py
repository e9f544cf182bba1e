"""The second embedded layer: a small model gets what the learners leave, where it was measured.

**A small model knows too little of the world to be believed.** It chooses among answers that are
given, or finds them in the row; what is neither is not written.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from gridmill.operations.enrichment.asking import Asked, RowState
from gridmill.operations.enrichment.grounding import fold
from gridmill.operations.enrichment.learning import LearnerFiller
from gridmill.operations.enrichment.local_questions import Kind, Task, plan_task
from gridmill.operations.model import (
    NOT_TRIED_CODES,
    Batch,
    CellError,
    CellOutcome,
    CellStatus,
    ColumnSpec,
    ExampleRow,
)
from gridmill.operations.outcomes import DEFAULT_THRESHOLD, FLOOR, fail_cell, grade_cell
from gridmill.providers.llm.errors import InvalidReply, ModelError, RequestRefused
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import Completion, ModelRequest, Usage

MEASURED_ROWS = 20
"""Filled rows that the model is asked about, to see how often it is right.

They are rows of a column that the learners leave: those are harder than the rest, and what comes
here is them. Rows left empty and rows with an unsure guess are counted apart.
"""

PRIOR = 0.35
"""Confidence before anything was measured; a first wrong answer takes it under the floor."""

PRIOR_ROWS = 3
FEWEST_ROWS = 8
"""Under so many measured answers the confidence is mostly the prior's, and people have to look."""

_CALIBRATED_ROWS = 15
_PLANS_KEPT = 64
_WORLD_FACT = (
    "The local model's answer does not stand in the row, and facts about the world are not taken"
    " from a small model. Give the column options, or configure a model (GRIDMILL_LLM_MODEL)."
)


@dataclass(frozen=True, slots=True)
class _Score:
    """How the task went on filled rows: answers that could be written, and the right ones."""

    answered: int = 0
    right: int = 0

    @property
    def confidence(self) -> float:
        """The share of right answers under a prior of `PRIOR_ROWS` rows: at most 0.92."""
        said = self.right + PRIOR * PRIOR_ROWS
        return round(said / (self.answered + PRIOR_ROWS), 3)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A task, scored on rows that the learners leave empty and on those where they are unsure."""

    task: Task
    empty: _Score
    unsure: _Score

    def score_for(self, cell: CellOutcome) -> _Score:
        """The score that holds for what the learners left in this cell."""
        return self.empty if cell.status is CellStatus.ERROR else self.unsure


def _list_factors(kind: Kind, score: _Score, *, grounded: bool) -> dict[str, object]:
    """The `confidenceFactors` of the cell's metadata."""
    return {
        "method": "model",
        "layer": "local",
        "kind": kind.value,
        "grounded": grounded,
        "measuredRows": score.answered,
        "measuredRight": score.right,
        "prior": PRIOR,
        "calibrated": score.answered >= _CALIBRATED_ROWS,
    }


class LocalFiller:
    """Asks the gateway's default model, which is local, for cells that the learners left."""

    def __init__(self, gateway: Gateway, learners: LearnerFiller) -> None:
        self._gateway = gateway
        self._learners = learners
        self._plans: OrderedDict[tuple[UUID, int], _Plan | None] = OrderedDict()

    async def fill_rest(
        self,
        batch: Batch,
        columns: Sequence[ColumnSpec],
        states: Sequence[RowState],
        learned: Asked,
    ) -> None:
        """Replace cells of `learned` that are empty or unsure, where the model does better.

        Nothing that goes wrong at the model fails the task: the learners' answers stay.
        """
        rows = {state.row.row_no: state for state in states}
        for column in columns:
            weak = [
                place
                for place, cell in enumerate(learned.cells)
                if cell.column_no == column.number and _is_weak(cell, column)
            ]
            if not weak:
                continue
            try:
                plan = await self._plan(batch, column, learned)
                if plan is not None:
                    await self._ask(batch, plan, weak, rows, learned)
            except ModelError as error:
                learned.usage += error.usage
                for place in weak:
                    learned.cells[place] = _tell(learned.cells[place], error)

    async def _plan(self, batch: Batch, column: ColumnSpec, learned: Asked) -> _Plan | None:
        """The column's plan, measured once a task; `None` where a small model is of no use."""
        key = (batch.task_id, column.number)
        if key not in self._plans:
            training = await batch.load_training()
            known = [row for row in training if row.values.get(column.name)]
            found = plan_task(column, batch.columns, known)
            plan = None
            if found is not None:
                task, held = found
                scores = [
                    await self._measure(batch, task, rows[:MEASURED_ROWS], learned)
                    for rows in await self._learners.find_left(batch, column, held)
                ]
                plan = _Plan(task, *scores)
            self._plans[key] = plan
            if len(self._plans) > _PLANS_KEPT:
                self._plans.popitem(last=False)
        return self._plans[key]

    async def _measure(
        self, batch: Batch, task: Task, rows: Sequence[ExampleRow], learned: Asked
    ) -> _Score:
        requests = [task.ask(row.values, frozenset()) for row in rows]
        asked = [(row, request) for row, request in zip(rows, requests, strict=True) if request]
        results = await self._complete(batch, task, [request for _, request in asked], learned)
        answered = right = 0
        for (row, _), result in zip(asked, results, strict=True):
            if isinstance(result, InvalidReply | RequestRefused):
                continue
            if isinstance(result, ModelError):
                raise result
            value = task.read(result.data)
            if value is not None and _is_admitted(task, value, row.values):
                answered += 1
                right += fold(value) == fold(row.values[task.column.name] or "")
        return _Score(answered, right)

    async def _ask(
        self,
        batch: Batch,
        plan: _Plan,
        weak: Sequence[int],
        rows: Mapping[int, RowState],
        learned: Asked,
    ) -> None:
        task = plan.task
        asked: list[tuple[int, RowState, ModelRequest]] = []
        for place in weak:
            cell = learned.cells[place]
            state = rows[cell.row_no]
            request = task.ask(state.values, _list_stale(batch, state))
            worth = plan.score_for(cell).confidence
            if request is not None and worth >= FLOOR and (cell.confidence or 0.0) < worth:
                asked.append((place, state, request))
        results = await self._complete(batch, task, [request for *_, request in asked], learned)
        for (place, state, _), result in zip(asked, results, strict=True):
            cell = learned.cells[place]
            if isinstance(result, InvalidReply):
                continue
            if isinstance(result, ModelError):
                learned.cells[place] = _tell(cell, result)
                continue
            learned.cells[place] = cell = self._judge(plan, state, cell, result)
            if cell.status in {CellStatus.OK, CellStatus.NEEDS_REVIEW}:
                state.values[task.column.name] = cell.value

    async def _complete(
        self, batch: Batch, task: Task, requests: Sequence[ModelRequest], learned: Asked
    ) -> list[Completion | ModelError]:
        results = await self._gateway.complete_many(
            requests,
            workspace_id=batch.workspace_id,
            use_cache=task.column.use_cache,
            refresh=batch.refresh and batch.asked_at is None,
            fresh_after=batch.asked_at if batch.refresh else None,
            budget=batch.budget,
        )
        learned.usage = sum((result.usage for result in results), start=learned.usage or Usage())
        return results

    def _judge(
        self, plan: _Plan, state: RowState, before: CellOutcome, said: Completion
    ) -> CellOutcome:
        task, row, score = plan.task, state.row, plan.score_for(before)
        value = task.read(said.data)
        if value is None:
            return before
        grounded = task.is_grounded(value, state.values)
        if not _is_admitted(task, value, state.values):
            if before.status is not CellStatus.ERROR:
                return before
            return fail_cell(row, task.column, CellError("MODEL_REQUIRED", _WORLD_FACT))
        own_row = [{"kind": "dataset", "rowIds": [row.row_id]}] if grounded else []
        cell = grade_cell(
            row,
            task.column,
            value,
            score.confidence,
            factors=_list_factors(task.kind, score, grounded=grounded),
            sources=[{"kind": "model"}, *own_row],
        )
        if score.answered < FEWEST_ROWS and cell.status is CellStatus.OK:
            cell = replace(cell, status=CellStatus.NEEDS_REVIEW)
        return replace(cell, provider=said.provider, model=said.model)


def _is_admitted(task: Task, value: str, values: Mapping[str, str | None]) -> bool:
    return task.kind is Kind.CHOICE or task.is_grounded(value, values)


def _is_weak(cell: CellOutcome, column: ColumnSpec) -> bool:
    """Whether the learners left the cell empty or unsure; what was looked up in vain is a world fact."""
    if (cell.factors or {}).get("method") == "lookup":
        return False
    if cell.status is CellStatus.ERROR:
        return cell.error is not None and cell.error.code in NOT_TRIED_CODES
    threshold = DEFAULT_THRESHOLD if column.threshold is None else column.threshold
    return cell.status is CellStatus.NEEDS_REVIEW and (cell.confidence or 0.0) < threshold


def _list_stale(batch: Batch, state: RowState) -> frozenset[str]:
    """Names of what the task is to fill and has not filled anew."""
    return frozenset(
        column.name
        for column in batch.columns
        if column.number in state.row.wanted
        and state.values.get(column.name) == state.row.values.get(column.name)
    )


def _tell(cell: CellOutcome, error: ModelError) -> CellOutcome:
    """An empty cell says that the local model could not be asked, and why."""
    if cell.error is None:
        return cell
    message = f"{cell.error.message} The local model could not be asked: {error.message}"
    return replace(cell, error=replace(cell.error, message=message))
