"""Filling the rows of documents: a document at a time, heuristics first, then a model for the rest."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from gridmill.kit.processes import ProcessDied, ProcessPool, ProcessTimedOut
from gridmill.operations.errors import PriceUnknown
from gridmill.operations.extraction import looking
from gridmill.operations.extraction.judging import ModelWord, judge_cell, show_hidden
from gridmill.operations.extraction.looking import Check, Job
from gridmill.operations.extraction.model import Found, Place
from gridmill.operations.extraction.prompts import build_frame
from gridmill.operations.extraction.questions import (
    Question,
    fail_question,
    finds_alone,
    is_asked,
    make_validator,
)
from gridmill.operations.extraction.replies import Said, read_reply
from gridmill.operations.model import (
    CellError,
    CellOutcome,
    ColumnSpec,
    Library,
    RowInput,
)
from gridmill.operations.outcomes import fail_cell
from gridmill.providers.documents.model import Document
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
from gridmill.providers.llm.model import LOCAL, Completion, ModelRef, ModelRequest, Usage

MAX_SECONDS = 300.0
"""Wall time of one look at a document in the child process."""

MAX_CPU_SECONDS = 120.0
_DOCUMENTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Work:
    """What a batch of rows to fill and an order of rows to make have in common.

    `refs` names for a column number the model that it is asked of, `missing` why there is none
    although one was named.
    """

    workspace_id: UUID
    dataset: tuple[str, str | None]
    columns: Mapping[int, ColumnSpec]
    refs: Mapping[int, ModelRef]
    missing: Mapping[int, str]
    library: Library | None = None
    budget: Budget | None = None
    refresh: bool = False
    asked_at: datetime | None = None


@dataclass(slots=True)
class Filled:
    """What came of some rows."""

    cells: list[CellOutcome] = field(default_factory=list[CellOutcome])
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """What models said of cells, by row and column number, and the cells that failed for good."""

    words: Mapping[tuple[int, int], ModelWord]
    failed: Mapping[tuple[int, int], CellOutcome]


class DocumentFiller:
    """Fills rows from their documents. `gateway` is `None` where no model can be asked."""

    def __init__(self, gateway: Gateway | None, processes: ProcessPool) -> None:
        self._gateway = gateway
        self._processes = processes

    async def fill(self, work: Work, rows: Sequence[RowInput]) -> Filled:
        """Every wanted cell of `rows`. Raises `ProviderRefused` when the whole task cannot go on."""
        filled = Filled()
        gate = asyncio.Semaphore(_DOCUMENTS_AT_ONCE)

        async def fill_one(datasource_id: UUID, members: Sequence[RowInput]) -> None:
            async with gate:
                await self._fill_document(work, datasource_id, members, filled)

        groups, lost = _group(work, rows)
        filled.cells += lost
        await _gather_all([asyncio.ensure_future(fill_one(*group)) for group in groups.items()])
        return filled

    async def plan(self, work: Work, rows: Sequence[RowInput]) -> list[Question]:
        """The requests that `fill` would send to models that cost something."""
        questions: list[Question] = []
        for datasource_id, members in _group(work, rows)[0].items():
            document = await _load(work, datasource_id)
            if document is not None:
                try:
                    lean = looking.make_lean(document)
                    found = await self._look(work, lean, members)
                    planned = await self._ask_about(work, lean, members, found)
                except (ProcessDied, ProcessTimedOut):
                    continue
                questions += [q for q in planned if q.ref.provider != LOCAL]
        return questions

    async def _fill_document(
        self, work: Work, datasource_id: UUID, rows: Sequence[RowInput], filled: Filled
    ) -> None:
        document = await _load(work, datasource_id)
        if document is None:
            filled.cells += _fail_all(work, rows, _GONE)
            return
        lean = looking.make_lean(document)
        try:
            found = await self._look(work, lean, rows)
            questions = await self._ask_about(work, lean, rows, found)
            told = await self._ask(work, lean, questions, filled)
        except (ProcessDied, ProcessTimedOut):
            filled.cells += _fail_all(work, rows, _TOO_HARD)
            return
        for row, finds in zip(rows, found, strict=True):
            filled.cells += _judge_row(work, document, row, finds, told)

    async def _look(
        self, work: Work, document: Document, rows: Sequence[RowInput]
    ) -> list[dict[int, Found]]:
        jobs = [Job(_number(row), tuple(work.columns[n] for n in row.wanted)) for row in rows]
        return await self._processes.run(
            looking.look, document, jobs, seconds=MAX_SECONDS, cpu_seconds=MAX_CPU_SECONDS
        )

    async def _ask_about(
        self,
        work: Work,
        document: Document,
        rows: Sequence[RowInput],
        found: Sequence[Mapping[int, Found]],
    ) -> list[Question]:
        """A question for every row and model, of the columns that the model is to say."""
        planned: list[tuple[RowInput, tuple[ColumnSpec, ...], ModelRef]] = []
        known = {record.number for record in document.records} | {0}
        for row, finds in zip(rows, found, strict=True):
            parts: dict[ModelRef, list[ColumnSpec]] = {}
            for number in row.wanted:
                ref = work.refs.get(number)
                column = work.columns[number]
                if (
                    ref is not None
                    and _number(row) in known
                    and is_asked(column, finds.get(number), ref)
                ):
                    parts.setdefault(ref, []).append(column)
            planned += [(row, tuple(columns), ref) for ref, columns in parts.items()]
        questions: list[Question] = []
        for local in (True, False):
            some = [plan for plan in planned if (plan[2].provider == LOCAL) is local]
            prompts = await self._write(document, some, local=local) if some else []
            frames = {
                columns: build_frame(work.dataset, columns, local=local)
                for columns in {plan[1] for plan in some}
            }
            for (row, columns, ref), prompt in zip(some, prompts, strict=True):
                validate = None if local else make_validator(columns)
                request = ModelRequest(frames[columns], prompt, validate)
                questions.append(Question(row, columns, ref, request))
        return questions

    async def _write(
        self,
        document: Document,
        planned: Sequence[tuple[RowInput, tuple[ColumnSpec, ...], ModelRef]],
        *,
        local: bool,
    ) -> list[str]:
        jobs = [Job(_number(row), columns) for row, columns, _ in planned]
        write = looking.write_local_prompts if local else looking.write_prompts
        return await self._processes.run(
            write, document, jobs, seconds=MAX_SECONDS, cpu_seconds=MAX_CPU_SECONDS
        )

    async def _ask(
        self, work: Work, document: Document, questions: Sequence[Question], filled: Filled
    ) -> _Told:
        said: list[tuple[Question, ColumnSpec, Said]] = []
        failed: dict[tuple[int, int], CellOutcome] = {}
        for ref in dict.fromkeys(question.ref for question in questions):
            some = [question for question in questions if question.ref == ref]
            for question, result in zip(some, await self._complete(work, ref, some), strict=True):
                filled.usage += result.usage
                if isinstance(result, Completion | InvalidReply) and result.data is not None:
                    replies = read_reply(result.data, question.columns)
                    said += [
                        (question, column, replies[column.number]) for column in question.columns
                    ]
                elif ref.provider != LOCAL:
                    filled.stopped = filled.stopped or isinstance(result, BudgetReached)
                    failed |= fail_question(question, result)
        for question, column, word in said:
            if word.problem is not None and question.ref.provider != LOCAL:
                message = f"The model's answer does not fit the column: {word.problem}"
                error = CellError("INVALID_REPLY", message, retryable=True)
                failed[question.row.row_no, column.number] = fail_cell(question.row, column, error)
        return _Told(await self._place(document, said), failed)

    async def _complete(
        self, work: Work, ref: ModelRef, questions: Sequence[Question]
    ) -> Sequence[Completion | ModelError]:
        if self._gateway is None:
            return []
        results = await self._gateway.complete_many(
            [question.request for question in questions],
            ref=ref,
            workspace_id=work.workspace_id,
            use_cache=all(column.use_cache for q in questions for column in q.columns),
            refresh=work.refresh and work.asked_at is None,
            fresh_after=work.asked_at if work.refresh else None,
            budget=work.budget,
        )
        for result in results:
            if isinstance(result, PriceMissing):
                raise PriceUnknown(str(ref))
            if isinstance(result, ProviderRefused | UnknownModel) and ref.provider != LOCAL:
                raise result
        return results

    async def _place(
        self, document: Document, said: Sequence[tuple[Question, ColumnSpec, Said]]
    ) -> dict[tuple[int, int], ModelWord]:
        told = [
            (question, column, word) for question, column, word in said if word.value is not None
        ]
        checks = [
            Check(_number(question.row), column, word.value or "", word.quote)
            for question, column, word in told
        ]
        places: list[Place | None] = []
        if checks:
            places = await self._processes.run(
                looking.ground, document, checks, seconds=MAX_SECONDS, cpu_seconds=MAX_CPU_SECONDS
            )
        return {
            (question.row.row_no, column.number): ModelWord(
                word,
                place,
                question.ref.provider,
                question.ref.model,
            )
            for (question, column, word), place in zip(told, places, strict=True)
        }


_GONE = CellError(
    "DATASOURCE_NOT_FOUND",
    "The row was not made from a document, or its document is no longer there.",
)
_NO_RECORD = CellError("DATASOURCE_NOT_FOUND", "The document no longer lists the row's record.")
_TOO_HARD = CellError(
    "MALFORMED_FILE",
    "Reading values from this document takes more time or memory than one may have.",
)


async def _gather_all(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Wait for all; when one fails the others are stopped before its error is raised."""
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _load(work: Work, datasource_id: UUID) -> Document | None:
    return None if work.library is None else await work.library.load_document(datasource_id)


def _number(row: RowInput) -> int:
    return 0 if row.origin is None else row.origin.record


def _group(
    work: Work, rows: Sequence[RowInput]
) -> tuple[dict[UUID, list[RowInput]], list[CellOutcome]]:
    """The rows by document, and the cells of those that have none."""
    groups: dict[UUID, list[RowInput]] = {}
    for row in rows:
        if row.origin is not None:
            groups.setdefault(row.origin.datasource_id, []).append(row)
    return groups, _fail_all(work, [row for row in rows if row.origin is None], _GONE)


def _fail_all(work: Work, rows: Sequence[RowInput], error: CellError) -> list[CellOutcome]:
    return [fail_cell(row, work.columns[number], error) for row in rows for number in row.wanted]


def _judge_row(
    work: Work,
    document: Document,
    row: RowInput,
    found: Mapping[int, Found],
    told: _Told,
) -> list[CellOutcome]:
    scope = looking.find_scope(document, _number(row))
    if scope is None:
        return _fail_all(work, [row], _NO_RECORD)
    hidden = show_hidden(scope)
    cells: list[CellOutcome] = []
    for number in row.wanted:
        column, place = work.columns[number], (row.row_no, number)
        if number in work.missing:
            error = CellError("MODEL_REQUIRED", work.missing[number])
            cell = fail_cell(row, column, error)
        elif place in told.failed:
            cell = told.failed[place]
        else:
            cell = judge_cell(
                row,
                column,
                scope,
                found.get(number),
                told.words.get(place),
                model_there=number in work.refs and finds_alone(work.refs[number]),
            )
        cells.append(replace(cell, hidden_text=hidden))
    return cells
