"""What goes to a worker process and what comes back. Pure: the server imports this without numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gridmill.kit.values import ValueRules
from gridmill.operations.model import Verdict

Row = tuple[str | None, ...]
"""A row's texts in the order of the table's columns."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to learn from. `columns` are all columns of the dataset, the targets among them.

    `verdicts` are what people said of values that were written into targets before.
    """

    columns: tuple[str, ...]
    row_ids: tuple[str, ...]
    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """The column to learn. `about` is its name, description and prompt in one text."""

    name: str
    rules: ValueRules
    about: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer for one row: `value` `None` when there is none, `confidence` from 0 to 1.

    `factors` say what the confidence is made of, `row_ids` the rows that it was learnt from,
    `sources` what else it rests on, in the shape of a cell's sources.
    """

    value: str | None
    confidence: float
    factors: dict[str, object]
    row_ids: tuple[str, ...] = ()
    sources: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Rows whose `target` is asked for; `key` names the task, `row_ids[i]` belongs to `rows[i]`."""

    key: str
    seed: int
    target: Target
    row_ids: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One prediction a row; or `needs_table`; or the `reason` why this column cannot be learnt."""

    predictions: tuple[Prediction, ...] = ()
    needs_table: bool = False
    reason: str | None = None

    def spread(self, count: int) -> Sequence[Prediction | None]:
        """One entry for each of `count` rows: `None` everywhere when nothing was learnt."""
        return [None] * count if self.reason is not None else self.predictions


class Learner(Protocol):
    """What is kept of a fitted column."""

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:
        """One prediction a row."""
        ...
