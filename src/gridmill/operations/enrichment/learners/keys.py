"""Columns that determine the target: the same key, the same value, with counts.

Every column gives keys (its whole value, its first words, its last word, the part behind an @),
and the best single ones are tried in pairs. A key's say is a smoothed share

    p(label | key) = (count + alpha × prior) / (rows with the key + alpha)

with an alpha for each kind of key, chosen by how well it predicts rows that were left out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.exchange import Row
from gridmill.operations.enrichment.learners.samples import Samples, normalise, split_words

_ALPHAS = (0.05, 0.3, 1.0, 4.0)
_SCREENED_ROWS = 5_000
_MAX_KEYS = 24
_MAX_PAIRED = 8
_MIN_GAIN = 0.01
_SURE = 0.98

Derive = Callable[[str], str | None]


def _take_words(count: int) -> Derive:
    def derive(text: str) -> str | None:
        words = split_words(text)
        return " ".join(words[:count]) if len(words) > count else None

    return derive


def _take_last_word(text: str) -> str | None:
    words = split_words(text)
    return words[-1] if len(words) > 1 else None


def _take_domain(text: str) -> str | None:
    name, at, domain = text.rpartition("@")
    return domain.casefold().strip() or None if at and name else None


def _take_start(size: int) -> Derive:
    def derive(text: str) -> str | None:
        """Of codes only, zip codes and article numbers: one word with a digit in it."""
        plain = text.strip()
        is_code = " " not in plain and any(character.isdigit() for character in plain)
        return plain[:size].casefold() if is_code and len(plain) > size else None

    return derive


_DERIVATIONS: dict[str, Derive] = {
    "value": normalise,
    "first word": _take_words(1),
    "first two words": _take_words(2),
    "last word": _take_last_word,
    "domain": _take_domain,
    "first three characters": _take_start(3),
    "first two characters": _take_start(2),
}


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a key comes from: one derived part of each of one or two columns."""

    parts: tuple[tuple[int, str], ...]

    def read(self, row: Row) -> str | None:
        """The row's key, `None` when a part is empty."""
        texts: list[str] = []
        for position, derivation in self.parts:
            text = row[position]
            derived = None if text is None else _DERIVATIONS[derivation](text)
            if derived is None:
                return None
            texts.append(derived)
        return "\x1f".join(texts)


@dataclass(slots=True)
class _Votes:
    """The labels seen under one key, and a few rows of each."""

    total: int = 0
    counts: dict[str, int] = field(default_factory=dict[str, int])
    folds: dict[int, dict[str, int]] = field(default_factory=dict[int, dict[str, int]])
    rows: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def add(self, label: str, row: int, fold: int) -> None:
        self.total += 1
        self.counts[label] = self.counts.get(label, 0) + 1
        counts = self.folds.setdefault(fold, {})
        counts[label] = counts.get(label, 0) + 1
        rows = self.rows.setdefault(label, [])
        if len(rows) < 6:
            rows.append(row)

    def without(self, fold: int | None) -> tuple[int, dict[str, int]]:
        """Total and counts without the rows of a fold."""
        left = self.folds.get(fold) if fold is not None else None
        if left is None:
            return self.total, self.counts
        counts = {label: n - left.get(label, 0) for label, n in self.counts.items()}
        return self.total - sum(left.values()), {k: n for k, n in counts.items() if n > 0}


@dataclass(frozen=True, slots=True)
class KeyTable:
    """One key source with everything seen under its keys. `accuracy` is of left-out rows."""

    source: KeySource
    alpha: float
    accuracy: float
    votes: dict[str, _Votes]


@dataclass(frozen=True, slots=True)
class KeyOpinion:
    """What all keys of a row say of one label: the best and the mean share, and support."""

    best: float
    mean: float
    support: float
    agreeing: float


class KeyExpert:
    """Learns which columns determine the target and asks them all."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self.tables = _choose_tables(samples)

    def propose(self, row: Row, fold: int | None) -> dict[str, KeyOpinion]:
        """Opinions on the likely labels, from all rows but those of `fold`."""
        heard: list[tuple[KeyTable, int, dict[str, int]]] = []
        labels: set[str] = set()
        for table in self.tables:
            key = table.source.read(row)
            votes = None if key is None else table.votes.get(key)
            if votes is not None:
                total, counts = votes.without(fold)
                if total > 0:
                    heard.append((table, total, counts))
                    labels.update(_list_top(counts))
        return {label: self._weigh(label, heard, fold) for label in labels}

    def _weigh(
        self, label: str, heard: Sequence[tuple[KeyTable, int, dict[str, int]]], fold: int | None
    ) -> KeyOpinion:
        prior = self._samples.prior(label, fold)
        best = weighted = weights = support = agreeing = 0.0
        for table, total, counts in heard:
            count = counts.get(label, 0)
            share = (count + table.alpha * prior) / (total + table.alpha)
            # A key of a column that errs on left-out rows is only as good as that column.
            share = prior + (share - prior) * table.accuracy
            best = max(best, share)
            weight = table.accuracy**4 * total / (total + 0.5)
            weighted += weight * share
            weights += weight
            support = max(support, math.log1p(count))
            agreeing += 1.0 if count * 2 > total else 0.0
        mean = weighted / weights if weights else prior
        return KeyOpinion(best, mean, support, agreeing / max(len(heard), 1))

    def list_rows(self, row: Row, label: str, accuracy: float) -> list[int]:
        """Up to six rows with this label under the most telling key that is right so often."""
        telling = [table for table in self.tables if table.accuracy >= accuracy]
        ranked = sorted(telling, key=lambda table: -table.accuracy)
        for table in ranked:
            key = table.source.read(row)
            votes = None if key is None else table.votes.get(key)
            if votes is not None and label in votes.rows:
                return list(votes.rows[label])
        return []

    def describe(self, row: Row, label: str) -> str | None:
        """Name the columns whose key speaks most clearly for the label."""
        best: tuple[float, int, str] | None = None
        for table in self.tables:
            key = table.source.read(row)
            votes = None if key is None else table.votes.get(key)
            if votes is None or label not in votes.counts:
                continue
            share = votes.counts[label] / votes.total
            names = " + ".join(
                self._samples.columns[position] + ("" if part == "value" else f" ({part})")
                for position, part in table.source.parts
            )
            rank = (share * table.accuracy, votes.total, names)
            best = rank if best is None else max(best, rank)
        return None if best is None else best[2]


def _list_top(counts: dict[str, int]) -> list[str]:
    if len(counts) <= 3:
        return list(counts)
    return sorted(counts, key=lambda label: (-counts[label], label))[:3]


# --- choosing -------------------------------------------------------------------------------


def _choose_tables(samples: Samples) -> list[KeyTable]:
    if len(samples) < 2 or len(samples.counts) < 1:
        return []
    labels = _number([*samples.labels])
    count = min(len(samples), _SCREENED_ROWS)
    baseline = float(np.bincount(labels[:count]).max()) / count
    singles = [
        KeySource(((position, part),)) for position in samples.inputs for part in _DERIVATIONS
    ]
    judged = _judge_all(singles, samples, labels, count, baseline)
    if not judged or judged[0].score < _SURE:
        judged += _judge_all(_pair(judged), samples, labels, count, baseline)
        judged.sort(key=lambda item: -item.score)
    return [_build(item, samples) for item in judged[:_MAX_KEYS]]


@dataclass(frozen=True, slots=True)
class _Judged:
    source: KeySource
    score: float
    accuracy: float
    alpha: float


def _judge_all(
    sources: Sequence[KeySource],
    samples: Samples,
    labels: NDArray[np.int64],
    count: int,
    baseline: float,
) -> list[_Judged]:
    judged: list[_Judged] = []
    for source in sources:
        found = _judge(source, samples.rows[:count], labels[:count], baseline)
        if found is not None:
            judged.append(found)
    return sorted(judged, key=lambda item: -item.score)


def _judge(
    source: KeySource, rows: Sequence[Row], labels: NDArray[np.int64], baseline: float
) -> _Judged | None:
    """Left-out accuracy and the alpha with the best left-out likelihood; `None`: no use."""
    texts = [source.read(row) for row in rows]
    present = np.array([text is not None for text in texts])
    if present.sum() < 2:
        return None
    keys = _number([text for text in texts if text is not None])
    own = labels[present]
    pair = keys * (int(labels.max()) + 1) + own
    _, inverse, pair_counts = np.unique(pair, return_inverse=True, return_counts=True)
    mine = pair_counts[inverse].astype(float)
    totals = np.bincount(keys).astype(float)[keys]
    heard = totals > 1
    if not heard.any():
        return None
    rival = _find_rivals(keys, inverse, pair_counts)
    right = np.where(mine - 1 > rival, 1.0, np.where(mine - 1 == rival, 0.5, 0.0))
    right = np.where(mine > 1, right, 0.0)[heard]
    accuracy = float((right.sum() + baseline) / (heard.sum() + 1))
    coverage = float(heard.sum()) / len(rows)
    gain = (accuracy - baseline) * coverage
    if gain < _MIN_GAIN and accuracy < _SURE:
        return None
    prior = np.bincount(labels).astype(float)[own] / len(labels)
    likelihood = {
        alpha: float(np.log((mine - 1 + alpha * prior + 1e-9) / (totals - 1 + alpha))[heard].mean())
        for alpha in _ALPHAS
    }
    alpha = max(likelihood, key=lambda value: likelihood[value])
    return _Judged(source, baseline + gain, accuracy, alpha)


def _find_rivals(
    keys: NDArray[np.int64], inverse: NDArray[np.intp], pair_counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """For every row the largest count under its key among the other labels."""
    first = np.zeros(int(keys.max()) + 1)
    second = np.zeros_like(first)
    key_of_pair = np.zeros(len(pair_counts), dtype=np.int64)
    key_of_pair[inverse] = keys
    for key, count in zip(key_of_pair.tolist(), pair_counts.tolist(), strict=True):
        if count > first[key]:
            second[key], first[key] = first[key], count
        elif count > second[key]:
            second[key] = count
    mine = pair_counts[inverse]
    return np.where(mine >= first[keys], second[keys], first[keys])


def _pair(judged: Sequence[_Judged]) -> list[KeySource]:
    """Pairs of the best whole-value keys: (state, measure) may tell what neither tells alone."""
    whole = [item for item in judged if item.source.parts[0][1] == "value"][:_MAX_PAIRED]
    return [
        KeySource(first.source.parts + second.source.parts)
        for first, second in combinations(whole, 2)
    ]


def _build(item: _Judged, samples: Samples) -> KeyTable:
    votes: dict[str, _Votes] = {}
    for index, row in enumerate(samples.rows):
        key = item.source.read(row)
        if key is not None:
            votes.setdefault(key, _Votes()).add(samples.labels[index], index, samples.folds[index])
    return KeyTable(item.source, item.alpha, item.accuracy, votes)


def _number(texts: Sequence[str]) -> NDArray[np.int64]:
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(text, len(seen)) for text in texts], dtype=np.int64)
