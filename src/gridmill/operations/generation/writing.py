"""Texts written by a model: a request a row, columns that read others after these."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from gridmill.kit.values import coerce
from gridmill.operations.errors import PriceUnknown
from gridmill.operations.generation.prompts import PreparedFrame, Subject, prepare
from gridmill.operations.model import (
    Batch,
    CellError,
    CellOutcome,
    CellStatus,
    ColumnSpec,
    ExampleRow,
    Order,
    RowInput,
)
from gridmill.operations.outcomes import describe_failure, fail_cell, skip_cell
from gridmill.operations.prompting import name_keys
from gridmill.operations.references import list_read_columns, plan_stages
from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.errors import (
    BudgetReached,
    InvalidReply,
    ModelError,
    PriceMissing,
    ProviderRefused,
    UnknownModel,
)
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import Answer, Completion, ModelRef, ModelRequest, Usage


@dataclass(frozen=True, slots=True)
class Commission:
    """What is written about, for whom and on which terms; `columns` are all of the dataset."""

    workspace_id: UUID
    subject: Subject
    columns: Sequence[ColumnSpec]
    examples: Sequence[ExampleRow]
    budget: Budget | None = None
    refresh: bool = False
    asked_at: datetime | None = None


def commission_from(work: Order | Batch, examples: Sequence[ExampleRow]) -> Commission:
    """The commission of some work on a dataset, known rows of which are shown."""
    refresh, asked_at = (work.refresh, work.asked_at) if isinstance(work, Batch) else (False, None)
    subject = Subject(work.dataset_name, work.dataset_description, work.config.get("prompt"))
    return Commission(
        work.workspace_id, subject, work.columns, examples, work.budget, refresh, asked_at
    )


@dataclass(slots=True)
class Draft:
    """A row while it is written; `place` tells rows with the same values apart."""

    row: RowInput
    values: dict[str, str | None]
    waiting: set[int]
    place: int | None = None


@dataclass(slots=True)
class Written:
    """The outcomes of the cells that were asked for, what they cost, whether the budget stopped it."""

    cells: list[CellOutcome] = field(default_factory=list[CellOutcome])
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One request: some columns of one row."""

    draft: Draft
    prepared: PreparedFrame

    def to_request(self) -> ModelRequest:
        """What the gateway is asked."""
        prepared, draft = self.prepared, self.draft
        data = prepared.pick(draft.values)
        # Without any data every row would be the same question, and get the same answer.
        place = draft.row.row_no if draft.place is None and not data else draft.place
        return ModelRequest(prepared.frame, prepared.write_prompt(data, place), self._validate)

    def _validate(self, answer: Answer) -> Sequence[str]:
        read = read_answer(answer, self.prepared.columns)
        return [problem for _, problem in read.values() if problem is not None]


class ContentWriter:
    """Asks the gateway for the texts of made-up rows."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def write(
        self, commission: Commission, ways: Mapping[int, ModelRef], drafts: Sequence[Draft]
    ) -> Written:
        """Write the cells that the drafts wait for, each column by its model (`ways`, by number).

        Values that are written stand in the drafts afterwards. Raises `ProviderRefused`, and its
        kind `PriceUnknown` when a limit in dollars cannot be kept.
        """
        written = Written()
        for stage in plan_stages(commission.columns, ways):
            for ref in dict.fromkeys(ways[column.number] for column in stage):
                columns = [column for column in stage if ways[column.number] == ref]
                await self._ask(commission, ref, columns, drafts, written)
            if written.stopped:
                by_number = {column.number: column for column in commission.columns}
                written.cells += _skip_rest(drafts, by_number, ways)
                break
        return written

    async def _ask(
        self,
        commission: Commission,
        ref: ModelRef,
        columns: Sequence[ColumnSpec],
        drafts: Sequence[Draft],
        written: Written,
    ) -> None:
        questions = plan_questions(commission, columns, drafts)
        results = await self._gateway.complete_many(
            [question.to_request() for question in questions],
            ref=ref,
            workspace_id=commission.workspace_id,
            use_cache=all(column.use_cache for column in columns),
            refresh=commission.refresh and commission.asked_at is None,
            fresh_after=commission.asked_at if commission.refresh else None,
            budget=commission.budget,
        )
        for question, result in zip(questions, results, strict=True):
            written.usage += result.usage
            _take(question, result, ref, written)


def plan_questions(
    commission: Commission, columns: Sequence[ColumnSpec], drafts: Sequence[Draft]
) -> list[Question]:
    """The requests for `columns` (of one stage and model) of every draft that waits for them.

    Columns whose prompts name others send just these, the rest sends the whole row.
    """
    parts: dict[bool, list[ColumnSpec]] = {}
    for column in columns:
        parts.setdefault(bool(list_read_columns(column, commission.columns)), []).append(column)
    frames: dict[tuple[tuple[int, ...], frozenset[int]], PreparedFrame] = {}
    questions: list[Question] = []
    for draft in drafts:
        for part in parts.values():
            wanted = tuple(column for column in part if column.number in draft.waiting)
            if not wanted:
                continue
            key = (tuple(column.number for column in wanted), frozenset(draft.waiting))
            if key not in frames:
                sent = _choose_sent(commission, wanted, draft.waiting)
                frames[key] = prepare(commission.subject, wanted, sent, commission.examples)
            questions.append(Question(draft, frames[key]))
    return questions


def _choose_sent(
    commission: Commission, wanted: Sequence[ColumnSpec], waiting: set[int]
) -> tuple[str, ...]:
    read = {
        found.number for column in wanted for found in list_read_columns(column, commission.columns)
    }
    return tuple(
        column.name
        for column in commission.columns
        if column.number not in waiting and (not read or column.number in read)
    )


def read_answer(
    answer: Answer, columns: Sequence[ColumnSpec]
) -> dict[int, tuple[str | None, str | None]]:
    """By column number the canonical value, or what is wrong with it in a sentence."""
    said = {name.strip().casefold(): value for name, value in answer.items()}
    keys = name_keys(columns)
    found: dict[int, tuple[str | None, str | None]] = {}
    for column in columns:
        key = keys[column.number]
        # A server without structured output may answer under the column's own name.
        value = answer.get(key, said.get(column.name.strip().casefold()))
        found[column.number] = _read_value(value, column, key)
    return found


def _read_value(said: object, column: ColumnSpec, key: str) -> tuple[str | None, str | None]:
    fields = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    try:
        value = coerce(fields.get("value", said), column.rules)
    except ValueError as error:
        return None, f'"{key}": {error}'
    return value, f'"{key}": nothing was written.' if value is None else None


def _take(
    question: Question, result: Completion | ModelError, ref: ModelRef, written: Written
) -> None:
    row, columns = question.draft.row, question.prepared.columns
    if isinstance(result, PriceMissing):
        raise PriceUnknown(str(ref))
    if isinstance(result, ProviderRefused | UnknownModel):
        raise result
    if isinstance(result, BudgetReached):
        written.stopped = True
        written.cells += [skip_cell(row, column) for column in columns]
    elif isinstance(result, Completion | InvalidReply) and result.data is not None:
        answers = read_answer(result.data, columns)
        written.cells += [
            _settle(question.draft, column, *answers[column.number], ref) for column in columns
        ]
    else:
        failure = describe_failure(result)
        written.cells += [fail_cell(row, column, failure) for column in columns]
    question.draft.waiting.difference_update(column.number for column in columns)


def _settle(
    draft: Draft, column: ColumnSpec, value: str | None, problem: str | None, ref: ModelRef
) -> CellOutcome:
    if problem is not None:
        message = f"The model's answer does not fit the column: {problem}"
        return fail_cell(draft.row, column, CellError("INVALID_REPLY", message, retryable=True))
    draft.values[column.name] = value
    return CellOutcome(
        draft.row.row_no,
        column.number,
        CellStatus.OK,
        value=value,
        factors={"method": "model", "calibrated": False},
        sources=({"kind": "model"},),
        provider=ref.provider,
        model=ref.model,
    )


def _skip_rest(
    drafts: Sequence[Draft], by_number: Mapping[int, ColumnSpec], ways: Iterable[int]
) -> list[CellOutcome]:
    """Cells of later stages: not tried, because the budget is used up."""
    return [
        skip_cell(draft.row, by_number[number])
        for draft in drafts
        for number in ways
        if number in draft.waiting
    ]
