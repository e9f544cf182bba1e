"""Rows like this one: TF-IDF over words, word beginnings and short values, and cosine neighbours."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.exchange import Row
from gridmill.operations.enrichment.learners.samples import Samples, normalise, split_words

_REFERENCES = 3_000
_NEIGHBOURS = 8
_CHUNK = 500
_PREFIX = 4
_SHORT_VALUE = 40

Ranked = list[tuple[int, float]]
"""Row numbers of the samples with their similarity, the nearest first."""


def list_features(row: Row, inputs: Sequence[int]) -> list[str]:
    """The features of a row: words in any column, their beginnings, and short values as wholes."""
    features: list[str] = []
    for position in inputs:
        text = row[position]
        if text is None:
            continue
        words = split_words(text)
        features += words
        features += [f"^{word[:_PREFIX]}" for word in words if len(word) > _PREFIX]
        if len(text) <= _SHORT_VALUE:
            features.append(f"{position}={normalise(text)}")
    return features


class TextFeatures:
    """TF-IDF vectors of rows, fitted on the samples."""

    def __init__(self, samples: Samples) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._inputs = samples.inputs
        make: Any = TfidfVectorizer
        self._vectorizer: Any = make(
            analyzer=self._analyse,
            min_df=2 if len(samples) > 300 else 1,
            max_features=30_000,
            sublinear_tf=True,
            dtype=np.float32,
        )
        try:
            self.matrix: Any = self._vectorizer.fit_transform(samples.rows)
        except ValueError:
            # Nothing is left of the texts: all empty, or no feature in two rows.
            self.matrix = None

    def transform(self, rows: Sequence[Row]) -> Any:
        """A sparse matrix with a row for each of `rows`."""
        return self._vectorizer.transform(rows)

    def _analyse(self, row: Row) -> list[str]:
        return list_features(row, self._inputs)


class NeighbourExpert:
    """Lets the most similar filled rows vote."""

    def __init__(self, samples: Samples, features: TextFeatures, seed: int) -> None:
        self._samples = samples
        self._features = features
        count = min(len(samples), _REFERENCES)
        chosen = np.random.default_rng(seed).permutation(len(samples))[:count]
        self._references: NDArray[np.int64] = np.sort(chosen)
        self._place = {int(row): place for place, row in enumerate(self._references)}
        self._matrix: Any = features.matrix[self._references].T.tocsc()

    def rank_samples(self, indexes: Sequence[int]) -> list[Ranked]:
        """Neighbours of rows that were learnt from, without themselves."""
        without = [self._place.get(index, -1) for index in indexes]
        return self._rank(self._features.matrix[np.asarray(indexes, dtype=np.int64)], without)

    def rank(self, rows: Sequence[Row]) -> list[Ranked]:
        """Neighbours of new rows."""
        return self._rank(self._features.transform(rows), [-1] * len(rows))

    def vote(self, ranked: Ranked) -> dict[str, float]:
        """The share of each label among the neighbours, weighted by similarity to the fourth."""
        weights: defaultdict[str, float] = defaultdict(float)
        for index, similarity in ranked:
            weights[self._samples.labels[index]] += similarity**4
        total = math.fsum(weights.values()) + 1e-3
        return {label: weight / total for label, weight in weights.items()}

    def find_nearest(self, ranked: Ranked) -> dict[str, float]:
        """The similarity of each label's most similar row among the neighbours."""
        nearest: dict[str, float] = {}
        for index, similarity in ranked:
            nearest.setdefault(self._samples.labels[index], similarity)
        return nearest

    def _rank(self, vectors: Any, without: Sequence[int]) -> list[Ranked]:
        ranked: list[Ranked] = []
        for start in range(0, vectors.shape[0], _CHUNK):
            chunk = cast(
                "NDArray[np.float32]", (vectors[start : start + _CHUNK] @ self._matrix).toarray()
            )
            for offset, own in enumerate(without[start : start + _CHUNK]):
                if own >= 0:
                    chunk[offset, own] = 0.0
            ranked += [self._take_nearest(line) for line in chunk]
        return ranked

    def _take_nearest(self, line: NDArray[np.float32]) -> Ranked:
        count = min(_NEIGHBOURS, len(line))
        nearest = np.argpartition(-line, count - 1)[:count]
        found = [(int(self._references[i]), float(line[i])) for i in nearest if line[i] > 0.0]
        return sorted(found, key=lambda item: (-item[1], item[0]))
