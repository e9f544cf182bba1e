"""Cells that go with the rest of their row: one tree for a column on the columns that are given.

As in a fitted table, a row is sent down the tree and a row of its leaf is its donor; here what was
given is never drawn, so each set of columns to fill has trees of its own. What always holds in the
rows that are known (one column says another, sums, orders) holds for what is filled.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gridmill.providers.synthesizer.arrays import Floats
from gridmill.providers.synthesizer.columns import (
    AmountColumn,
    CategoryColumn,
    Column,
    PlaceColumn,
)
from gridmill.providers.synthesizer.fitting import Parts, take_apart
from gridmill.providers.synthesizer.invented import Invented, is_valid
from gridmill.providers.synthesizer.model import ColumnShape, Drawn, Row
from gridmill.providers.synthesizer.relations import (
    Determinant,
    Order,
    Total,
    find_determinants,
    find_orders,
    find_totals,
)
from gridmill.providers.synthesizer.trees import ColumnTree

_LEAF = 5
_TRIES = 8
_SOURCES = 4
_MAX_FILLERS = 64

Texts = list[str | None]


class Completer:
    """Fills columns of rows. The same shapes, rows and seed fill the same cells alike."""

    def __init__(self, shapes: Sequence[ColumnShape], rows: Sequence[Row], seed: int) -> None:
        self._shapes = tuple(shapes)
        self._rows = tuple(rows)
        self._seed = seed % 2**64
        self._fillers: OrderedDict[tuple[int, frozenset[int]], _Filler] = OrderedDict()

    def complete(
        self, places: Sequence[int], rows: Sequence[Row], wanted: Sequence[Sequence[int]]
    ) -> Drawn:
        """The rows with the columns `wanted` of each drawn anew, one after another.

        `places` are numbers that tell the rows apart. A cell stays empty when no value goes with
        its row.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, targets in enumerate(wanted):
            groups.setdefault(tuple(sorted(set(targets))), []).append(number)
        made = [list(row) for row in rows]
        recombined: set[str] = set()
        for targets, members in groups.items():
            given = frozenset(range(len(self._shapes))) - set(targets)
            for target in targets:
                filler = self._find(target, given)
                texts = filler.fill([places[n] for n in members], [made[n] for n in members])
                for number, text in zip(members, texts, strict=True):
                    made[number][target] = text
                if filler.is_recombined:
                    recombined.add(self._shapes[target].name)
                given |= {target}
        return Drawn([tuple(row) for row in made], recombined=frozenset(recombined))

    def _find(self, target: int, given: frozenset[int]) -> "_Filler":
        key = (target, given)
        if key not in self._fillers:
            taught = [row for row in self._rows if row[target] is not None]
            self._fillers[key] = _Filler(self._shapes, taught, self._seed, target, sorted(given))
            if len(self._fillers) > _MAX_FILLERS:
                self._fillers.popitem(last=False)
        self._fillers.move_to_end(key)
        return self._fillers[key]


class _Filler:
    """Fills one column from the columns `given`; `rows` are those in which it is known."""

    def __init__(
        self,
        shapes: Sequence[ColumnShape],
        rows: Sequence[Row],
        seed: int,
        target: int,
        given: Sequence[int],
    ) -> None:
        self._shape = shapes[target]
        self._target = target
        self._seed = seed
        parts = take_apart(shapes, rows, seed)
        self._given = {n: parts.learnt[n] for n in given if n in parts.learnt}
        self._draw, self.is_recombined = self._choose(parts)

    def _choose(self, parts: Parts) -> "tuple[_Draw, bool]":
        target, shape = self._target, self._shape
        if target in parts.keys:
            stream = parts.keys[target].stream
            size = max(1, stream.capacity)
            return (
                lambda places, *_: [
                    stream.give(place % size) if stream.capacity else None for place in places
                ],
                False,
            )
        if target in parts.learnt:
            rules = _Rules(parts.learnt[target], self._given)
            tree = self._grow(parts.learnt[target])
            return lambda places, states, random: rules.draw(
                tree, states, len(places), random
            ), False
        if target in parts.texts:
            column = parts.texts[target]
            tree = self._grow(column)
            return (
                lambda places, states, random: column.mix(
                    tree.draw(list(states.values()), len(places), random, _SOURCES), random
                ),
                True,
            )
        invented = Invented(shape)
        return lambda places, _, random: invented.draw(len(places), random), invented.is_recombined

    def _grow(self, column: Column) -> ColumnTree:
        return ColumnTree(column, list(self._given.values()), _LEAF, self._seed % 2**32)

    def fill(self, places: Sequence[int], rows: Sequence[Sequence[str | None]]) -> Texts:
        """A text for each row; `None` where no try brought a valid one."""
        random = np.random.default_rng([self._seed, self._target, *places[:1]])
        made: Texts = [None] * len(rows)
        pending = list(range(len(rows)))
        for _ in range(_TRIES):
            if not pending:
                break
            states = {
                number: encode(column, [rows[at][number] for at in pending])
                for number, column in self._given.items()
            }
            for at, text in zip(
                pending, self._draw([places[at] for at in pending], states, random), strict=True
            ):
                made[at] = text if text is not None and is_valid(text, self._shape) else None
            pending = [at for at in pending if made[at] is None]
        return made


_Draw = Callable[[Sequence[int], Mapping[int, Floats], np.random.Generator], Texts]


class _Rules:
    """What always holds between a column and those that are given.

    Columns are numbered anew, the target last: of two that say each other the given one says.
    """

    def __init__(self, column: Column, given: Mapping[int, Column]) -> None:
        self._column = column
        self._numbers = list(given)
        last = len(given)
        columns: dict[int, Column] = {**dict(enumerate(given.values())), last: column}
        self._last = last
        self._determinant: Determinant | None = find_determinants(columns).get(last)
        self._total: Total | None = next(
            (rule for rule in find_totals(columns) if last in {rule.total, *rule.parts}), None
        )
        self._orders: list[Order] = [
            rule for rule in find_orders(columns) if last in {rule.low, rule.high}
        ]
        self._units = {
            number: one.scale.unit
            for number, one in columns.items()
            if isinstance(one, AmountColumn)
        }

    def draw(
        self,
        tree: ColumnTree,
        states: Mapping[int, Floats],
        count: int,
        random: np.random.Generator,
    ) -> Texts:
        """`count` texts; `None` where an order would be broken."""
        renumbered = {at: states[number] for at, number in enumerate(self._numbers)}
        donors = tree.draw(list(states.values()), count, random)[:, 0]
        state = self._column.draw(donors, random)
        if self._determinant is not None:
            source = renumbered[self._determinant.source][:, 0]
            said, is_unknown = self._determinant.find(source)
            state = np.where(is_unknown[:, None], state, self._column.known[said])
        if self._total is not None:
            exact = self._solve(self._total, renumbered)
            state = np.where(np.isfinite(exact), exact, state)
        texts = self._column.write(state)
        return [
            None if broken else text
            for text, broken in zip(texts, self._find_broken(renumbered, state), strict=True)
        ]

    def _solve(self, rule: Total, states: Mapping[int, Floats]) -> Floats:
        """The target from the rest of a sum or product; `NaN` where that is not known."""
        if rule.total == self._last:
            return rule.apply(states, self._units)
        others = [part for part in rule.parts if part != self._last]
        values = [states[part][:, 0] * self._units[part] for part in others]
        total = states[rule.total][:, 0] * self._units[rule.total]
        with np.errstate(divide="ignore", invalid="ignore"):
            rest = total / np.prod(values, axis=0) if rule.is_product else total - np.sum(values, 0)
        return np.rint(rest / self._units[self._last]).reshape(-1, 1)

    def _find_broken(self, states: Mapping[int, Floats], state: Floats) -> list[bool]:
        known = {**states, self._last: state}
        is_broken = np.zeros(len(state), dtype=np.bool_)
        for rule in self._orders:
            low = known[rule.low][:, 0] * self._units[rule.low]
            high = known[rule.high][:, 0] * self._units[rule.high]
            is_broken |= low > high
        return is_broken.tolist()


def encode(column: Column, texts: Sequence[str | None]) -> Floats:
    """The state of given texts; a text that the column does not know counts as empty."""
    nothing = [np.nan] * column.known.shape[1]
    return np.array(
        [nothing if text is None else _encode_one(column, text, nothing) for text in texts],
        dtype=np.float64,
    ).reshape(-1, len(nothing))


def _encode_one(column: Column, text: str, nothing: Sequence[float]) -> Sequence[float]:
    try:
        if isinstance(column, CategoryColumn):
            return [float(column.vocabulary.index(text))]
        if isinstance(column, AmountColumn):
            return [float(column.scale.read(text))]
        if isinstance(column, PlaceColumn):
            return PlaceColumn([text]).known[0].tolist()
    except (ValueError, ArithmeticError):
        pass
    return nothing
