"""What texts mean: embeddings of rows against label prototypes and against their neighbours.

A label's prototype is the sum of its rows' vectors and of its own name's, which counts as
`_NAME_ROWS` rows, so that an option nobody has used yet can be proposed. Rows are taken from the
mean row and names from the mean name first: what all texts of a table share tells nothing.
Vectors cost 10-50 ms each (about 0.3 ms a character), so a bounded number is made: `TRIAL_TEXTS`
samples, and more only when these show that the texts tell something.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.exchange import Row
from gridmill.operations.enrichment.learners.samples import Samples, normalise, split_words
from gridmill.operations.outcomes import DEFAULT_THRESHOLD
from gridmill.providers.embeddings.service import embedder

TRIAL_TEXTS = 60
"""Samples embedded to see whether the texts tell anything."""

FIT_TEXTS = 300
"""Samples embedded when they do."""

FIT_CHARACTERS = 20_000
PREDICT_CHARACTERS = 30_000
"""Distinct text of a batch's rows that is embedded at most; the rest goes without."""

_COLUMNS = 3
_CHARACTERS = 240
_SHORT_CHARACTERS = 120
_MANY_ROWS = 200
_NAME_ROWS = 8.0
_MIN_CENTRED = 8
_TEMPERATURE = 0.06
"""Of the softmax that spreads cosines, which differ by a tenth or two, over the range of a share."""

_MOST = DEFAULT_THRESHOLD - 0.01
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


def write_text(row: Row, columns: Sequence[int], characters: int = _CHARACTERS) -> str:
    """What is embedded of a row."""
    return " · ".join(text[:characters] for p in columns if (text := row[p]) is not None)


def count_affordable(texts: Sequence[str], characters: int) -> int:
    """How many of the first texts have no more than `characters` in all, each text once."""
    seen: set[str] = set()
    for place, text in enumerate(texts):
        if text not in seen:
            characters -= len(text)
            seen.add(text)
        if characters < 0:
            return place
    return len(texts)


class MeaningExpert:
    """Proposes the labels whose rows, or whose name, mean something similar."""

    def __init__(
        self,
        samples: Samples,
        columns: Sequence[int],
        options: Sequence[str],
        seed: int,
        limit: int = FIT_TEXTS,
    ) -> None:
        self._columns = list(columns)
        order = np.random.default_rng(seed + 2).permutation(len(samples))[:limit].tolist()
        texts = [write_text(samples.rows[index], self._columns) for index in order]
        affordable = count_affordable(texts, FIT_CHARACTERS)
        self.taken: list[int] = order[:affordable]
        self._place = {index: place for place, index in enumerate(self.taken)}
        vectors = embedder.embed(texts[:affordable])
        self._middle = _take_middle(vectors)
        self._vectors = _shift(vectors, self._middle)
        frequent = [label for label, _ in samples.counts.most_common(_MAX_LABELS)]
        self._labels = list(dict.fromkeys([*map(normalise, options), *frequent]))[:_MAX_LABELS]
        code = {label: number for number, label in enumerate(self._labels)}
        self._owner = np.array(
            [code.get(samples.labels[i], -1) for i in self.taken], dtype=np.int64
        )
        self._folds = np.array([samples.folds[index] for index in self.taken], dtype=np.int64)
        self._names = _embed_names(samples.target.name, self._labels)
        self._prototypes: dict[int, Floats] = {}
        self._truth = [samples.labels[index] for index in self.taken]

    def tells_something(self) -> bool:
        """Whether its best labels are right clearly more often than the most frequent one is."""
        count = len(self.taken)
        if not count:
            return False
        right = 0
        for index, truth in zip(self.taken, self._truth, strict=True):
            shares = self.get_left_out(index) or {}
            right += max(shares, key=lambda label: shares[label], default="") == truth
        most = max(self._truth.count(label) for label in set(self._truth)) / count
        return right / count > most + np.sqrt(most * (1 - most) / count)

    def get_left_out(self, index: int) -> Shares | None:
        """The opinion on a sample without its fold; `None` when it was not embedded."""
        place = self._place.get(index)
        if place is None:
            return None
        return self._weigh(self._vectors[place], int(self._folds[place]))

    def classify(self, rows: Sequence[Row]) -> list[Shares | None]:
        """Opinions on new rows; `None` for those beyond what may be embedded."""
        texts = [write_text(row, self._columns) for row in rows]
        affordable = count_affordable(texts, PREDICT_CHARACTERS)
        vectors = _shift(embedder.embed(texts[:affordable]), self._middle)
        found: list[Shares | None] = [
            self._weigh(vector, -1) if text else {}
            for text, vector in zip(texts[:affordable], vectors, strict=True)
        ]
        return found + [None] * (len(rows) - affordable)

    def _weigh(self, vector: Floats, fold: int) -> Shares:
        shares = _soften(self._take_prototypes(fold) @ vector)
        kept = self._folds != fold
        if kept.any():
            shares = (2 * shares + self._ask_neighbours(vector, kept)) / 3
        top = np.argsort(-shares, kind="stable")[:4]
        return {self._labels[int(place)]: float(shares[place]) for place in top}

    def _take_prototypes(self, fold: int) -> Floats:
        """A unit vector for each label, from all rows but those of `fold`."""
        if fold not in self._prototypes:
            sums = self._names * _NAME_ROWS
            kept = (self._folds != fold) & (self._owner >= 0)
            np.add.at(sums, self._owner[kept], self._vectors[kept])
            self._prototypes[fold] = _make_unit(sums)
        return self._prototypes[fold]

    def _ask_neighbours(self, vector: Floats, kept: NDArray[np.bool_]) -> Floats:
        similar = np.where(kept, self._vectors @ vector, -2.0)
        nearest = np.argsort(-similar, kind="stable")[: min(_NEIGHBOURS, int(kept.sum()))]
        weights = np.exp((similar[nearest] - similar[nearest[0]]) / _TEMPERATURE)
        shares = np.zeros(len(self._labels), dtype=np.float32)
        known = self._owner[nearest] >= 0
        np.add.at(shares, self._owner[nearest][known], weights[known])
        return shares / (weights.sum() + 1e-9)


def _take_middle(vectors: Floats) -> Floats:
    """The mean vector; of a few rows it would hold too much of each."""
    if len(vectors) < _MIN_CENTRED:
        return np.zeros((1, vectors.shape[1]), dtype=np.float32)
    return vectors.mean(axis=0, keepdims=True)


def _shift(vectors: Floats, middle: Floats) -> Floats:
    return _make_unit(vectors - middle)


def _make_unit(vectors: Floats) -> Floats:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)


def _embed_names(column: str, labels: Sequence[str]) -> Floats:
    names = embedder.embed([f"{column}: {label}" for label in labels])
    return _shift(names, names.mean(axis=0, keepdims=True)) if len(labels) > 1 else names


def _soften(similarities: Floats) -> Floats:
    weights = np.exp((similarities - similarities.max()) / _TEMPERATURE)
    return weights / weights.sum()


class OptionMatcher:
    """Compares rows with the names of the options when no row is filled yet.

    Nothing has shown how often this is right, so the confidence stays under the default
    threshold: proposals for review.
    """

    def __init__(self, options: Sequence[str], name: str, columns: Sequence[int]) -> None:
        self._options = list(options)
        self._columns = list(columns)
        self._names = _embed_names(name, self._options)

    def match(self, rows: Sequence[Row]) -> list[tuple[str, float] | None]:
        """The nearest option and a confidence, for the rows with a text."""
        characters = _SHORT_CHARACTERS if len(rows) > _MANY_ROWS else _CHARACTERS
        texts = [write_text(row, self._columns, characters) for row in rows]
        filled = [place for place, text in enumerate(texts) if text]
        found: list[tuple[str, float] | None] = [None] * len(rows)
        if not filled:
            return found
        vectors = embedder.embed([texts[place] for place in filled])
        scores = _shift(vectors, _take_middle(vectors)) @ self._names.T
        for place, line in zip(filled, scores, strict=True):
            shares = _soften(line)
            best = int(np.argmax(shares))
            found[place] = (self._options[best], min(_MOST, 0.25 + 0.35 * float(shares[best])))
        return found
