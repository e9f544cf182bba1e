"""The entrance: fit a table, then draw rows of its endless stream, any part of it at any time."""

from collections.abc import Sequence

import numpy as np

from gridmill.kit.canonical import DataType
from gridmill.providers.synthesizer.arrays import Flags
from gridmill.providers.synthesizer.fitting import take_apart
from gridmill.providers.synthesizer.joint import Joint
from gridmill.providers.synthesizer.model import ColumnShape, Drawn, Row
from gridmill.providers.synthesizer.privacy import CopyGuard, NearGuard, grow_apart

__all__ = ["MAX_TRAINING_ROWS", "Synthesizer", "fit"]

MAX_TRAINING_ROWS = 20_000
"""Rows that trees are grown on, evenly from all; copies are refused of every row."""

_BLOCK = 100
"""Rows that are drawn together, whoever asks for which of them."""

_STRICT, _TOLERANT, _LOOSE = 12, 4, 12
"""Tries of a row: without a likeness, then without a copy, then with each column by itself."""

_FORMED = frozenset({DataType.TEXT, DataType.URL, DataType.EMAIL, DataType.PHONE})


def fit(shapes: Sequence[ColumnShape], rows: Sequence[Row], seed: int) -> "Synthesizer":
    """Learn a table. `rows` hold a canonical text or `None` for each of `shapes`; none are needed.

    The same shapes, rows and seed (0 or more) give the same stream. Raises `ValueError` when a row
    has another number of values than there are columns.
    """
    if any(len(row) != len(shapes) for row in rows):
        raise ValueError(f"every row needs {len(shapes)} values, one for each column")
    return Synthesizer(shapes, rows, seed)


class Synthesizer:
    """A fitted table: an endless stream of new rows, each known by its place from 0.

    It can be pickled. What a place holds depends on shapes, rows and seed alone, never on who asked
    for which places before. Where keys end or a place cannot be filled without copying, the stream
    has fewer rows there.
    """

    def __init__(self, shapes: Sequence[ColumnShape], rows: Sequence[Row], seed: int) -> None:
        self._shapes = tuple(shapes)
        self._seed = seed
        step = max(1, -(-len(rows) // MAX_TRAINING_ROWS))
        self._parts = take_apart(shapes, rows[::step], seed)
        self._joint = Joint(self._parts)
        self._near = NearGuard(self._joint.known, self._joint.is_category)
        self.leaf = grow_apart(self._joint, self._near, seed % 2**32)
        self._copies = CopyGuard(rows, list(self._parts.learnt))
        self._capacity, self._ends = self._find_capacity()
        self.recombined = self._list_recombined()

    @property
    def keys(self) -> tuple[int, ...]:
        """The columns in which no value comes twice, by their places."""
        return tuple(self._parts.keys)

    def draw(self, first: int, count: int) -> Drawn:
        """The rows at the places `first` to `first + count - 1`.

        Raises `ValueError` for negative places. `Drawn.message` says why rows are missing.
        """
        if first < 0 or count < 0:
            raise ValueError("places are counted from 0")
        rows: list[Row] = []
        left_out = 0
        end = min(first + count, self._capacity)
        for block in range(first // _BLOCK, -(-end // _BLOCK)):
            start = block * _BLOCK
            made = self._draw_block(block)
            wanted = made[max(0, first - start) : end - start]
            rows += [row for row in wanted if row is not None]
            left_out += sum(row is None for row in wanted)
        return Drawn(rows, self._explain(first + count, left_out), self.recombined)

    def _explain(self, end: int, left_out: int) -> str | None:
        messages: list[str] = []
        if end > self._capacity:
            messages.append(self._ends)
        if left_out:
            messages.append(
                f"{left_out} rows were left out: all that the columns admit there are copies of "
                "rows that exist, or break an order that the columns always keep."
            )
        return " ".join(messages) or None

    def _draw_block(self, block: int) -> list[Row | None]:
        """The rows of a block, `None` for those that no try brought."""
        random = np.random.default_rng([self._seed, block])
        start = block * _BLOCK
        rows: list[Row | None] = [None] * min(_BLOCK, self._capacity - start)
        pending = list(range(len(rows)))
        for attempt in range(_STRICT + _TOLERANT + _LOOSE):
            if not pending:
                break
            made, is_bad = self._draw_rows([start + at for at in pending], random, attempt)
            for at, row, bad in zip(pending, made, is_bad, strict=True):
                rows[at] = None if bad else row
            pending = [at for at, bad in zip(pending, is_bad, strict=True) if bad]
        return rows

    def _draw_rows(
        self, places: Sequence[int], random: np.random.Generator, attempt: int
    ) -> tuple[list[Row], Flags]:
        """A row for each place, and which of them this attempt does not take."""
        count = len(places)
        states = self._joint.draw(count, random, is_loose=attempt >= _STRICT + _TOLERANT)
        texts = self._joint.write(states, count, random)
        for number, invented in self._parts.invented.items():
            texts[number] = invented.draw(count, random)
        for number, key in self._parts.keys.items():
            is_empty = random.random(count) < key.missing
            texts[number] = [
                None if empty else key.stream.give(place)
                for place, empty in zip(places, is_empty, strict=True)
            ]
        nothing: list[str | None] = [None] * count
        columns = [texts.get(number, nothing) for number in range(len(self._shapes))]
        rows: list[Row] = list(zip(*columns, strict=True)) if columns else [()] * count
        is_bad = self._joint.find_broken(states, count) | self._copies.find_copies(rows)
        if attempt < _STRICT:
            is_bad |= self._copies.find_likenesses(rows)
            is_bad |= self._near.find_near(self._joint.stack(states, count))
        return rows, is_bad

    def _find_capacity(self) -> tuple[int, str]:
        capacity, message = 2**62, ""
        for number, key in self._parts.keys.items():
            if key.stream.capacity < capacity:
                capacity = key.stream.capacity
                message = (
                    f"Column “{self._shapes[number].name}” is unique and admits "
                    f"{capacity} more values; give it more options, wider bounds or longer examples."
                )
        return capacity, message

    def _list_recombined(self) -> frozenset[str]:
        numbers = [
            *self._parts.texts,
            *(n for n, invented in self._parts.invented.items() if invented.is_recombined),
            *(n for n in self._parts.keys if self._shapes[n].data_type in _FORMED),
        ]
        return frozenset(self._shapes[number].name for number in numbers)
