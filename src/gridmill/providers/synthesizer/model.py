"""What the synthesizer gets and gives. Pure: the server imports this without numpy."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gridmill.kit.canonical import DataType
from gridmill.kit.values import ValueRules

Row = tuple[str | None, ...]
"""A row's canonical texts in the order of the table's columns; `None` is empty."""


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """What is said of a column's values, known or wanted.

    `options`, `minimum`, `maximum` and `pattern` bind as in `kit.values.ValueRules`. `unique` says
    whether a value may occur once only; `None` leaves that to the data. `examples` are canonical
    texts that count where the column holds nothing.
    """

    name: str
    data_type: DataType = DataType.TEXT
    options: tuple[str, ...] = ()
    minimum: float | int | None = None
    maximum: float | int | None = None
    pattern: str | None = None
    unique: bool | None = None
    examples: tuple[str, ...] = ()

    @property
    def rules(self) -> ValueRules:
        """The same as the rules that a value is held against."""
        return ValueRules(
            self.data_type, self.options, self.pattern, minimum=self.minimum, maximum=self.maximum
        )


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows, each row with a text or `None` for each column."""

    columns: Sequence[ColumnShape]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows of the stream; `message` says why they are fewer than were asked for.

    `recombined` names the columns whose texts were put together from parts of known texts, or
    from the column's name where nothing is known: their form is right, their content says nothing.
    """

    rows: Sequence[Row]
    message: str | None = None
    recombined: frozenset[str] = field(default_factory=frozenset)
