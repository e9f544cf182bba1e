"""A table taken apart: which columns are learnt, recombined, counted on, invented or empty."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gridmill.kit.canonical import DataType
from gridmill.providers.synthesizer.columns import (
    AmountColumn,
    CategoryColumn,
    Column,
    PlaceColumn,
)
from gridmill.providers.synthesizer.invented import Invented, is_valid
from gridmill.providers.synthesizer.keys import Chain, is_key, is_named_key, make_stream
from gridmill.providers.synthesizer.model import ColumnShape, Row
from gridmill.providers.synthesizer.scales import find_scale
from gridmill.providers.synthesizer.texts import TextColumn, is_free_text

_AMOUNTS = frozenset({DataType.INTEGER, DataType.NUMBER, DataType.DATE, DataType.DATETIME})


@dataclass(frozen=True, slots=True)
class Key:
    """A column whose values never come twice, and the share of rows that have none."""

    stream: Chain
    missing: float


@dataclass
class Parts:
    """The columns of a table by what is done with them, each by its number."""

    rows: int = 0
    learnt: dict[int, Column] = field(default_factory=dict)
    texts: dict[int, TextColumn] = field(default_factory=dict)
    keys: dict[int, Key] = field(default_factory=dict)
    invented: dict[int, Invented] = field(default_factory=dict)


def take_apart(shapes: Sequence[ColumnShape], rows: Sequence[Row], seed: int) -> Parts:
    """Decide for each column. One without any value stays empty, unless there are no rows."""
    parts = Parts(len(rows))
    for number, shape in enumerate(shapes):
        texts = clean([row[number] for row in rows], shape)
        filled = [text for text in texts if text is not None]
        if is_key(shape, filled, len(rows)):
            missing = 1.0 - len(filled) / len(rows) if filled else 0.0
            stream = make_stream(shape, filled, f"{seed}/{number}")
            parts.keys[number] = Key(stream, missing)
        elif not filled:
            if not rows or shape.examples:
                parts.invented[number] = Invented(shape)
        elif is_free_text(shape, filled):
            parts.texts[number] = TextColumn(shape, texts)
        else:
            parts.learnt[number] = _make_column(shape, texts, filled)
    return parts


def clean(texts: Sequence[str | None], shape: ColumnShape) -> list[str | None]:
    """The texts, those that break the column's own rules left out."""
    verdicts: dict[str | None, bool] = {None: False}
    for text in texts:
        if text not in verdicts:
            verdicts[text] = bool(text) and is_valid(str(text), shape)
    return [text if verdicts[text] else None for text in texts]


def _make_column(shape: ColumnShape, texts: Sequence[str | None], filled: Sequence[str]) -> Column:
    if shape.data_type is DataType.LOCATION and shape.pattern is None:
        return PlaceColumn(texts)
    if shape.data_type in _AMOUNTS and shape.pattern is None:
        is_name = shape.data_type is DataType.INTEGER and is_named_key(shape.name)
        scale = None if is_name else find_scale(shape.data_type, filled)
        if scale is not None:
            return AmountColumn.read(texts, scale, shape)
    return CategoryColumn(texts, shape.options)
