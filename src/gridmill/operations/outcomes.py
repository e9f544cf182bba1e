"""The outcomes of a cell that has no answer."""

from gridmill.operations.model import CellError, CellOutcome, CellStatus, ColumnSpec, RowInput
from gridmill.providers.llm.errors import InvalidReply, ModelError


def fail_cell(row: RowInput, column: ColumnSpec, error: CellError) -> CellOutcome:
    """The cell keeps its value and says why."""
    return CellOutcome(row.row_no, column.number, CellStatus.ERROR, error=error)


def skip_cell(row: RowInput, column: ColumnSpec) -> CellOutcome:
    """The cell was not tried and stays as it is."""
    return CellOutcome(row.row_no, column.number, CellStatus.SKIPPED)


def describe_failure(error: ModelError) -> CellError:
    """What a cell says of a request that brought no answer."""
    if isinstance(error, InvalidReply):
        code = "INVALID_REPLY"
    else:
        code = "PROVIDER_UNAVAILABLE" if error.retryable else error.code
    return CellError(code, error.message, error.retryable)
