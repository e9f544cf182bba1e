"""What the clients were told: the one truth that the checker holds the server to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Note:
    """One row of the notes dataset, written by one client only.

    `row_id` is known once the insert was acknowledged. `values` are those that the cell may hold:
    the last acknowledged one and whatever was sent, without an answer, after it. `is_gone` is
    `None` while a deletion was sent and not answered.
    """

    key: str
    row_id: str | None = None
    values: list[str] = field(default_factory=list[str])
    is_gone: bool | None = False


@dataclass
class TaskSeen:
    """A task that was acknowledged: the statuses that the client saw, in order."""

    task_id: str
    dataset_id: str
    seen: list[str] = field(default_factory=list[str])
    was_cancelled: bool = False


@dataclass
class DatasetMade:
    """A small dataset of its own name; `dataset_id` and `is_gone` as of a `Note`."""

    name: str
    dataset_id: str | None = None
    is_gone: bool | None = False


@dataclass
class Record:
    """All that one run was told; `answered` counts definite answers."""

    notes: dict[str, Note] = field(default_factory=dict[str, Note])
    tasks: dict[str, TaskSeen] = field(default_factory=dict[str, TaskSeen])
    datasets: list[DatasetMade] = field(default_factory=list[DatasetMade])
    operations: int = 0
    answered: int = 0
    unanswered: int = 0

    def list_inserted(self) -> Iterator[Note]:
        """The notes whose insert was acknowledged."""
        return (note for note in self.notes.values() if note.row_id is not None)
