"""What always holds between columns: one says another, orders, sums and products.

Only what the rows show beyond chance is taken, and then kept in every row that is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from gridmill.providers.synthesizer.arrays import Flags, Floats, Ints
from gridmill.providers.synthesizer.columns import AmountColumn, Column
from gridmill.providers.synthesizer.scales import NumberScale

_MIN_EVIDENCE = 12.0
"""Surprises, in units of "another row would have had another value", that make a rule."""

_MIN_ROWS = 12
_MAX_NUMBERS = 14
_MAX_PARTS = 3
_PROBE_ROWS = 40
_CLOSE_GAP = 0.5
_MOST_DISTINCT = 0.8
_EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Determinant:
    """Every value of the column `source` goes with one value of another.

    `donors[i]` is a row in which the source has the state `keys[i]`; keys ascend.
    """

    source: int
    keys: Floats
    donors: Ints

    def find(self, state: Floats) -> tuple[Ints, Flags]:
        """A row for each state of the source, and where there is none (empty, or a value not seen)."""
        places = np.clip(np.searchsorted(self.keys, state), 0, len(self.keys) - 1)
        return self.donors[places], self.keys[places] != state


@dataclass(frozen=True, slots=True)
class Total:
    """The column `total` is the sum (or the product) of the columns `parts`."""

    total: int
    parts: tuple[int, ...]
    is_product: bool = False

    def apply(self, states: Mapping[int, Floats], units: Mapping[int, float]) -> Floats:
        """The state of the total from its parts; `NaN` where one is empty."""
        values = [states[part][:, 0] * units[part] for part in self.parts]
        result = np.prod(values, axis=0) if self.is_product else np.sum(values, axis=0)
        return np.rint(result / units[self.total]).reshape(-1, 1)


@dataclass(frozen=True, slots=True)
class Order:
    """Where both are filled, the column `low` is at most the column `high`.

    `is_close` says that the distance between them varies less than half as much as they do.
    """

    low: int
    high: int
    is_close: bool


def find_determinants(columns: Mapping[int, Column]) -> dict[int, Determinant]:
    """For each column that another one says: which, the one with the fewest values.

    Of two that say each other the first is drawn. A column whose values mostly differ says
    nothing, as does one that would be said by one of its own dependants.
    """
    groups = {
        number: column.known[:, 0]
        for number, column in columns.items()
        if column.is_category or (isinstance(column, AmountColumn) and column.is_discrete)
    }
    found: dict[int, Determinant] = {}
    widths = {number: len(np.unique(known[~np.isnan(known)])) for number, known in groups.items()}
    for target, column in columns.items():
        sources = [
            source
            for source, known in groups.items()
            if source != target
            and widths[source] <= _MOST_DISTINCT * np.count_nonzero(~np.isnan(known))
            and not _leads_to(found, source, target)
            and _says(known, column.known[:, 0])
            and not (source > target and target in groups and _says(groups[target], known))
        ]
        if sources:
            source = min(sources, key=lambda number: (widths[number], number))
            keys, donors = np.unique(groups[source], return_index=True)
            is_known = ~np.isnan(keys)
            found[target] = Determinant(source, keys[is_known], donors[is_known].astype(np.int64))
    return found


def _leads_to(found: Mapping[int, Determinant], source: int, target: int) -> bool:
    """Whether `source` is itself said, over any number of steps, by `target`."""
    while source in found:
        source = found[source].source
        if source == target:
            return True
    return False


def _says(source: Floats, target: Floats) -> bool:
    """Whether equal sources have equal targets, in more rows than chance would bring."""
    use = ~np.isnan(source)
    keys, values = source[use], np.where(np.isnan(target[use]), -np.inf, target[use])
    if len(keys) < _MIN_ROWS:
        return False
    order = np.lexsort((values, keys))
    keys, values = keys[order], values[order]
    same = keys[1:] == keys[:-1]
    if np.any(same & (values[1:] != values[:-1])):
        return False
    _, counts = np.unique(values, return_counts=True)
    differing = 1.0 - float(np.sum((counts / len(values)) ** 2))
    return int(np.count_nonzero(same)) * differing >= _MIN_EVIDENCE


def find_totals(columns: Mapping[int, Column]) -> list[Total]:
    """Sums of two or three and products of two columns of numbers that hold in every row."""
    amounts = {
        number: column
        for number, column in columns.items()
        if isinstance(column, AmountColumn)
        and isinstance(column.scale, NumberScale)
        and not column.is_constant
    }
    if len(amounts) > _MAX_NUMBERS:
        return []
    units = {number: column.scale.unit for number, column in amounts.items()}
    numbers = {number: column.known[:, 0] * units[number] for number, column in amounts.items()}
    found: list[Total] = []
    for total, values in numbers.items():
        others = [number for number in numbers if number != total]
        for size in range(2, _MAX_PARTS + 1):
            for parts in combinations(others, size):
                for is_product in (False, True) if size == 2 else (False,):
                    rule = Total(total, parts, is_product)
                    if _is_new(found, rule) and _adds_up(rule, values, numbers, 0.5 * units[total]):
                        found.append(rule)
    return found


def _is_new(found: Sequence[Total], rule: Total) -> bool:
    """One rule a total, and none that is another one turned round."""
    members = {rule.total, *rule.parts}
    return not any(
        other.total == rule.total or members <= {other.total, *other.parts} for other in found
    ) and not any(other.total in rule.parts and rule.total in other.parts for other in found)


def _adds_up(rule: Total, total: Floats, numbers: Mapping[int, Floats], tolerance: float) -> bool:
    for rows in (slice(_PROBE_ROWS), slice(None)):
        parts = [numbers[part][rows] for part in rule.parts]
        result = np.prod(parts, axis=0) if rule.is_product else np.sum(parts, axis=0)
        error = np.abs(result - total[rows])
        use = ~np.isnan(error)
        slack = _EXACT * np.maximum(np.abs(total[rows]), 1.0)
        if np.any(error[use] > tolerance * 1.000001 + slack[use]):
            return False
    filled = [numbers[part][use] for part in rule.parts]
    # With a part that never matters (all zero, all one) the rule would be another one.
    idle = 1.0 if rule.is_product else 0.0
    if any(np.count_nonzero(part != idle) < _MIN_ROWS for part in filled):
        return False
    return len(np.unique(total[use])) >= _MIN_ROWS // 2


def find_orders(columns: Mapping[int, Column]) -> list[Order]:
    """Pairs of amounts of one kind that always come in one order though their ranges overlap."""
    amounts = {
        number: column
        for number, column in columns.items()
        if isinstance(column, AmountColumn) and not column.is_constant
    }
    found: list[Order] = []
    for low, high in combinations(amounts, 2):
        for first, second in ((low, high), (high, low)):
            order = _compare(first, amounts[first], second, amounts[second])
            if order is not None:
                found.append(order)
                break
    return found


def _compare(low: int, first: AmountColumn, high: int, second: AmountColumn) -> Order | None:
    if type(first.scale) is not type(second.scale):
        return None
    lower, upper = first.known[:, 0] * first.scale.unit, second.known[:, 0] * second.scale.unit
    use = ~np.isnan(lower + upper)
    lower, upper = lower[use], upper[use]
    if len(lower) < _MIN_ROWS or np.any(lower > upper):
        return None
    # How often the order would be broken if the values were paired at random.
    broken = np.searchsorted(np.sort(upper), lower, side="left").mean() / len(upper)
    if broken * len(lower) < _MIN_EVIDENCE:
        return None
    is_close = float(np.std(upper - lower)) < _CLOSE_GAP * float(np.std(upper))
    return Order(low, high, is_close)
