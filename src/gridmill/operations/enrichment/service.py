"""The enrichment operation: fills columns of rows by a model, or by the embedded layers.

The embedded layers are the learners, and after them, where weights are installed, the local model.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gridmill.kit.processes import ProcessPool
from gridmill.operations.enrichment import references
from gridmill.operations.enrichment.asking import (
    ROWS_PER_REQUEST,
    Asked,
    ModelFiller,
    RowState,
    add_passages,
    plan_questions,
)
from gridmill.operations.enrichment.frames import FrameBook
from gridmill.operations.enrichment.learning import LearnerFiller
from gridmill.operations.enrichment.local import LocalFiller
from gridmill.operations.errors import PriceUnknown
from gridmill.operations.model import (
    Batch,
    BatchOutcome,
    CellError,
    CellOutcome,
    ColumnSpec,
    Estimate,
)
from gridmill.operations.outcomes import fail_cell, skip_cell
from gridmill.providers.llm.errors import UnknownModel
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import LOCAL, ModelRef, Usage, add_costs

MODEL_BATCH_ROWS = 100
LEARNER_BATCH_ROWS = 500
_EXPECTED_ANSWER_TOKENS = 45
"""Tokens of one cell's reply as expected in estimates: key, value, confidence and evidence."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How a column is filled: by `ref`, by the learners (`None`), or not at all (`missing`)."""

    ref: ModelRef | None = None
    missing: str | None = None


class Enrichment:
    """Fills cells from the row's other values, the column's prompt and the dataset's own rows.

    A column is asked of its own model (`metadata.model`), else of the task's, else of the
    gateway's default; without a gateway the learners fill it. A local model is never asked first:
    the learners are, and it gets what they leave.
    """

    def __init__(
        self,
        gateway: Gateway | None,
        processes: ProcessPool,
        *,
        rows_per_request: int = ROWS_PER_REQUEST,
        seed: int = 0,
    ) -> None:
        self._gateway = gateway
        self._models = None if gateway is None else ModelFiller(gateway, rows_per_request)
        self._learners = LearnerFiller(processes, seed)
        is_local = gateway is not None and gateway.default.provider == LOCAL
        self._local = (
            LocalFiller(gateway, self._learners) if gateway is not None and is_local else None
        )
        self._rows_per_request = rows_per_request

    def batch_rows(
        self, columns: Sequence[ColumnSpec], targets: Sequence[int], model: str | None
    ) -> int:
        """Rows of a good batch: as many as the slowest way of filling a target takes well."""
        wanted = set(targets)
        ways = [self._choose_way(c, model) for c in columns if c.number in wanted]
        return MODEL_BATCH_ROWS if any(way.ref for way in ways) else LEARNER_BATCH_ROWS

    def check_budget(
        self,
        columns: Sequence[ColumnSpec],
        targets: Sequence[int],
        model: str | None,
        max_cost_usd: float | None,
    ) -> None:
        """Raise `PriceUnknown` when a target's model has no price that the limit could count by."""
        if max_cost_usd is None or self._gateway is None:
            return
        wanted = set(targets)
        for column in columns:
            ref = self._choose_way(column, model).ref if column.number in wanted else None
            if ref is not None and self._gateway.price_of(ref) is None:
                raise PriceUnknown(str(ref))

    async def run(self, batch: Batch) -> BatchOutcome:
        """Fill the batch. Raises `ProviderRefused` when the whole task cannot go on.

        So it does (`PriceUnknown`) when the budget limits dollars and a model has no known price.
        """
        states = [RowState.start(row) for row in batch.rows]
        book = FrameBook(batch, self._rows_per_request)
        cells: list[CellOutcome] = []
        usage = Usage()
        stopped = False
        for stage in self._plan_stages(batch):
            groups = self._group(stage, batch)
            fills = [
                asyncio.ensure_future(self._fill(batch, book, way, columns, states))
                for way, columns in groups.items()
            ]
            for part in await _gather_all(fills):
                cells += part.cells
                usage += part.usage
                stopped = stopped or part.stopped
            if stopped:
                cells += _skip_rest(batch, states, cells)
                break
        return BatchOutcome(cells, usage, "budget" if stopped else None)

    async def estimate(self, batch: Batch) -> Estimate:
        """What the rows of `batch` would cost, from their real prompts; calls no model.

        A later stage's prompts are measured with the values that the rows hold now. Requests whose
        answers are stored, and repeats among the rows, cost nothing.
        """
        states = [RowState.start(row) for row in batch.rows]
        book = FrameBook(batch, self._rows_per_request)
        total = Estimate(0, 0, 0, 0.0)
        for stage in self._plan_stages(batch):
            for way, columns in self._group(stage, batch).items():
                if way.ref is not None:
                    part = await self._estimate_part(batch, book, way.ref, columns, states)
                    total = _add(total, part)
        return total

    def _plan_stages(self, batch: Batch) -> tuple[tuple[ColumnSpec, ...], ...]:
        targets = {number for row in batch.rows for number in row.wanted}
        return references.plan_stages(batch.columns, targets)

    def _group(
        self, stage: Sequence[ColumnSpec], batch: Batch
    ) -> dict[_Way, tuple[ColumnSpec, ...]]:
        groups: dict[_Way, tuple[ColumnSpec, ...]] = {}
        for column in stage:
            way = self._choose_way(column, batch.model)
            groups[way] = (*groups.get(way, ()), column)
        return groups

    def _choose_way(self, column: ColumnSpec, model: str | None) -> _Way:
        name = column.model or model
        if self._gateway is None:
            if name is None:
                return _Way()
            return _Way(missing=f"No model is configured on this server, so {name} is not there.")
        try:
            ref = self._gateway.resolve(name)
            return _Way() if ref.provider == LOCAL else _Way(ref)
        except UnknownModel as error:
            return _Way(missing=error.message)

    async def _fill(
        self,
        batch: Batch,
        book: FrameBook,
        way: _Way,
        columns: Sequence[ColumnSpec],
        states: Sequence[RowState],
    ) -> Asked:
        if way.missing is not None:
            error = CellError("MODEL_REQUIRED", way.missing)
            return Asked(
                [
                    fail_cell(state.row, column, error)
                    for state in states
                    for column in columns
                    if column.number in state.waiting
                ]
            )
        if way.ref is None or self._models is None:
            learned = await self._learners.fill(batch, columns, states)
            if self._local is not None:
                await self._local.fill_rest(batch, columns, states, learned)
            return learned
        return await self._models.fill(batch, book, columns, states, way.ref)

    async def _estimate_part(
        self,
        batch: Batch,
        book: FrameBook,
        ref: ModelRef,
        columns: Sequence[ColumnSpec],
        states: Sequence[RowState],
    ) -> Estimate:
        if self._gateway is None:
            return Estimate(0, 0, 0, 0.0)
        questions = plan_questions(batch, book, columns, states, self._rows_per_request)
        questions = await add_passages(batch, questions)
        requests = [question.to_request() for question in questions]
        paid = [True] * len(requests)
        if all(column.use_cache for column in columns):
            seen: set[bytes] = set()
            stored = [False] * len(requests)
            if not batch.refresh:
                stored = await self._gateway.find_stored(
                    requests, ref=ref, workspace_id=batch.workspace_id
                )
            for index, request in enumerate(requests):
                key = request.key(ref)
                paid[index] = not stored[index] and key not in seen
                seen.add(key)
        prompt = completion = count = 0
        for question, request, counts in zip(questions, requests, paid, strict=True):
            if counts:
                count += 1
                prompt += request.tokens
                cells = len(question.states) * len(question.prepared.columns)
                completion += 10 + cells * _EXPECTED_ANSWER_TOKENS
        price = self._gateway.price_of(ref)
        return Estimate(
            count, prompt, completion, None if price is None else price.cost(prompt, completion)
        )


async def _gather_all(fills: Sequence[asyncio.Future[Asked]]) -> list[Asked]:
    """All results; when one fails the others are stopped before its error is raised."""
    try:
        return await asyncio.gather(*fills)
    except BaseException:
        for fill in fills:
            fill.cancel()
        await asyncio.gather(*fills, return_exceptions=True)
        raise


def _add(first: Estimate, second: Estimate) -> Estimate:
    return Estimate(
        first.requests + second.requests,
        first.prompt_tokens + second.prompt_tokens,
        first.completion_tokens + second.completion_tokens,
        add_costs(first.cost_usd, second.cost_usd),
    )


def _skip_rest(
    batch: Batch, states: Sequence[RowState], cells: Sequence[CellOutcome]
) -> list[CellOutcome]:
    """The cells of later stages: not tried, because the budget is used up."""
    done = {(cell.row_no, cell.column_no) for cell in cells}
    by_number = {column.number: column for column in batch.columns}
    return [
        skip_cell(state.row, by_number[number])
        for state in states
        for number in state.row.wanted
        if (state.row.row_no, number) not in done
    ]
