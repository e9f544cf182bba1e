"""The room's errors."""

from uuid import UUID

from gridmill.kit.errors import Conflict, NotFound, QuotaExceeded, Unprocessable


class DatasetNotFound(NotFound):
    """404: no dataset of this workspace that the key reaches."""

    code = "DATASET_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no dataset with this id.")


class ColumnNotFound(NotFound):
    """404: no such column in the dataset."""

    code = "COLUMN_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("The dataset has no column with this id.")


class RowNotFound(NotFound):
    """404: no such row in the dataset."""

    code = "ROW_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("The dataset has no row with this id.")


class CellNotFound(NotFound):
    """404: no such cell in the dataset."""

    code = "CELL_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("The dataset has no cell with this id.")


class DatasetLocked(Conflict):
    """409: a task holds the dataset (`details.taskId`), or its import still runs (`null`)."""

    code = "DATASET_LOCKED"

    def __init__(self, task_id: UUID | None) -> None:
        message = (
            "The dataset's import is still running."
            if task_id is None
            else "A task is working on the dataset; wait for it or cancel it."
        )
        super().__init__(message, details={"taskId": None if task_id is None else str(task_id)})
        self.task_id = task_id


class RowQuotaExceeded(QuotaExceeded):
    """429: the workspace may hold no more rows."""

    def __init__(self, limit: int) -> None:
        super().__init__("rows", limit, f"The workspace may hold {limit} rows in all its datasets.")


class RowLimitExceeded(Unprocessable):
    """422: more rows than the format of an export can hold."""

    code = "ROW_LIMIT_EXCEEDED"


class ValueMismatch(Unprocessable):
    """A record of a source cannot be taken: a value does not fit the column it would come into."""

    code = "VALUE_MISMATCH"

    def __init__(
        self, *, file_name: str, record: int, column: str, value: str, reason: str
    ) -> None:
        super().__init__(
            f"{file_name}, record {record}, column {column!r}: {value[:80]!r} {reason}"
        )
