"""Numbers that follow from numbers by a formula: ridge regressions on sums, products and pairs.

A table of thirty rows shows that gross = net + tax, or total = quantity × price, long before trees
can tell; where no formula holds, the left-out rows say so.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.columns import Scaler

_MAX_PAIRED = 6

Floats = NDArray[np.float64]


class Formula:
    """A ridge regression.

    kind "sum": on the columns; "pairs": and on the products of any two numbers; "product": on the
    logarithms of what is positive, giving the target's logarithm. `codes` are the positions of coded columns in the vectors, `width` how many columns are read.
    """

    def __init__(self, kind: str, penalty: float, codes: Sequence[int], width: int) -> None:
        self._kind = kind
        self._penalty = penalty
        self._codes = list(codes)
        self._width = width
        self._logged: list[int] = []

    def fit(self, vectors: Floats, values: Floats) -> "Formula":
        """Fit to vectors (n × columns, NaN for a hole) and values (n)."""
        vectors = vectors[:, : self._width]
        if self._kind == "product":
            positive = np.nan_to_num(vectors, nan=1.0).min(axis=0) > 0
            positive[self._codes] = False
            self._logged = np.flatnonzero(positive).tolist()
        self._scaler = Scaler(self._take_logs(vectors), self._codes)
        target = np.log(values) if self._kind == "product" else values
        self._mean = float(target.mean())
        design = self._expand(vectors)
        self._centre: Floats = design.mean(axis=0)
        design = design - self._centre
        square = design.T @ design + self._penalty * np.eye(design.shape[1])
        weights = np.linalg.solve(square, design.T @ (target - self._mean))
        self._weights: Floats = np.asarray(weights, dtype=np.float64)
        return self

    def predict(self, vectors: Floats) -> Floats:
        """The values (n) of vectors."""
        design = self._expand(vectors[:, : self._width]) - self._centre
        raw = design @ self._weights + self._mean
        return np.exp(np.clip(raw, -50.0, 50.0)) if self._kind == "product" else raw

    def _take_logs(self, vectors: Floats) -> Floats:
        if not self._logged:
            return vectors
        logs = vectors.copy()
        logs[:, self._logged] = np.log(np.maximum(vectors[:, self._logged], 1e-9))
        return logs

    def _expand(self, vectors: Floats) -> Floats:
        scaled = self._scaler.transform(self._take_logs(vectors))
        if self._kind != "pairs":
            return scaled
        numbers = min(self._width - len(self._codes), _MAX_PAIRED)
        pairs = [scaled[:, i] * scaled[:, j] for i, j in combinations(range(numbers), 2)]
        squares = [scaled[:, i] ** 2 for i in range(numbers)]
        return np.column_stack([scaled, *pairs, *squares])


def list_formulas(width: int, *, positive: bool) -> list[tuple[str, float]]:
    """Kind and penalty of the formulas worth trying; none without a column to read.

    `positive`: all values are over a 0 that means nothing at all, so that products make sense.
    """
    if width == 0:
        return []
    kinds = ["sum", "pairs", *(["product"] if positive else [])]
    return [(kind, penalty) for kind in kinds for penalty in (1e-6, 1.0)]
