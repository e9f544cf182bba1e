"""Columns as the synthesizer sees them, and which of them only a model can write."""

from collections.abc import Sequence

from gridmill.kit.values import DataType, coerce
from gridmill.operations.model import ColumnSpec
from gridmill.providers.synthesizer.model import ColumnShape

_WRITTEN = frozenset({DataType.TEXT, DataType.URL, DataType.EMAIL, DataType.JSON})
"""Types whose values a model writes where the column has a prompt."""

_UNFORMED = frozenset({DataType.TEXT, DataType.URL, DataType.JSON, DataType.ENUM})
"""Types that say nothing of what a value looks like."""


def to_shape(column: ColumnSpec) -> ColumnShape:
    """What the synthesizer is told of a column."""
    rules = column.rules
    return ColumnShape(
        name=column.name,
        data_type=rules.data_type,
        options=rules.options,
        minimum=rules.minimum,
        maximum=rules.maximum,
        pattern=rules.pattern,
        # A column of options that holds nothing yet is drawn from them, not left empty.
        examples=_read_examples(column) or rules.options,
    )


def _read_examples(column: ColumnSpec) -> tuple[str, ...]:
    """The outputs of the column's examples that are values of it."""
    found: list[str] = []
    for _, output in column.examples:
        try:
            text = coerce(output, column.rules)
        except ValueError:
            continue
        if text is not None:
            found.append(text)
    return tuple(dict.fromkeys(found))


def is_writable(column: ColumnSpec) -> bool:
    """Whether a model, where there is one, writes the column rather than the synthesizer."""
    return bool(column.prompt) and column.rules.data_type in _WRITTEN


def is_formless(column: ColumnSpec, known: Sequence[str | None]) -> bool:
    """Whether nothing tells what a value of the column looks like: only a model can write one.

    `known` are the texts that rows have in it.
    """
    shape = to_shape(column)
    return (
        column.rules.data_type in _UNFORMED
        and not (shape.options or shape.pattern or shape.examples)
        and not any(text is not None for text in known)
    )
