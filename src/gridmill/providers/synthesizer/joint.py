"""The joint distribution of a table's learnt columns: trees in a sequence, and what always holds."""

from collections.abc import Mapping

import numpy as np

from gridmill.kit.canonical import DataType
from gridmill.providers.synthesizer.arrays import Flags, Floats
from gridmill.providers.synthesizer.columns import AmountColumn, Column
from gridmill.providers.synthesizer.fitting import Parts
from gridmill.providers.synthesizer.model import ColumnShape
from gridmill.providers.synthesizer.relations import (
    Determinant,
    Order,
    find_determinants,
    find_orders,
    find_totals,
)
from gridmill.providers.synthesizer.scales import NumberScale
from gridmill.providers.synthesizer.trees import ColumnTree

_SOURCES = 4
_GAP = ColumnShape("", DataType.INTEGER, minimum=0)


class Joint:
    """Draws the columns that are learnt and those that are recombined, once its trees are grown.

    `known` holds the states of the rows that were learnt from, rows x parts of all columns.
    """

    def __init__(self, parts: Parts) -> None:
        self._columns = parts.learnt
        self._texts = parts.texts
        self._determinants = find_determinants(self._columns)
        self._totals = find_totals(self._columns)
        self._orders = find_orders(self._columns)
        self._units = {
            number: column.scale.unit
            for number, column in self._columns.items()
            if isinstance(column, AmountColumn)
        }
        self._gaps = self._find_gaps()
        self._sequence = self._sort()
        self._trees: dict[int, ColumnTree] = {}
        columns = [self._columns[number] for number in self._sequence]
        self.known: Floats = np.hstack([np.empty((parts.rows, 0)), *(c.known for c in columns)])
        widths = [column.known.shape[1] for column in columns]
        flags = np.array([column.is_category for column in columns], dtype=np.bool_)
        self.is_category: Flags = np.repeat(flags, widths)

    def grow(self, leaf: int, seed: int) -> None:
        """Grow the trees. `leaf` is the least number of donors that every value is drawn from."""
        before: list[Column] = []
        for number in self._sequence:
            column = self._columns[number]
            drawn = self._gaps[number][1] if number in self._gaps else column
            self._trees[number] = ColumnTree(drawn, before, leaf, seed)
            before.append(column)
        for number, text in self._texts.items():
            self._trees[number] = ColumnTree(text, before, leaf, seed)

    def draw(
        self, count: int, random: np.random.Generator, *, is_loose: bool = False
    ) -> dict[int, Floats]:
        """The states of `count` new rows by the column's number.

        Loose draws take each column by itself, whatever the trees say.
        """
        states: dict[int, Floats] = {}
        for number in self._sequence:
            given = None if is_loose else list(states.values())
            states[number] = self._draw_column(number, states, given, count, random)
        for rule in self._totals:
            total = rule.apply(states, self._units)
            is_empty = np.isnan(states[rule.total]) | np.isnan(total)
            states[rule.total] = np.where(is_empty, states[rule.total], total)
        return states

    def stack(self, states: Mapping[int, Floats], count: int) -> Floats:
        """States as one table with the columns of `known`."""
        return np.hstack([np.empty((count, 0)), *(states[number] for number in self._sequence)])

    def write(
        self, states: Mapping[int, Floats], count: int, random: np.random.Generator
    ) -> dict[int, list[str | None]]:
        """The texts of drawn states, and recombined texts that go with them."""
        texts = {number: self._columns[number].write(state) for number, state in states.items()}
        for number, column in self._texts.items():
            donors = self._trees[number].draw(list(states.values()), count, random, _SOURCES)
            texts[number] = column.mix(donors, random)
        return texts

    def find_broken(self, states: Mapping[int, Floats], count: int) -> Flags:
        """Which rows break an order that always holds."""
        is_broken = np.zeros(count, dtype=np.bool_)
        for order in self._orders:
            low = states[order.low][:, 0] * self._units[order.low]
            high = states[order.high][:, 0] * self._units[order.high]
            is_broken |= low > high
        return is_broken

    def _draw_column(
        self,
        number: int,
        states: Mapping[int, Floats],
        given: list[Floats] | None,
        count: int,
        random: np.random.Generator,
    ) -> Floats:
        column = self._columns[number]
        donors = self._trees[number].draw(given, count, random)[:, 0]
        if number in self._gaps:
            order, gaps = self._gaps[number]
            ratio = self._units[order.low] / self._units[number]
            state = np.rint(states[order.low] * ratio) + gaps.draw(donors, random)
            return np.clip(state, np.nanmin(column.known), np.nanmax(column.known))
        state = column.draw(donors, random)
        rule = self._determinants.get(number)
        if rule is None:
            return state
        said, is_unknown = rule.find(states[rule.source][:, 0])
        return np.where(is_unknown[:, None], state, column.known[said])

    def _find_gaps(self) -> dict[int, tuple[Order, AmountColumn]]:
        """Columns that are drawn as their distance from another one, the nearest below them."""
        found: dict[int, tuple[Order, AmountColumn]] = {}
        spans: dict[int, float] = {}
        fixed = {rule.total for rule in self._totals} | self._determinants.keys()
        for order in self._orders:
            low, high = self._columns[order.low].known, self._columns[order.high].known
            if not order.is_close or order.high in fixed or np.any(np.isnan(low) & ~np.isnan(high)):
                continue
            ratio = self._units[order.low] / self._units[order.high]
            gaps = high[:, 0] - np.rint(low[:, 0] * ratio)
            span = float(np.nanmean(gaps))
            if span < spans.get(order.high, np.inf):
                spans[order.high] = span
                found[order.high] = order, AmountColumn(gaps, NumberScale(), _GAP)
        return found

    def _sort(self) -> list[int]:
        """The columns in their own order, but each after the one that it is drawn from."""
        sequence: list[int] = []

        def place(number: int) -> None:
            if number in sequence:
                return
            rule: Determinant | None = self._determinants.get(number)
            if rule is not None:
                place(rule.source)
            if number in self._gaps:
                place(self._gaps[number][0].low)
            sequence.append(number)

        for number in self._columns:
            place(number)
        return sequence
