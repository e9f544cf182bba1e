"""The room's errors."""

from collections.abc import Sequence

from gridmill.kit.errors import Conflict, InvalidSelection, NotFound, Unprocessable

NAMED_IDS = 20
_ID_CHARACTERS = 100


class TaskNotFound(NotFound):
    """404: no task of this dataset and workspace."""

    code = "TASK_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no task with this id.")


class TaskNotCancellable(Conflict):
    """409: the task has ended already."""

    code = "TASK_NOT_CANCELLABLE"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The task is {status}; only a queued or processing one can be cancelled.",
            details={"status": status},
        )


class InvalidTaskForDataset(Unprocessable):
    """422: this dataset has nothing that such a task could work on; the message says what is missing."""

    code = "INVALID_TASK_FOR_DATASET"


def unknown_ids(field: str, ids: Sequence[str]) -> InvalidSelection:
    """422 for ids that are not of the dataset; names up to 20 of them."""
    named = [text[:_ID_CHARACTERS] for text in ids[:NAMED_IDS]]
    return InvalidSelection(
        f"{field} names what is not in this dataset: {', '.join(named)}.",
        details={"field": field, "ids": named},
    )
