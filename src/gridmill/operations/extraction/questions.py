"""What a model is asked of a document's row, and what becomes of a question without an answer."""

from dataclasses import dataclass

from gridmill.kit.values import DataType
from gridmill.operations.extraction import confidence
from gridmill.operations.extraction.model import Found, Method
from gridmill.operations.extraction.replies import find_problems
from gridmill.operations.model import CellError, CellOutcome, ColumnSpec, RowInput
from gridmill.operations.outcomes import FLOOR, fail_cell, skip_cell
from gridmill.providers.llm.errors import BudgetReached, InvalidReply, ModelError
from gridmill.providers.llm.model import LOCAL, Completion, ModelRef, ModelRequest, Validate

_SURE = 0.8
"""From here on the small local model is not asked: it would be wrong more often."""

_WEAK_LOCAL_TYPES = frozenset(
    [
        DataType.DATE,
        DataType.DATETIME,
        DataType.NUMBER,
        DataType.INTEGER,
        DataType.EMAIL,
        DataType.PHONE,
        DataType.URL,
    ]
)
"""Types that heuristics read better than a small model: it gets them only where they find nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request: some columns of one row, all of one model."""

    row: RowInput
    columns: tuple[ColumnSpec, ...]
    ref: ModelRef
    request: ModelRequest


def finds_alone(ref: ModelRef) -> bool:
    """Whether what a model finds where heuristics found nothing is sure enough to be written."""
    alone = confidence.weigh_model(ref.provider, ref.model, "alone", grounded=True)
    return confidence.judge(alone) >= FLOOR


def is_asked(column: ColumnSpec, found: Found | None, ref: ModelRef) -> bool:
    """Whether a model is asked for a column; none for what a list's own field says."""
    if found is None:
        return finds_alone(ref)
    if found.best.method is Method.FIELD:
        return False
    if ref.provider != LOCAL:
        return True
    if column.rules.data_type in _WEAK_LOCAL_TYPES:
        return False
    return confidence.judge(confidence.weigh(found)) < _SURE


def make_validator(columns: tuple[ColumnSpec, ...]) -> Validate:
    """What the gateway checks replies by: one that fits every column."""
    return lambda answer: find_problems(answer, columns)


def fail_question(
    question: Question, result: ModelError | Completion
) -> dict[tuple[int, int], CellOutcome]:
    """The cells of a question that got no answer, by row and column number."""
    row = question.row
    cells: dict[tuple[int, int], CellOutcome] = {}
    for column in question.columns:
        if isinstance(result, BudgetReached):
            cells[row.row_no, column.number] = skip_cell(row, column)
        elif isinstance(result, ModelError):
            code = "PROVIDER_UNAVAILABLE" if result.retryable else result.code
            code = "INVALID_REPLY" if isinstance(result, InvalidReply) else code
            error = CellError(code, result.message, result.retryable)
            cells[row.row_no, column.number] = fail_cell(row, column, error)
    return cells
