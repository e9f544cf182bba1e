"""Values for a column of which nothing is known but its type, bounds, examples and name."""

from dataclasses import dataclass

import numpy as np

from gridmill.kit.canonical import DataType
from gridmill.kit.values import check_bounds, fits, parse_wire
from gridmill.providers.synthesizer.keys import FIRST_TIMES
from gridmill.providers.synthesizer.model import ColumnShape
from gridmill.providers.synthesizer.scales import NumberScale, Scale, find_scale, limit_steps

_TRIES = 5
_DAYS = 730
_ROOM = 100
_AMOUNTS = frozenset({DataType.INTEGER, DataType.NUMBER, DataType.DATE, DataType.DATETIME})
_FORMED = frozenset({DataType.TEXT, DataType.ENUM, DataType.URL, DataType.EMAIL, DataType.PHONE})
_LOCATION = ColumnShape("", DataType.LOCATION).rules


def is_valid(text: str, shape: ColumnShape) -> bool:
    """Whether a text is a canonical value of the column's type and within its rules."""
    try:
        check_bounds(text, shape.rules)
    except ValueError:
        return False
    return fits(text, shape.data_type)


@dataclass(frozen=True, slots=True)
class _Range:
    """Amounts from `low` to `high` on a scale, none when `low` is above `high`."""

    scale: Scale
    low: int
    high: int

    def draw(self, random: np.random.Generator) -> str | None:
        if self.low > self.high:
            return None
        return self.scale.write(int(random.integers(self.low, self.high + 1)))


class Invented:
    """Draws values by the shape alone, each by itself."""

    def __init__(self, shape: ColumnShape) -> None:
        self._shape = shape
        self._range = _find_range(shape) if shape.data_type in _AMOUNTS else None
        truths = ("true", "false") if shape.data_type is DataType.BOOLEAN else ()
        self._choices = shape.options or shape.examples or truths
        self.is_recombined = not shape.options and shape.data_type in _FORMED

    def draw(self, count: int, random: np.random.Generator) -> list[str | None]:
        """`count` valid texts; `None` where no try brought one."""
        return [self._draw_valid(random) for _ in range(count)]

    def _draw_valid(self, random: np.random.Generator) -> str | None:
        for _ in range(_TRIES):
            text = self._draw_any(random)
            if text is not None and is_valid(text, self._shape):
                return text
        return None

    def _draw_any(self, random: np.random.Generator) -> str | None:
        if self._range is not None:
            return self._range.draw(random)
        if self._choices:
            return self._choices[int(random.integers(0, len(self._choices)))]
        return _draw_formed(self._shape, random)


def _draw_formed(shape: ColumnShape, random: np.random.Generator) -> str | None:
    number = int(random.integers(1, 10**5))
    if shape.data_type is DataType.LOCATION:
        # Evenly over the sphere, but for the ice.
        lat = float(np.degrees(np.arcsin(random.uniform(-0.8, 0.95))))
        place = {"lat": round(lat, 5), "lon": round(float(random.uniform(-180, 180)), 5)}
        return parse_wire(place, _LOCATION)
    if shape.data_type is DataType.JSON:
        return None
    if shape.data_type is DataType.PHONE:
        return f"+1 202 555 01{number % 100:02d}"  # numbers reserved for fiction
    if shape.data_type is DataType.EMAIL:
        return f"user{number}@example.com"
    if shape.data_type is DataType.URL:
        return f"https://example.com/{number}"
    return f"{shape.name.strip() or 'value'} {number}"


def _find_range(shape: ColumnShape) -> _Range | None:
    """Between the bounds, the lowest and highest example, or what is usual; `None`: no scale."""
    begin = FIRST_TIMES.get(shape.data_type, ["1"])
    scale = find_scale(shape.data_type, shape.examples or begin)
    if scale is None:
        return None
    if isinstance(scale, NumberScale) and shape.data_type is DataType.NUMBER:
        scale = _refine(scale, shape)
    known = [scale.read(text) for text in shape.examples or begin]
    low, high = limit_steps(scale, shape.minimum, shape.maximum)
    room = round(_ROOM / scale.unit) if isinstance(scale, NumberScale) else _DAYS
    if shape.data_type is DataType.DATETIME:
        room = round(_DAYS * 86_400 / scale.unit)
    if shape.minimum is None:
        low = max(low, min(known) if min(known) <= high else high - room)
    if shape.maximum is None:
        has_range = len(set(known)) > 1 and max(known) > low
        high = min(high, max(known) if has_range else low + room)
    return _Range(scale, low, high)


def _refine(scale: NumberScale, shape: ColumnShape) -> NumberScale:
    """Decimals enough to write a hundred different values between the bounds, two at least."""
    decimals = scale.decimals if shape.examples else 2
    if shape.minimum is not None and shape.maximum is not None:
        while decimals < 9 and (shape.maximum - shape.minimum) * 10**decimals < _ROOM:
            decimals += 1
    return NumberScale(decimals, scale.pointed)
