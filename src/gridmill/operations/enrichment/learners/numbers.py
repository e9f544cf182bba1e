"""The learner for numbers, dates and datetimes: a formula or gradient boosting on the other columns.

Which of them is taken is decided by the errors on left-out rows.

"Right" means close, which each scale defines (`scales`). The confidence is the share of left-out rows with a similar expected error that were close.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.columns import ColumnFeatures
from gridmill.operations.enrichment.learners.exchange import Prediction, Row
from gridmill.operations.enrichment.learners.formulas import Formula, list_formulas
from gridmill.operations.enrichment.learners.neighbours import TextFeatures
from gridmill.operations.enrichment.learners.samples import Samples, accept
from gridmill.operations.enrichment.learners.scales import has_scale, make_scale
from gridmill.operations.enrichment.learners.stack import MIN_CALIBRATION, Calibration

_MIN_ROWS = 8
_MIN_BOOSTED = 20
_MIN_JUDGED = 60
"""From so many rows on the expected error of each row is learnt; under it all have the same."""

_EXACT = 0.05
"""A formula whose left-out errors stay under this share of the tolerance may go beyond the values
that were seen; everything else is cut off there."""

_BEYOND = 0.3
"""What the confidence is multiplied by where a number was cut off, or what it rests on is empty."""

_FULL = 0.9
_MAX_ROWS = 8_000
_FOLDS = 4
_TEXT_PARTS = 12
_MIN_FEATURES = 30
_MAX_SOURCES = 5

Floats = NDArray[np.float64]


class NumberLearner:
    """Learns a column of numbers or times by regression."""

    def __init__(self, samples: Samples, seed: int) -> None:
        self._samples = samples
        self._seed = seed
        order = np.random.default_rng(seed).permutation(len(samples))
        self._taken: list[int] = sorted(order[: min(len(samples), _MAX_ROWS)].tolist())
        self._place = {index: place for place, index in enumerate(self._taken)}
        self._scale = make_scale(samples, self._taken)
        values = np.array([self._scale.read(samples.values[index]) for index in self._taken])
        self._low, self._high = float(values.min()), float(values.max())
        self._is_positive = self._scale.has_zero and self._low > 0
        self._skewed = self._is_positive and self._high > 20 * float(np.median(values))
        self._columns = ColumnFeatures(samples)
        self._text = _TextParts(samples, seed)
        vectors = self._transform([samples.rows[index] for index in self._taken])
        self._usually_full: NDArray[np.bool_] = np.isfinite(vectors).mean(axis=0) > _FULL
        self._fit(vectors, values)

    @staticmethod
    def suits(samples: Samples) -> bool:
        """Whether a regression makes sense: enough rows, and amounts or times, not identifiers."""
        if len(samples) < _MIN_ROWS or len(samples.counts) < 5:
            return False
        return has_scale(samples)

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:
        """Answers for rows; one that was learnt from gets the answer given without it."""
        if not rows:
            return []
        vectors = self._transform(rows)
        numbers, beyond = self._keep_within(self._model.predict(vectors))
        scores = np.full(len(rows), self._usual_score)
        if self._error_model is not None:
            scores = _score(self._error_model.predict(vectors))
        confidences = self._calibration.apply(scores) * np.where(beyond, _BEYOND, 1.0)
        confidences *= np.where(self._has_new_holes(vectors), _BEYOND, 1.0)
        predictions: list[Prediction] = []
        for place, row_id in enumerate(row_ids):
            number, confidence = float(numbers[place]), float(confidences[place])
            learnt = self._place.get(self._samples.index_of.get(row_id, -1))
            if learnt is not None:
                number = float(self._left_out[learnt])
                confidence = float(self._left_out_confidence[learnt])
            predictions.append(self._write(number, confidence, row_id))
        return predictions

    @property
    def accuracy(self) -> float:
        """The share of left-out rows that were close."""
        return self._calibration.accuracy

    def _fit(self, vectors: Floats, values: Floats) -> None:
        folds = np.random.default_rng(self._seed).permutation(len(values)) % _FOLDS
        tolerance = self._scale.measure_tolerance(values)
        tried: list[tuple[float, int, Floats]] = []
        makers = self._list_makers(values)
        for place, make in enumerate(makers):
            raw = np.zeros(len(values))
            for fold in range(_FOLDS):
                held = folds == fold
                raw[held] = make().fit(vectors[~held], values[~held]).predict(vectors[held])
            expected = np.log(np.abs(raw - values) / tolerance + _EXACT)
            tried.append((round(float(expected.mean()), 3), place, raw))
        _, place, raw = min(tried, key=lambda item: item[:2])
        expected = np.log(np.abs(raw - values) / tolerance + _EXACT)
        self._is_exact = float(np.quantile(np.abs(raw - values) / tolerance, 0.9)) < _EXACT
        self._left_out, beyond = self._keep_within(raw)
        errors = np.abs(self._left_out - values)
        self._typical_error = float(np.median(errors))
        self._fit_judge(vectors, expected, folds, (errors <= tolerance).astype(np.float64))
        self._left_out_confidence *= np.where(beyond, _BEYOND, 1.0)
        self._model: Any = makers[place]().fit(vectors, values)

    def _fit_judge(
        self, vectors: Floats, relative: Floats, folds: NDArray[np.int64], close: Floats
    ) -> None:
        """Learn from left-out rows where the errors are small, and what that is worth."""
        count = len(close)
        self._error_model: Any = None
        scores = np.full(count, _score(np.array([relative.mean()]))[0])
        if count >= _MIN_JUDGED:
            for fold in range(_FOLDS):
                held = folds == fold
                judge = self._make_boosting(count // 4).fit(vectors[~held], relative[~held])
                scores[held] = _score(judge.predict(vectors[held]))
            self._error_model = self._make_boosting(count // 4).fit(vectors, relative)
        self._usual_score = float(scores.mean())
        self._calibration = Calibration(scores, close)
        self._left_out_confidence = self._calibration.apply(scores)

    def _list_makers(self, values: Floats) -> list[Callable[[], Any]]:
        """What to try: formulas, then trees where there are rows enough for them."""
        codes = self._columns.categorical
        width = self._columns.width
        makers: list[Callable[[], Any]] = [
            partial(Formula, kind, penalty, codes, width)
            for kind, penalty in list_formulas(width, positive=self._is_positive)
        ]
        if len(values) >= _MIN_BOOSTED or not makers:
            makers.append(lambda: _Boosting(self._make_boosting(len(values)), self._skewed))
        return makers

    def _make_boosting(self, rows: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        make: Any = HistGradientBoostingRegressor
        return make(
            max_iter=max(20, min(150, rows // 3)),
            learning_rate=0.08,
            max_leaf_nodes=15,
            min_samples_leaf=max(3, min(20, rows // 15)),
            l2_regularization=1.0,
            categorical_features=self._columns.categorical or None,
            early_stopping=False,
            random_state=self._seed,
        )

    def _transform(self, rows: Sequence[Row]) -> Floats:
        return np.hstack([self._columns.transform(rows), self._text.transform(rows)])

    def _has_new_holes(self, vectors: Floats) -> NDArray[np.bool_]:
        """Which rows lack most of what the rows that were learnt from have."""
        full = np.isfinite(vectors[:, self._usually_full])
        return full.mean(axis=1) < _FULL if full.shape[1] else np.zeros(len(vectors), dtype=bool)

    def _keep_within(self, raw: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Numbers cut off at what was seen, and which were far beyond it; formulas may go there."""
        if self._is_exact:
            return raw, np.zeros(len(raw), dtype=np.bool_)
        kept = np.clip(raw, self._low, self._high)
        return kept, np.abs(kept - raw) > 0.1 * (self._high - self._low)

    def _write(self, number: float, confidence: float, row_id: str) -> Prediction:
        text = self._scale.write(number)
        factors: dict[str, object] = {
            "method": "regression",
            "learnedRows": len(self._taken),
            "heldOutAccuracy": round(self.accuracy, 3),
            "heldOutRows": self._calibration.rows,
            "typicalError": float(f"{self._typical_error:.3g}"),
            "calibrated": self._calibration.rows >= MIN_CALIBRATION,
        }
        value = None if text is None else accept(text, self._samples.target.rules)
        order = np.argsort(np.abs(self._left_out - number), kind="stable")[: _MAX_SOURCES + 1]
        near: list[str] = [self._samples.row_ids[self._taken[int(place)]] for place in order]
        sources = tuple(other for other in near if other != row_id)[:_MAX_SOURCES]
        return Prediction(value, confidence if value is not None else 0.0, factors, sources)


class _Boosting:
    """Gradient boosting on the values or, where these span magnitudes, on their logarithms."""

    def __init__(self, estimator: Any, skewed: bool) -> None:
        self._estimator = estimator
        self._skewed = skewed

    def fit(self, vectors: Floats, values: Floats) -> "_Boosting":
        self._estimator.fit(vectors, np.log(values) if self._skewed else values)
        return self

    def predict(self, vectors: Floats) -> Floats:
        raw = np.asarray(self._estimator.predict(vectors), dtype=np.float64)
        return np.exp(np.clip(raw, -700, 700)) if self._skewed else raw


class _TextParts:
    """The main directions of the texts' TF-IDF vectors: a product's name tells of its price."""

    def __init__(self, samples: Samples, seed: int) -> None:
        self._features: TextFeatures | None = TextFeatures(samples)
        matrix = self._features.matrix
        if matrix is None or min(matrix.shape) <= _MIN_FEATURES:
            self._features = None
            return
        from sklearn.decomposition import TruncatedSVD

        self._parts: Any = TruncatedSVD(_TEXT_PARTS, n_iter=3, random_state=seed).fit(matrix)

    def transform(self, rows: Sequence[Row]) -> Floats:
        if self._features is None:
            return np.zeros((len(rows), 1))
        return np.asarray(self._parts.transform(self._features.transform(rows)), dtype=np.float64)


def _score(expected_error: Floats) -> Floats:
    """0-1: how close an answer with this expected (log) error is expected to be."""
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(2.0 * expected_error, -30, 30))))
