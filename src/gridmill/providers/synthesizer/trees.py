"""One tree for each column on the columns before it, as in sequential CART synthesis.

The method is that of Reiter (2005, "Using CART to generate partially synthetic public use
microdata") as in synthpop: grow a regression tree for a column on those drawn before it, send a
new row down the tree, and take a real row of the leaf that it ends in as its donor. The leaf's size
is the privacy control: every value has at least so many possible donors.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gridmill.providers.synthesizer.arrays import Floats, Ints
from gridmill.providers.synthesizer.columns import Column

_PRIOR = 5.0
"""Rows of the overall mean that a category's own mean is mixed with before categories are ordered."""

_MAX_PREDICTORS = 40
_MISSING_BELOW = 1.0


class Predictor:
    """A column as input of one tree: its parts in an order that suits what the tree is for.

    Trees split an order in two. Categories have none, so they are put in that of their mean
    target (Breiman et al. 1984, theorem 4.5: for a single target the best split is found so),
    along the first two principal directions of the means where there are several targets.
    Empty comes before all values.
    """

    def __init__(self, column: Column, targets: Floats) -> None:
        self._scores: Floats | None = None
        known = column.known
        if column.is_category:
            self._scores = _order_categories(known[:, 0], targets)
        else:
            filled = known[~np.isnan(known[:, 0])]
            low = filled.min(axis=0) if len(filled) else np.zeros(known.shape[1])
            high = filled.max(axis=0) if len(filled) else np.ones(known.shape[1])
            self._low, self._spread = low, np.maximum(high - low, 1e-9)

    def transform(self, state: Floats) -> Floats:
        """The features of rows in this state, rows x parts."""
        if self._scores is not None:
            codes = np.where(np.isnan(state[:, 0]), len(self._scores) - 1, state[:, 0])
            return self._scores[codes.astype(np.int64)]
        scaled = (state - self._low) / self._spread
        return np.where(np.isnan(scaled), -_MISSING_BELOW, scaled)


def _order_categories(codes: Floats, targets: Floats) -> Floats:
    """A score in each direction for each code, the last one for empty."""
    empty = int(np.nanmax(codes, initial=-1)) + 1
    places = np.where(np.isnan(codes), empty, codes).astype(np.int64)
    overall = targets.mean(axis=0)
    counts = np.bincount(places, minlength=empty + 1).astype(np.float64)
    sums = np.column_stack(
        [
            np.bincount(places, weights=part - mean, minlength=empty + 1)
            for part, mean in zip(targets.T, overall, strict=True)
        ]
    )
    means = sums / (counts + _PRIOR)[:, None]
    if means.shape[1] == 1:
        return means
    weighted = means * np.sqrt(counts)[:, None]
    _, directions = np.linalg.eigh(weighted.T @ weighted)
    return means @ directions[:, -2:]


class ColumnTree:
    """Chooses donors for one column, given the states of the columns before it."""

    def __init__(self, column: Column, before: Sequence[Column], leaf: int, seed: int) -> None:
        targets = column.targets
        chosen = _choose_predictors(before, targets)
        self._places = chosen
        self._predictors = [Predictor(before[place], targets) for place in chosen]
        self._tree: Any = None
        count = len(targets)
        leaves = np.zeros(count, dtype=np.int64)
        if self._predictors and count >= 2 * leaf:
            from sklearn.tree import DecisionTreeRegressor

            features = self._transform([item.known for item in before])
            grown: Any = DecisionTreeRegressor(min_samples_leaf=leaf, random_state=seed)
            self._tree = grown.fit(features, targets).tree_
            leaves = np.asarray(self._tree.apply(features), dtype=np.int64)
        self._donors: Ints = np.argsort(leaves, kind="stable")
        counts = np.bincount(leaves)
        self._counts: Ints = counts
        self._starts: Ints = np.cumsum(counts) - counts

    def draw(
        self,
        states: Sequence[Floats] | None,
        count: int,
        random: np.random.Generator,
        times: int = 1,
    ) -> Ints:
        """`times` donors of one leaf for each of `count` rows: rows x times.

        Without the states of the columns before, any row may be the donor.
        """
        if states is None:
            return random.integers(0, len(self._donors), (count, times))
        leaves = np.zeros(count, dtype=np.int64)
        if self._tree is not None:
            leaves = np.asarray(self._tree.apply(self._transform(states)), dtype=np.int64)
        within = random.random((count, times)) * self._counts[leaves][:, None]
        return self._donors[self._starts[leaves][:, None] + within.astype(np.int64)]

    def _transform(self, states: Sequence[Floats]) -> Any:
        parts = [
            predictor.transform(states[place])
            for predictor, place in zip(self._predictors, self._places, strict=True)
        ]
        return np.ascontiguousarray(np.hstack(parts), dtype=np.float32)


def _choose_predictors(before: Sequence[Column], targets: Floats) -> list[int]:
    """All columns before, or the forty that are closest to the targets by correlation."""
    if len(before) <= _MAX_PREDICTORS:
        return list(range(len(before)))
    centred = targets - targets.mean(axis=0)
    strengths: list[float] = []
    for column in before:
        parts = Predictor(column, targets).transform(column.known)
        parts = parts - parts.mean(axis=0)
        scale = np.outer(np.linalg.norm(parts, axis=0), np.linalg.norm(centred, axis=0)) + 1e-12
        strengths.append(float(np.abs(parts.T @ centred / scale).max()))
    return sorted(np.argsort(strengths, kind="stable")[-_MAX_PREDICTORS:].tolist())
