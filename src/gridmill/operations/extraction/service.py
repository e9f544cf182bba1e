"""The extraction operation: rows from documents, every value with the place that it came from."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from gridmill.kit.processes import ProcessPool
from gridmill.operations.errors import PriceUnknown
from gridmill.operations.extraction.filling import DocumentFiller, Question, Work
from gridmill.operations.model import (
    Batch,
    BatchOutcome,
    CellOutcome,
    ColumnSpec,
    Estimate,
    MadeRows,
    NewRow,
    Order,
    RecordRef,
    RowInput,
)
from gridmill.providers.llm.errors import UnknownModel
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import LOCAL, ModelRef, add_costs

MODEL_BATCH_ROWS = 50
LOCAL_BATCH_ROWS = 10
"""The local model takes many seconds a document: small batches show progress."""

HEURISTIC_BATCH_ROWS = 100
_EXPECTED_ANSWER_TOKENS = 60
"""Tokens of one column's reply as expected in estimates: key, value and quote."""


class Extraction:
    """Fills cells from their row's document, and makes rows of documents that have none yet.

    A column is asked of its own model (`metadata.model`), else of the task's, else of the
    gateway's default. What typed heuristics find goes before a local model's answers and is
    weighed against a configured model's; without a gateway the heuristics stand alone.
    """

    def __init__(self, gateway: Gateway | None, processes: ProcessPool) -> None:
        self._gateway = gateway
        self._filler = DocumentFiller(gateway, processes)

    def batch_rows(
        self, columns: Sequence[ColumnSpec], targets: Sequence[int], model: str | None
    ) -> int:
        """Rows of a good batch, by the slowest way of filling a target."""
        wanted = set(targets)
        found = [self._choose(c, model)[0] for c in columns if c.number in wanted]
        refs = [ref for ref in found if ref is not None]
        if not refs:
            return HEURISTIC_BATCH_ROWS
        return LOCAL_BATCH_ROWS if any(r.provider == LOCAL for r in refs) else MODEL_BATCH_ROWS

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
            ref = self._choose(column, model)[0] if column.number in wanted else None
            if ref is not None and self._gateway.price_of(ref) is None:
                raise PriceUnknown(str(ref))

    async def run(self, batch: Batch) -> BatchOutcome:
        """Fill the batch. Raises `ProviderRefused` when the whole task cannot go on.

        So it does (`PriceUnknown`) when the budget limits dollars and a model has no known price.
        """
        filled = await self._filler.fill(self._read_batch(batch), batch.rows)
        return BatchOutcome(filled.cells, filled.usage, "budget" if filled.stopped else None)

    async def make(self, order: Order) -> MadeRows:
        """A row for each of the order's records (`RecordRef`), in order. Raises as `run` does."""
        wanted = order.wanted or tuple(column.number for column in order.columns)
        rows = [
            RowInput(place, "", {}, wanted, origin=item)
            for place, item in enumerate(order.items)
            if isinstance(item, RecordRef)
        ]
        work = self._plan_work(
            order.workspace_id,
            (order.dataset_name, order.dataset_description),
            order.columns,
            order.model,
        )
        work = replace(work, library=order.library, budget=order.budget)
        filled = await self._filler.fill(work, rows)
        cells: dict[int, list[CellOutcome]] = {row.row_no: [] for row in rows}
        for cell in filled.cells:
            cells[cell.row_no].append(cell)
        made = [NewRow(tuple(cells[row.row_no]), row.origin) for row in rows]
        return MadeRows(made, filled.usage, "budget" if filled.stopped else None)

    async def estimate(self, batch: Batch) -> Estimate:
        """What the rows of `batch` would cost, from their real prompts; calls no model.

        Requests whose answers are stored, and repeats among the rows, cost nothing; nor does the
        local model.
        """
        questions = await self._filler.plan(self._read_batch(batch), batch.rows)
        total = Estimate(0, 0, 0, 0.0)
        for ref in dict.fromkeys(question.ref for question in questions):
            some = [question for question in questions if question.ref == ref]
            total = _add(total, await self._estimate_part(batch, ref, some))
        return total

    async def _estimate_part(
        self, batch: Batch, ref: ModelRef, questions: Sequence[Question]
    ) -> Estimate:
        if self._gateway is None:
            return Estimate(0, 0, 0, 0.0)
        requests = [question.request for question in questions]
        stored = [False] * len(requests)
        use_cache = all(column.use_cache for q in questions for column in q.columns)
        if use_cache and not batch.refresh:
            stored = await self._gateway.find_stored(
                requests, ref=ref, workspace_id=batch.workspace_id
            )
        seen: set[bytes] = set()
        count = prompt = completion = 0
        for question, request, is_stored in zip(questions, requests, stored, strict=True):
            key = request.key(ref)
            if use_cache and (is_stored or key in seen):
                continue
            seen.add(key)
            count += 1
            prompt += request.tokens
            completion += 10 + len(question.columns) * _EXPECTED_ANSWER_TOKENS
        price = self._gateway.price_of(ref)
        cost = None if price is None else price.cost(prompt, completion)
        return Estimate(count, prompt, completion, cost)

    def _read_batch(self, batch: Batch) -> Work:
        dataset = (batch.dataset_name, batch.dataset_description)
        work = self._plan_work(batch.workspace_id, dataset, batch.columns, batch.model)
        return replace(
            work,
            library=batch.library,
            budget=batch.budget,
            refresh=batch.refresh,
            asked_at=batch.asked_at,
        )

    def _plan_work(
        self,
        workspace_id: UUID,
        dataset: tuple[str, str | None],
        columns: Sequence[ColumnSpec],
        model: str | None,
    ) -> Work:
        ways = {column.number: self._choose(column, model) for column in columns}
        return Work(
            workspace_id,
            dataset,
            {column.number: column for column in columns},
            {number: ref for number, (ref, _) in ways.items() if ref is not None},
            {number: missing for number, (_, missing) in ways.items() if missing is not None},
        )

    def _choose(self, column: ColumnSpec, model: str | None) -> tuple[ModelRef | None, str | None]:
        """The model that a column is asked of, or why the one that was named is not there."""
        name = column.model or model
        if self._gateway is None:
            if name is None:
                return None, None
            return None, f"No model is configured on this server, so {name} is not there."
        try:
            return self._gateway.resolve(name), None
        except UnknownModel as error:
            return None, error.message


def _add(first: Estimate, second: Estimate) -> Estimate:
    return Estimate(
        first.requests + second.requests,
        first.prompt_tokens + second.prompt_tokens,
        first.completion_tokens + second.completion_tokens,
        add_costs(first.cost_usd, second.cost_usd),
    )
