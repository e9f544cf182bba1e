"""Filling cells by a model: stage by stage, a request or two a row, every cell judged on its own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gridmill.kit.values import DataType
from gridmill.operations.enrichment import confidence
from gridmill.operations.enrichment.frames import FrameBook, PreparedFrame
from gridmill.operations.enrichment.knowledge import (
    cite,
    find_passages,
    list_knowledge,
    name_passages,
)
from gridmill.operations.enrichment.references import list_read_columns
from gridmill.operations.enrichment.replies import WORLD, CellReply
from gridmill.operations.errors import PriceUnknown
from gridmill.operations.model import (
    Batch,
    CellError,
    CellOutcome,
    CellStatus,
    ColumnSpec,
    Passage,
    RowInput,
)
from gridmill.operations.outcomes import fail_cell, grade_cell, skip_cell
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

ROWS_PER_REQUEST = 1
"""Rows asked in one request. More is cheaper, but rows then influence each other; see the decision record."""

MAX_PACKED_CHARACTERS = 600
"""A row whose data is longer is always asked alone."""


@dataclass(slots=True)
class RowState:
    """A row while it is worked on: values known so far, columns still to be filled."""

    row: RowInput
    values: dict[str, str | None]
    waiting: set[int]

    @classmethod
    def start(cls, row: RowInput) -> "RowState":
        """Begin with the row as it was loaded."""
        return cls(row, dict(row.values), set(row.wanted))


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One request: one row or several, the same columns of each.

    `rejected` is filled by the gateway's validation: the numbers of columns to be repaired.
    """

    states: tuple[RowState, ...]
    data: tuple[dict[str, str], ...]
    prepared: PreparedFrame
    passages: tuple[Passage, ...] = ()
    rejected: set[int] = field(default_factory=set[int])

    @property
    def is_packed(self) -> bool:
        """Whether it asks for several rows at once."""
        return len(self.states) > 1

    def to_request(self) -> ModelRequest:
        """What the gateway is asked. Rows of a packed request are repaired alone, not together."""
        prepared = self.prepared
        if self.is_packed and prepared.packed_frame is not None:
            prompt = prepared.write_packed_prompt(self.data)
            return ModelRequest(prepared.packed_frame, prompt, _check_packed)
        prompt = prepared.write_prompt(self.data[0], self.passages)
        return ModelRequest(prepared.frame, prompt, self._validate)

    def split(self) -> "list[Question]":
        """Each of its rows as a question of its own."""
        return [
            Question((state,), (data,), self.prepared)
            for state, data in zip(self.states, self.data, strict=True)
        ]

    def _validate(self, answer: Answer) -> Sequence[str]:
        problems = self.prepared.reader.find_problems(answer)
        self.rejected.update(problems)
        return list(problems.values())


def _check_packed(answer: Answer) -> Sequence[str]:
    return () if isinstance(answer.get("rows"), list) else ('"rows" is not a list',)


@dataclass(slots=True)
class Asked:
    """What came of some questions: cells, cost, whether the budget stopped it, what to ask again."""

    cells: list[CellOutcome] = field(default_factory=list[CellOutcome])
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False
    again: list[Question] = field(default_factory=list[Question])


class ModelFiller:
    """Asks the gateway for the cells of a batch."""

    def __init__(self, gateway: Gateway, rows_per_request: int = ROWS_PER_REQUEST) -> None:
        self._gateway = gateway
        self.rows_per_request = rows_per_request

    async def fill(
        self,
        batch: Batch,
        book: FrameBook,
        columns: Sequence[ColumnSpec],
        states: Sequence[RowState],
        ref: ModelRef,
    ) -> Asked:
        """Ask for `columns` (of one stage and one model) in all rows.

        Raises `ProviderRefused`, and its kind `PriceUnknown` when a limit in dollars cannot be kept.
        """
        use_cache = all(column.use_cache for column in columns)
        planned = plan_questions(batch, book, columns, states, self.rows_per_request)
        asked = Asked(again=await add_passages(batch, planned))
        while asked.again:
            questions, asked.again = asked.again, []
            results = await self._gateway.complete_many(
                [question.to_request() for question in questions],
                ref=ref,
                workspace_id=batch.workspace_id,
                use_cache=use_cache,
                refresh=batch.refresh and batch.asked_at is None,
                fresh_after=batch.asked_at if batch.refresh else None,
                budget=batch.budget,
            )
            for question, result in zip(questions, results, strict=True):
                if isinstance(result, PriceMissing):
                    raise PriceUnknown(str(ref))
                _take(question, result, asked, ref)
        return asked


def plan_questions(
    batch: Batch,
    book: FrameBook,
    columns: Sequence[ColumnSpec],
    states: Sequence[RowState],
    rows_per_request: int,
) -> list[Question]:
    """The requests that fill `columns`, all of one model, in every row that waits for them.

    Columns whose prompts name others are asked together and apart from those whose prompts name
    none: these send the whole row, those just the columns that they name.
    """
    names = {column.number: column.name for column in batch.columns}
    parts = _part_by_references(columns, batch.columns)
    alone: list[Question] = []
    short: dict[int, list[Question]] = {}
    for state in states:
        hidden = frozenset([names[number] for number in state.waiting])
        for part in parts:
            wanted = tuple(column for column in part if column.number in state.waiting)
            if not wanted:
                continue
            prepared = book.get(wanted, hidden, state.row.row_no)
            data = prepared.pick(state.values)
            question = Question((state,), (data,), prepared)
            is_short = sum(map(len, data.values())) <= MAX_PACKED_CHARACTERS
            if rows_per_request > 1 and is_short and not list_knowledge(wanted):
                short.setdefault(id(prepared), []).append(question)
            else:
                alone.append(question)
    return alone + _pack(short.values(), rows_per_request)


async def add_passages(batch: Batch, questions: Sequence[Question]) -> list[Question]:
    """The questions with the passages that their columns are to be answered from."""
    if batch.library is None or not list_knowledge(batch.columns):
        return list(questions)
    asked = [(one.prepared.columns, one.data[0]) for one in questions]
    found = await find_passages(batch.library, asked)
    return [
        replace(question, passages=passages)
        for question, passages in zip(questions, found, strict=True)
    ]


def _part_by_references(
    columns: Sequence[ColumnSpec], every: Sequence[ColumnSpec]
) -> list[list[ColumnSpec]]:
    parts: dict[bool, list[ColumnSpec]] = {}
    for column in columns:
        parts.setdefault(bool(list_read_columns(column, every)), []).append(column)
    return list(parts.values())


def _pack(groups: Iterable[Sequence[Question]], rows_per_request: int) -> list[Question]:
    packed: list[Question] = []
    for group in groups:
        for start in range(0, len(group), rows_per_request):
            part = group[start : start + rows_per_request]
            states = tuple(question.states[0] for question in part)
            data = tuple(question.data[0] for question in part)
            packed.append(Question(states, data, part[0].prepared))
    return packed


def _take(question: Question, result: Completion | ModelError, asked: Asked, ref: ModelRef) -> None:
    """Turn one result into cells, or into questions to ask again."""
    asked.usage += result.usage
    if isinstance(result, ProviderRefused | UnknownModel):
        raise result
    if isinstance(result, BudgetReached):
        asked.stopped = True
        asked.cells += [
            skip_cell(state.row, column)
            for state in question.states
            for column in question.prepared.columns
        ]
    elif question.is_packed:
        _take_packed(question, result, asked, ref)
    elif isinstance(result, Completion | InvalidReply) and result.data is not None:
        _take_answer(question, result.data, asked, ref)
    else:
        _take_failure(question, result, asked)


def _take_packed(
    question: Question, result: Completion | ModelError, asked: Asked, ref: ModelRef
) -> None:
    """Keep the rows that are whole; the others are asked alone."""
    answer = result.data if isinstance(result, Completion) else {}
    reader = question.prepared.reader
    found = reader.split_rows(answer, len(question.states))
    for index, single in enumerate(question.split()):
        row_answer = found.get(index)
        if row_answer is None or reader.find_problems(row_answer):
            asked.again.append(single)
        else:
            _take_answer(single, row_answer, asked, ref)


def _take_failure(question: Question, error: ModelError, asked: Asked) -> None:
    if isinstance(error, InvalidReply):
        code = "INVALID_REPLY"
    else:
        code = "PROVIDER_UNAVAILABLE" if error.retryable else error.code
    failure = CellError(code, error.message, error.retryable)
    for state in question.states:
        for column in question.prepared.columns:
            asked.cells.append(fail_cell(state.row, column, failure))


def _take_answer(
    question: Question, answer: Mapping[str, Any], asked: Asked, ref: ModelRef
) -> None:
    state, data = question.states[0], question.data[0]
    haystack = "\n".join([*data.values(), *(one.text for one in question.passages)]).casefold()
    replies = question.prepared.reader.read(answer)
    for column in question.prepared.columns:
        reply = replies[column.number]
        repaired = column.number in question.rejected
        passages = question.passages if column.knowledge else ()
        cell = _judge(
            state.row, column, reply, data, haystack, passages=passages, repaired=repaired
        )
        cell = replace(cell, provider=ref.provider, model=ref.model)
        asked.cells.append(cell)
        state.waiting.discard(column.number)
        if cell.status in {CellStatus.OK, CellStatus.NEEDS_REVIEW}:
            state.values[column.name] = cell.value


def _judge(
    row: RowInput,
    column: ColumnSpec,
    reply: CellReply,
    data: Mapping[str, str],
    haystack: str,
    *,
    passages: Sequence[Passage],
    repaired: bool,
) -> CellOutcome:
    if reply.problem is not None:
        message = f"The model's answer does not fit the column: {reply.problem}"
        return fail_cell(row, column, CellError("INVALID_REPLY", message, retryable=True))
    if reply.value is None:
        message = "The model found no answer in the row's data or its own knowledge."
        return fail_cell(row, column, CellError("NOT_CONFIDENT", message))
    named = {name.casefold() for name in reply.evidence}
    used = [name for name in data if name.casefold() in named]
    known = [one for name, one in name_passages(passages).items() if name.casefold() in named]
    facts = confidence.Facts(
        stated=reply.stated,
        quoted=_is_quoted(reply.value, column, haystack),
        evidence=_name_evidence(used, reply.evidence, known),
        checked=bool(column.rules.options or column.rules.pattern),
        repaired=repaired,
    )
    factors = confidence.list_factors(facts) | ({"columns": used} if used else {})
    sources: list[Mapping[str, Any]] = [cite(one, reply.value) for one in known]
    if used:
        sources.append({"kind": "dataset", "rowIds": [row.row_id]})
    return grade_cell(
        row,
        column,
        reply.value,
        confidence.judge(facts),
        factors=factors,
        sources=sources or [{"kind": "model"}],
    )


def _name_evidence(used: Sequence[str], named: Sequence[str], known: Sequence[Passage] = ()) -> str:
    if known:
        return "passages"
    if used:
        return "columns"
    if not named:
        return "none"
    return "world" if any(WORLD in name.casefold() for name in named) else "invented"


def _is_quoted(value: str, column: ColumnSpec, haystack: str) -> bool:
    """Whether the value stands in the row's data as a word or words of its own."""
    if column.rules.data_type is DataType.BOOLEAN:
        return False
    needle = value.casefold()
    start = haystack.find(needle)
    while start >= 0:
        end = start + len(needle)
        before, after = haystack[start - 1 : start], haystack[end : end + 1]
        if not (before.isalnum() and needle[0].isalnum()) and not (
            after.isalnum() and needle[-1].isalnum()
        ):
            return True
        start = haystack.find(needle, start + 1)
    return False
