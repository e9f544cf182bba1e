"""From opinions to one confidence: a logistic blend, then a calibration on left-out rows.

Every candidate value of a row is a vector of the experts' opinions; the blend gives the
probability that it is the right one. Its weights are the maximum of the likelihood over left-out
rows under a Gaussian prior around hand-set weights, so that three filled rows give something
sensible and three thousand speak for themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

FEATURES = (
    "bias",
    "key_best",
    "key_mean",
    "key_support",
    "key_agreeing",
    "neighbours",
    "text",
    "trees",
    "extract",
    "extract_agreeing",
    "mentioned",
    "meaning",
    "prior",
    "known",
    "nearest",
    "key_lead",
    "text_lead",
    "trees_lead",
    "extract_lead",
    "meaning_lead",
)
"""Shares are log-odds; `…_lead` is the distance to the best other candidate of the row."""

_PRIOR_OPINIONS = (-1, 0.4, 0.3, 0.2, 0.3, 0.15, 0.25, 0.25, 0.5, 0.1, 0.3, 0.25, 0.05, 0.3, 0.1)
_PRIOR_LEADS = (0.15, 0.1, 0.1, 0.15, 0.1)
_PRIOR_WEIGHTS = np.array([*_PRIOR_OPINIONS, *_PRIOR_LEADS], dtype=np.float64)
_PRIOR_PRECISION = 2.0
_STEPS = 25
_FOLDS = 4
MIN_CALIBRATION = 30
"""Left-out rows from which on confidences count as measured; under it the prior weighs most.

Measured with 5, 10 and 20 filled rows of columns of tables that packages carry (decision 20): what
was said with 0.3-0.4 was right in 72 of 585 cells, with 0.4-0.6 in 151 of 387, with 0.6 and more in
1,378 of 2,167.
"""

_BINNED_ROWS = 150
_DOUBTED_ROWS = 8.0
_LINE_PRECISION = np.array([8.0, 1.0])
"""Of the prior of slope and offset: standard deviations 0.35 and 1."""

_BIN_ROWS = 25
_MAX_BINS = 20
_PULL = 2.0


class Blend:
    """Weights of the experts, fitted by Newton's method (iteratively reweighted least squares)."""

    def __init__(self, weights: Matrix | None = None) -> None:
        self.weights = _PRIOR_WEIGHTS.copy() if weights is None else weights

    @classmethod
    def fit(cls, vectors: Matrix, right: Matrix) -> "Blend":
        """Fit to candidate vectors (n × features) and whether each is right (n, 0 or 1)."""
        weights = _PRIOR_WEIGHTS.copy()
        if not len(vectors):
            return cls(weights)
        penalty = np.eye(len(weights)) * _PRIOR_PRECISION
        loss = _measure_loss(weights, vectors, right)
        for _ in range(_STEPS):
            chance = squash(vectors @ weights)
            gradient = vectors.T @ (right - chance) - penalty @ (weights - _PRIOR_WEIGHTS)
            spread = np.maximum(chance * (1 - chance), 1e-6)
            curvature = (vectors * spread[:, None]).T @ vectors + penalty
            step = np.linalg.solve(curvature, gradient)
            # A full step overshoots where the curvature is nearly flat: halve it until it helps.
            size, better = 1.0, _measure_loss(weights + step, vectors, right)
            while better > loss and size > 1e-4:
                size /= 2
                better = _measure_loss(weights + size * step, vectors, right)
            if better > loss - 1e-6 * max(loss, 1.0):
                break
            weights += size * step
            loss = better
        return cls(weights)

    def score(self, vectors: Matrix) -> Matrix:
        """The probability of each candidate."""
        return squash(vectors @ self.weights)


def squash(scores: Matrix) -> Matrix:
    """Shares of log-odds."""
    return 1.0 / (1.0 + np.exp(-np.clip(scores, -30, 30)))


def _measure_loss(weights: Matrix, vectors: Matrix, right: Matrix) -> float:
    """Negative log-likelihood of the candidates plus the prior's, up to a constant."""
    scores = vectors @ weights
    losses = np.logaddexp(0.0, scores) - right * scores
    change = weights - _PRIOR_WEIGHTS
    return float(losses.sum() + 0.5 * _PRIOR_PRECISION * (change @ change))


def log_odds(share: float) -> float:
    """Log-odds of a share, kept within ±6."""
    share = min(max(share, 0.0025), 0.9975)
    return float(np.log(share / (1 - share)))


@dataclass(frozen=True, slots=True)
class FewRows:
    """What a score and the hits of a handful of left-out rows are worth together.

    log-odds(confidence) = score · log-odds(score) + hits · log-odds((right + 1) / (rows + 3))
    + offset.
    """

    score: float
    hits: float
    offset: float

    def draw_line(self, right: Matrix) -> tuple[float, float]:
        """Slope and offset in the score's log-odds, given which left-out rows were right (0 or 1)."""
        share = (float(right.sum()) + 1.0) / (len(right) + 3.0)
        return self.score, self.hits * log_odds(share) + self.offset


FEW_VALUES = FewRows(score=0.45, hits=0.53, offset=-0.55)
"""Of values that repeat or stand in the row: a logistic regression over the twelve tables of
decision 28, each with the same weight."""


class Calibration:
    """Turns the blend's score into the share of left-out rows with such a score that were right.

    With `few`, fewer than `MIN_CALIBRATION` rows are not fitted to at all: the line's coefficients
    are those of other tables, and the column's own rows speak by how many of them were right.
    Otherwise few rows move the score's log-odds by a slope and an offset (Platt's scaling) under a Gaussian
    prior that expects a score from n rows to be too sure by a slope of n / (n + 8). From
    `_BINNED_ROWS` rows on: bins of equal numbers of rows, each pulled towards the overall share by `_PULL` rows, made
    monotone (pool adjacent violators), joined by straight lines. Both fall to 0 under the lowest
    score (or bin) of the left-out rows. And never above (right + 1) / (rows + 3) of the left-out
    rows that scored at least so high (a Beta(1, 2) prior: a perfect score over few rows proves
    little, the more so as the experts were chosen on the same rows).
    """

    def __init__(self, scores: Matrix, right: Matrix, few: FewRows | None = None) -> None:
        order = np.argsort(-scores, kind="stable")
        self._descending = scores[order]
        hits = np.concatenate([[0.0], np.cumsum(right[order])])
        bounds = (hits + 1.0) / (np.arange(len(hits)) + 3.0)
        # A higher score is worth no less than a lower one with more rows behind it.
        self._bounds: Matrix = np.maximum.accumulate(bounds[::-1])[::-1]
        self.accuracy = float(right.mean()) if len(right) else 0.0
        self.rows = len(scores)
        self._centres, self._shares = np.zeros(0), np.zeros(0)
        if few is not None and self.rows < MIN_CALIBRATION:
            self._slope, self._offset = few.draw_line(right)
        else:
            self._slope, self._offset = fit_line(
                to_log_odds(scores), right, self.rows / (self.rows + _DOUBTED_ROWS)
            )
        if self.rows >= _BINNED_ROWS:
            self._centres, self._shares = _fit_bins(scores, right)

    def apply(self, scores: Matrix) -> Matrix:
        """Confidences for the blend's scores."""
        scores = np.asarray(scores, dtype=np.float64)
        at_least = np.searchsorted(-self._descending, -scores, side="right")
        confidence = squash(self._slope * to_log_odds(scores) + self._offset)
        lowest = float(self._descending[-1]) if self.rows else 0.0
        if len(self._centres):
            lowest = float(self._centres[0])
            confidence = np.interp(scores, self._centres, self._shares)
        # Nothing left out scored so low: falling to 0 is all that can be said there.
        confidence = confidence * np.minimum(scores / max(lowest, 1e-9), 1.0)
        return np.minimum(confidence, self._bounds[at_least])


def to_log_odds(shares: Matrix) -> Matrix:
    """Log-odds of shares, kept within ±6."""
    kept = np.clip(shares, 0.0025, 0.9975)
    return np.log(kept / (1 - kept))


def fit_line(log_odds: Matrix, right: Matrix, slope: float) -> tuple[float, float]:
    """Slope and offset that make what came of the log-odds (0 or 1 each) likeliest.

    A Gaussian prior expects this slope and no offset.
    """
    start = np.array([slope, 0.0])
    line = start.copy()
    design = np.column_stack([log_odds, np.ones(len(log_odds))])
    for _ in range(_STEPS):
        chance = squash(design @ line)
        gradient = design.T @ (right - chance) - _LINE_PRECISION * (line - start)
        spread = chance * (1 - chance) + 1e-4
        curvature = (design * spread[:, None]).T @ design + np.diag(_LINE_PRECISION)
        line += np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
    return max(float(line[0]), 0.05), float(line[1])


def _fit_bins(scores: Matrix, right: Matrix) -> tuple[Matrix, Matrix]:
    """Mean score and monotone share of right rows of each bin, ascending."""
    order = np.argsort(scores, kind="stable")
    count = max(2, min(_MAX_BINS, len(scores) // _BIN_ROWS))
    overall = float(right.mean())
    pools: list[tuple[float, float]] = []
    centres: list[float] = []
    sizes: list[int] = []
    for part in np.array_split(order, count):
        pools.append((float(right[part].sum()) + _PULL * overall, len(part) + _PULL))
        centres.append(float(scores[part].mean()))
        sizes.append(1)
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            hits, rows = pools.pop()
            pools[-1] = (pools[-1][0] + hits, pools[-1][1] + rows)
            sizes[-2:] = [sizes[-2] + sizes[-1]]
    shares = [hits / rows for hits, rows in pools]
    return np.array(centres), np.repeat(shares, sizes)


def score_left_out(rows: Sequence[Matrix], right: Sequence[Matrix], seed: int) -> list[Matrix]:
    """Scores of every row's candidates by a blend that was fitted without that row."""
    folds = np.random.default_rng(seed).permutation(len(rows)) % _FOLDS
    scores: list[Matrix] = [np.zeros(0)] * len(rows)
    for fold in range(_FOLDS):
        kept = [i for i in range(len(rows)) if folds[i] != fold and len(rows[i])]
        blend = Blend.fit(*gather([rows[i] for i in kept], [right[i] for i in kept]))
        for i in np.flatnonzero(folds == fold).tolist():
            scores[i] = blend.score(rows[i]) if len(rows[i]) else np.zeros(0)
    return scores


def gather(rows: Sequence[Matrix], right: Sequence[Matrix]) -> tuple[Matrix, Matrix]:
    """All candidates of all rows in one matrix."""
    if not rows:
        return np.zeros((0, len(FEATURES))), np.zeros(0)
    return np.concatenate(rows), np.concatenate(right)
