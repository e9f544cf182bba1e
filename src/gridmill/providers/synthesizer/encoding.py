"""Two tables as arrays that can be compared: amounts as numbers, everything else as codes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gridmill.kit.canonical import DataType
from gridmill.kit.values import fits
from gridmill.providers.synthesizer.arrays import Floats
from gridmill.providers.synthesizer.keys import is_key, is_named_key
from gridmill.providers.synthesizer.model import ColumnShape
from gridmill.providers.synthesizer.scales import find_scale
from gridmill.providers.synthesizer.texts import is_free_text

_AMOUNTS = frozenset({DataType.INTEGER, DataType.NUMBER, DataType.DATE, DataType.DATETIME})


class Kind(StrEnum):
    """How a column's values compare: by size, as categories, or not at all."""

    AMOUNT = "amount"
    CATEGORY = "category"
    TEXT = "text"
    KEY = "key"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A column of the real and the made table.

    Amounts are in units of their scale, categories codes by falling frequency among the real ones
    (`labels[code]`), `NaN` is empty. Of texts the values are their lengths, of keys there are none.
    """

    shape: ColumnShape
    kind: Kind
    real: Floats
    made: Floats
    labels: tuple[str, ...] = ()


def encode(shape: ColumnShape, real: Sequence[str | None], made: Sequence[str | None]) -> Encoded:
    """Both sides of a column in one code."""
    filled = [text for text in real if text]
    if not filled:
        return Encoded(shape, Kind.EMPTY, _blank(real), _blank(made))
    if is_key(shape, filled, len(real)):
        return Encoded(shape, Kind.KEY, _blank(real), _blank(made))
    if is_free_text(shape, filled):
        sides = [[np.nan if not text else len(text) for text in side] for side in (real, made)]
        return Encoded(shape, Kind.TEXT, np.array(sides[0], float), np.array(sides[1], float))
    is_name = shape.data_type is DataType.INTEGER and is_named_key(shape.name)
    if shape.data_type in _AMOUNTS and not is_name:
        known = [text for text in (*real, *made) if text and fits(text, shape.data_type)]
        scale = find_scale(shape.data_type, known)
        if scale is not None:
            kept = frozenset(known)
            sides = [
                [scale.read(text) * scale.unit if text in kept else np.nan for text in side]
                for side in (real, made)
            ]
            return Encoded(shape, Kind.AMOUNT, np.array(sides[0], float), np.array(sides[1], float))
    counts = Counter(filled)
    labels = sorted(counts, key=lambda text: (-counts[text], text))
    labels += sorted({text for text in made if text} - set(labels))
    codes: dict[str | None, float] = {text: float(code) for code, text in enumerate(labels)}
    sides = [[codes.get(text, np.nan) for text in side] for side in (real, made)]
    return Encoded(
        shape, Kind.CATEGORY, np.array(sides[0], float), np.array(sides[1], float), tuple(labels)
    )


def _blank(side: Sequence[str | None]) -> Floats:
    return np.array([0.0 if text else np.nan for text in side], dtype=np.float64)
