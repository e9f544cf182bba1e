"""Classifiers over the whole row: logistic regression on texts, gradient boosting on columns.

Each gives every sample a left-out opinion (from folds that did not hold it) and new rows the
opinion of the fit on all samples.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.columns import ColumnFeatures, Scaler
from gridmill.operations.enrichment.learners.exchange import Row
from gridmill.operations.enrichment.learners.neighbours import TextFeatures
from gridmill.operations.enrichment.learners.samples import Samples

_FOLDS = 3
_FOLDS_OF_FEW = 6
_FEW_ROWS = 150
_TEXT_LABELS = 60
_TEXT_ROWS = 4_000
_TREE_LABELS = 20
_TREE_ROWS = 6_000
_MIN_ROWS = 8
_BOOSTED_ROWS = 600
"""From here on gradient boosting; under it a forest and a regression, which need fewer rows."""

_FOREST_TREES = 60
_TOP = 3

Shares = dict[str, float]
"""Probabilities of the most likely labels."""


class Classifier(Protocol):
    """What the blend asks of a classifier."""

    def get_left_out(self, index: int) -> Shares | None:
        """The opinion on sample `index` of a fit without it; `None` when it took no part."""
        ...

    def classify(self, rows: Sequence[Row]) -> list[Shares]:
        """Opinions on new rows."""
        ...


class _Folded:
    """Fits an estimator on all samples taken, and once a fold without the fold's samples."""

    def __init__(self, samples: Samples, taken: NDArray[np.int64], seed: int) -> None:
        self._names = sorted({samples.labels[int(i)] for i in taken})
        code = {name: number for number, name in enumerate(self._names)}
        self._codes = np.array([code[samples.labels[int(i)]] for i in taken])
        self._taken = taken
        self._fold_count = _FOLDS_OF_FEW if len(taken) <= _FEW_ROWS else _FOLDS
        self._folds = np.random.default_rng(seed).permutation(len(taken)) % self._fold_count
        self._left_out: dict[int, Shares] = {}

    def fit(self, vectors: Any, make: Any) -> Any:
        """Fill the left-out opinions and return the estimator fitted on all."""
        for fold in range(self._fold_count):
            held = self._folds == fold
            if len(set(self._codes[~held].tolist())) < 2:
                continue
            estimator = make().fit(vectors[np.flatnonzero(~held)], self._codes[~held])
            places = np.flatnonzero(held)
            for place, shares in zip(places, self.read(estimator, vectors[places]), strict=True):
                self._left_out[int(self._taken[place])] = shares
        return make().fit(vectors, self._codes)

    def read(self, estimator: Any, vectors: Any) -> list[Shares]:
        """The most likely labels of each vector."""
        shares: NDArray[np.float64] = estimator.predict_proba(vectors)
        classes: list[int] = estimator.classes_.tolist()
        top = np.argsort(-shares, axis=1, kind="stable")[:, :_TOP]
        return [
            {self._names[classes[int(c)]]: float(line[c]) for c in best}
            for line, best in zip(shares, top, strict=True)
        ]

    def get_left_out(self, index: int) -> Shares | None:
        """See `Classifier`."""
        return self._left_out.get(index)


class TextClassifier:
    """Logistic regression over the TF-IDF features of a row."""

    def __init__(self, samples: Samples, features: TextFeatures, seed: int) -> None:
        from sklearn.linear_model import LogisticRegression

        taken = _take(samples, _TEXT_ROWS, seed)
        self._features = features
        self._folded = _Folded(samples, taken, seed)
        self.get_left_out = self._folded.get_left_out
        self._estimator: Any = self._folded.fit(
            features.matrix[taken],
            lambda: LogisticRegression(C=8.0, max_iter=60, tol=1e-3),
        )

    @staticmethod
    def suits(samples: Samples) -> bool:
        """Whether there are enough rows and not too many labels."""
        labels = len(samples.counts)
        return len(samples) >= _MIN_ROWS and 2 <= labels <= min(_TEXT_LABELS, len(samples) // 2)

    def classify(self, rows: Sequence[Row]) -> list[Shares]:
        """See `Classifier`."""
        return self._folded.read(self._estimator, self._features.transform(rows))


class ColumnClassifier:
    """A classifier over the columns as numbers and codes."""

    def __init__(self, samples: Samples, seed: int) -> None:
        taken = _take(samples, _TREE_ROWS, seed)
        self._columns = ColumnFeatures(samples)
        self._folded = _Folded(samples, taken, seed)
        self.get_left_out = self._folded.get_left_out
        vectors = self._columns.transform([samples.rows[int(i)] for i in taken])
        labels, categorical = len(samples.counts), self._columns.categorical
        self._estimator: Any = self._folded.fit(
            vectors,
            lambda: (
                FewRowsEstimator(categorical, seed)
                if len(taken) < _BOOSTED_ROWS
                else _make_boosting(labels, categorical, seed)
            ),
        )

    @staticmethod
    def suits(samples: Samples) -> bool:
        """Whether there are enough rows, few labels and columns to split on."""
        labels = len(samples.counts)
        return (
            len(samples) >= _MIN_ROWS
            and 2 <= labels <= min(_TREE_LABELS, len(samples) // 2)
            and ColumnFeatures.count(samples) > 0
        )

    def classify(self, rows: Sequence[Row]) -> list[Shares]:
        """See `Classifier`."""
        return self._folded.read(self._estimator, self._columns.transform(rows))


def _make_boosting(labels: int, categorical: Sequence[int], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    make: Any = HistGradientBoostingClassifier
    return make(
        max_iter=max(15, min(80, 240 // labels)),
        max_leaf_nodes=15,
        min_samples_leaf=20,
        l2_regularization=1.0,
        categorical_features=list(categorical) or None,
        early_stopping=False,
        random_state=seed,
    )


class FewRowsEstimator:
    """The mean of a random forest's and a logistic regression's opinion."""

    def __init__(self, categorical: Sequence[int], seed: int) -> None:
        self._codes = list(categorical)
        self._seed = seed

    def fit(self, vectors: NDArray[np.float64], codes: NDArray[np.int64]) -> "FewRowsEstimator":
        """Fit both."""
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression

        self._scaler = Scaler(vectors, self._codes)
        self._linear: Any = LogisticRegression(C=1.0, max_iter=200)
        self._linear.fit(self._scaler.transform(vectors), codes)
        make: Any = RandomForestClassifier
        self._forest: Any = make(_FOREST_TREES, random_state=self._seed).fit(vectors, codes)
        self.classes_: NDArray[np.int64] = self._forest.classes_
        return self

    def predict_proba(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """A line of shares for each row, in the order of `classes_`."""
        linear = self._linear.predict_proba(self._scaler.transform(vectors))
        return np.asarray((linear + self._forest.predict_proba(vectors)) / 2)


def _take(samples: Samples, limit: int, seed: int) -> NDArray[np.int64]:
    order = np.random.default_rng(seed + 1).permutation(len(samples))
    return np.sort(order[: min(limit, len(samples))])
