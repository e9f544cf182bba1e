"""A column as the trees see it: what is learnt of its values, and values made from donors.

A *donor* is a row that was learnt from; the trees choose one, from a leaf, for each row to be made.
What a column draws from donors is its *state*: codes of categories, steps of amounts, degrees of
places; empty is `NaN`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np

from gridmill.kit.values import DataType, ValueRules, parse_wire
from gridmill.providers.synthesizer.arrays import Floats, Ints
from gridmill.providers.synthesizer.model import ColumnShape
from gridmill.providers.synthesizer.scales import NumberScale, Scale, find_step, limit_steps

MAX_CLASSES = 30
"""Categories that a tree tells apart, the most frequent ones; the rest counts as one."""

_JITTER = 0.005
"""How far a drawn amount strays from its donor, as a share of the ranks of all values."""

_DISCRETE = 0.1
"""Amounts with fewer distinct values than this share of all are drawn as they are, as in a list."""

_PLACE = ValueRules(DataType.LOCATION)


class Column(Protocol):
    """A column that trees learn."""

    @property
    def known(self) -> Floats:
        """The state of the rows that were learnt from, one row each, a column a part."""
        ...

    @property
    def targets(self) -> Floats:
        """What a tree for this column tries to tell apart: rows x features, each about 0 to 1."""
        ...

    @property
    def is_category(self) -> bool:
        """Whether the state is a code without an order."""
        ...

    def draw(self, donors: Ints, random: np.random.Generator) -> Floats:
        """The state of new rows, one donor each."""
        ...

    def write(self, state: Floats) -> list[str | None]:
        """The texts of a state."""
        ...


class CategoryColumn:
    """Values drawn as they are: categories, truth values, numbers that are names."""

    is_category = True

    def __init__(self, texts: Sequence[str | None], vocabulary: Sequence[str] = ()) -> None:
        counts = Counter(text for text in texts if text is not None)
        frequent = sorted(counts, key=lambda text: (-counts[text], text))
        self.vocabulary = list(dict.fromkeys([*frequent, *vocabulary]))
        codes = {text: float(code) for code, text in enumerate(self.vocabulary)}
        self.known: Floats = np.array(
            [np.nan if text is None else codes[text] for text in texts], dtype=np.float64
        ).reshape(-1, 1)

    @property
    def targets(self) -> Floats:
        """One column for each of the most frequent categories, one for empty."""
        codes = self.known[:, 0]
        classes = min(len(self.vocabulary), MAX_CLASSES)
        table = codes[:, None] == np.arange(classes)[None, :]
        return np.column_stack([table, np.isnan(codes)]).astype(np.float64)

    def draw(self, donors: Ints, random: np.random.Generator) -> Floats:  # noqa: ARG002 (as the protocol says)
        """The donors' categories."""
        return self.known[donors]

    def write(self, state: Floats) -> list[str | None]:
        """The categories' texts."""
        return [None if np.isnan(code) else self.vocabulary[int(code)] for code in state[:, 0]]


class AmountColumn:
    """Numbers, dates and datetimes on a scale.

    A donor's value is moved by a few ranks and read off the line through all sorted values
    (smoothed bootstrap of the quantile function): the distribution stays, spikes stay, and a
    value that occurs once is not given away.
    """

    is_category = False

    def __init__(self, known: Floats, scale: Scale, shape: ColumnShape) -> None:
        self.scale = scale
        self.known = known.reshape(-1, 1)
        filled = [int(step) for step in known if not np.isnan(step)]
        self._sorted: Floats = np.sort(np.array(filled, dtype=np.float64))
        self._step = find_step(filled)
        self.is_discrete = len(set(filled)) < _DISCRETE * len(filled)
        self.is_constant = len(set(filled)) < 2
        self._limits = limit_steps(scale, shape.minimum, shape.maximum)
        self._is_widened = len(filled) == 1
        if self._is_widened:
            self._sorted = self._widen(float(filled[0]), shape)

    @classmethod
    def read(cls, texts: Sequence[str | None], scale: Scale, shape: ColumnShape) -> "AmountColumn":
        """The column of these texts, which lie on `scale`."""
        steps = [np.nan if text is None else scale.read(text) for text in texts]
        return cls(np.array(steps, dtype=np.float64), scale, shape)

    def _widen(self, only: float, shape: ColumnShape) -> Floats:
        """What may lie around a single value: its bounds where it has both, else half as much."""
        low, high = self._limits
        if shape.minimum is None or shape.maximum is None:
            reach = 30.0 * 86_400 / self.scale.unit if self.scale.unit < 1 else 30.0
            reach = 0.5 * abs(only) if isinstance(self.scale, NumberScale) else reach
            low, high = max(low, round(only - reach)), min(high, round(only + reach))
        return np.linspace(low, high, 21)

    @property
    def targets(self) -> Floats:
        """The rank of the value among all, and whether it is empty."""
        values = self.known[:, 0]
        count = max(1, len(self._sorted))
        middle = self._rank(values, "left") + self._rank(values, "right")
        ranks = np.where(np.isnan(values), 0.5, middle / (2.0 * count))
        return np.column_stack([ranks, np.isnan(values)]).astype(np.float64)

    def _rank(self, values: Floats, side: str) -> Floats:
        return np.searchsorted(
            self._sorted, values, side="left" if side == "left" else "right"
        ).astype(np.float64)

    def draw(self, donors: Ints, random: np.random.Generator) -> Floats:
        """The donors' values, moved by up to half a percent of the ranks."""
        values = self.known[donors, 0]
        count = len(self._sorted)
        if count == 0:
            return values.reshape(-1, 1)
        low, high = self._rank(values, "left"), self._rank(values, "right")
        if self._is_widened:
            low, high = np.zeros(len(values)), np.full(len(values), float(count))
        reach = max(1.0, _JITTER * count)
        ranks = low + random.random(len(values)) * np.maximum(high - low, 1.0) - 0.5
        ranks = ranks + random.uniform(-reach, reach, len(values))
        ranks = np.where(ranks < 0, -ranks, ranks)
        ranks = np.clip(np.where(ranks > count - 1, 2 * (count - 1) - ranks, ranks), 0, count - 1)
        if self.is_discrete:
            moved = self._sorted[np.rint(ranks).astype(np.int64)]
        else:
            moved = np.interp(ranks, np.arange(count), self._sorted)
            start = self._sorted[0]
            moved = start + np.rint((moved - start) / self._step) * self._step
        moved = np.clip(np.rint(moved), *self._limits)
        return np.where(np.isnan(values), np.nan, moved).reshape(-1, 1)

    def write(self, state: Floats) -> list[str | None]:
        """The texts on the scale."""
        write = self.scale.write
        return [None if np.isnan(step) else write(int(step)) for step in state[:, 0]]


class PlaceColumn:
    """Locations: a donor's place, moved towards another place of the same neighbourhood."""

    is_category = False

    def __init__(self, texts: Sequence[str | None]) -> None:
        places = [(np.nan, np.nan) if text is None else _read_place(text) for text in texts]
        self.known: Floats = np.array(places, dtype=np.float64).reshape(-1, 2)
        filled = self.known[~np.isnan(self.known[:, 0])]
        self._low = filled.min(axis=0) if len(filled) else np.zeros(2)
        self._spread = np.maximum(np.ptp(filled, axis=0) if len(filled) else np.ones(2), 1e-9)
        self._reach = self._measure_reach(filled)

    @staticmethod
    def _measure_reach(filled: Floats) -> float:
        """Degrees to the nearest other place, in the middle over (a sample of) all places."""
        distinct = np.unique(filled, axis=0)
        if len(distinct) < 2:
            return 0.01
        sample = distinct[:: max(1, len(distinct) // 500)]
        from sklearn.neighbors import NearestNeighbors

        distances, _ = NearestNeighbors(n_neighbors=2).fit(distinct).kneighbors(sample)
        return float(np.median(distances[:, 1]))

    @property
    def targets(self) -> Floats:
        """Latitude, longitude, and whether it is empty."""
        is_empty = np.isnan(self.known[:, :1])
        scaled = np.where(is_empty, 0.5, (self.known - self._low) / self._spread)
        return np.hstack([scaled, is_empty]).astype(np.float64)

    def draw(self, donors: Ints, random: np.random.Generator) -> Floats:
        """The donors' places, each moved by about as far as places lie apart."""
        moved = self.known[donors] + random.normal(0.0, self._reach, (len(donors), 2))
        return np.round(np.clip(moved, (-90.0, -180.0), (90.0, 180.0)), 6)

    def write(self, state: Floats) -> list[str | None]:
        """The places as canonical texts."""
        return [
            None if np.isnan(lat) else parse_wire({"lat": float(lat), "lon": float(lon)}, _PLACE)
            for lat, lon in state
        ]


def _read_place(text: str) -> tuple[float, float]:
    place = msgspec.json.decode(text, type=dict[str, float])
    return place["lat"], place["lon"]
