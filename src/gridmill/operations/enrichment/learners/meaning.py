"""What texts mean: embeddings of rows against label prototypes and against their neighbours.

A label's prototype is the mean of its rows' vectors with the vector of its own name as one more,
so that an option nobody has used yet can be proposed. Vectors cost 10-50 ms each, so only a
bounded number of rows is embedded.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.exchange import Row
from gridmill.operations.enrichment.learners.samples import Samples, normalise, split_words
from gridmill.providers.embeddings.service import embedder

FIT_TEXTS = 300
"""Samples embedded when a column is learnt."""

PREDICT_TEXTS = 400
"""Rows of a batch embedded at most; the rest goes without."""

_COLUMNS = 3
_CHARACTERS = 240
_TEMPERATURE = 0.02
"""Cosines of this model differ by hundredths; this spreads them over the range of a share."""

_NEIGHBOURS = 8
_MAX_LABELS = 120

Floats = NDArray[np.float32]
Shares = dict[str, float]


def choose_text_columns(samples_rows: Sequence[Row], inputs: Sequence[int]) -> list[int]:
    """The columns with the most to read: several words a cell, hardly repeating."""
    ranked: list[tuple[float, int]] = []
    for position in inputs:
        texts = [text for row in samples_rows[:300] if (text := row[position]) is not None]
        words = [split_words(text) for text in texts]
        letters = sum(any(c.isalpha() for c in text) for text in texts)
        if not texts or letters < 0.5 * len(texts):
            continue
        mean = sum(map(len, words)) / len(words)
        variety = len(set(texts)) / len(texts)
        if mean >= 1.5 or variety > 0.5:
            ranked.append((min(mean, 30.0) * (0.1 + variety), position))
    ranked.sort(key=lambda item: (-item[0], item[1]))
    return sorted(position for _, position in ranked[:_COLUMNS])


def write_text(row: Row, columns: Sequence[int]) -> str:
    """What is embedded of a row."""
    return " · ".join(text[:_CHARACTERS] for p in columns if (text := row[p]) is not None)


class MeaningExpert:
    """Proposes the labels whose rows mean something similar."""

    def __init__(
        self, samples: Samples, columns: Sequence[int], options: Sequence[str], seed: int
    ) -> None:
        self._samples = samples
        self._columns = list(columns)
        order = np.random.default_rng(seed + 2).permutation(len(samples))
        self.taken: list[int] = sorted(order[:FIT_TEXTS].tolist())
        self._place = {index: place for place, index in enumerate(self.taken)}
        self._vectors = embedder.embed(
            [write_text(samples.rows[index], self._columns) for index in self.taken]
        )
        frequent = [label for label, _ in samples.counts.most_common(_MAX_LABELS)]
        self._labels = list(dict.fromkeys([*map(normalise, options), *frequent]))[:_MAX_LABELS]
        self._names = embedder.embed([f"{samples.target.name}: {label}" for label in self._labels])
        self._owner = np.array(
            [
                self._labels.index(label) if label in self._labels else -1
                for label in (samples.labels[index] for index in self.taken)
            ],
            dtype=np.int64,
        )
        self._sums = self._names.copy()
        for place, owner in enumerate(self._owner.tolist()):
            if owner >= 0:
                self._sums[owner] += self._vectors[place]

    @property
    def columns(self) -> list[int]:
        """The columns that are read."""
        return self._columns

    def get_left_out(self, index: int) -> Shares | None:
        """The opinion on a sample without itself; `None` when it was not embedded."""
        place = self._place.get(index)
        return None if place is None else self._weigh(self._vectors[place], place)

    def classify(self, rows: Sequence[Row]) -> list[Shares]:
        """Opinions on new rows."""
        texts = [write_text(row, self._columns) for row in rows]
        vectors = embedder.embed(texts)
        return [
            self._weigh(vector, -1) if text else {}
            for text, vector in zip(texts, vectors, strict=True)
        ]

    def _weigh(self, vector: Floats, own: int) -> Shares:
        sums = self._sums
        if own >= 0 and self._owner[own] >= 0:
            sums = sums.copy()
            sums[self._owner[own]] -= vector
        prototypes = sums / (np.linalg.norm(sums, axis=1, keepdims=True) + 1e-9)
        shares = _soften(prototypes @ vector)
        if len(self.taken) > 1:
            shares = (shares + self._ask_neighbours(vector, own)) / 2
        top = np.argsort(-shares, kind="stable")[:4]
        return {self._labels[int(place)]: float(shares[place]) for place in top}

    def _ask_neighbours(self, vector: Floats, own: int) -> Floats:
        similar = self._vectors @ vector
        if own >= 0:
            similar[own] = -1.0
        nearest = np.argsort(-similar, kind="stable")[:_NEIGHBOURS]
        weights = np.exp((similar[nearest] - similar[nearest[0]]) / _TEMPERATURE)
        shares = np.zeros(len(self._labels), dtype=np.float32)
        for place, weight in zip(nearest.tolist(), weights.tolist(), strict=True):
            if self._owner[place] >= 0:
                shares[self._owner[place]] += weight
        return shares / (weights.sum() + 1e-9)


def _soften(similarities: Floats) -> Floats:
    weights = np.exp((similarities - similarities.max()) / _TEMPERATURE)
    return weights / weights.sum()


class OptionMatcher:
    """Compares rows with the names of the options when no row is filled yet.

    Nothing has shown how often this is right, so the confidence stays between 0.3 and 0.55:
    proposals for review.
    """

    def __init__(self, options: Sequence[str], name: str, columns: Sequence[int]) -> None:
        self._options = list(options)
        self._columns = list(columns)
        self._names = embedder.embed([f"{name}: {option}" for option in options])

    def match(self, rows: Sequence[Row]) -> list[tuple[str, float] | None]:
        """The nearest option and a confidence, for the first 400 rows with a text."""
        texts = [write_text(row, self._columns) for row in rows]
        filled = [place for place, text in enumerate(texts) if text][:PREDICT_TEXTS]
        found: list[tuple[str, float] | None] = [None] * len(rows)
        if not filled:
            return found
        scores = embedder.embed([texts[place] for place in filled]) @ self._names.T
        # An option that is near to everything says little: its mean over the rows is put aside.
        if len(filled) >= 20:
            scores = scores - scores.mean(axis=0, keepdims=True)
        for place, line in zip(filled, scores, strict=True):
            shares = _soften(line)
            best = int(np.argmax(shares))
            found[place] = (self._options[best], min(0.55, 0.25 + 0.35 * float(shares[best])))
        return found
