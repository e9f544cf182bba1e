"""The other columns as numbers: what is numeric as it is, what repeats as a code."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.exchange import Row
from gridmill.operations.enrichment.learners.samples import Samples, normalise

DAY_SECONDS = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_CODES = 120
_MAX_COLUMNS = 60
_SEEN_ROWS = 2_000

Floats = NDArray[np.float64]


def read_number(text: str | None) -> float:
    """The number that a text is, NaN for everything else; thousands separators, % and $ aside."""
    if text is None:
        return np.nan
    plain = text.strip().replace(",", "").strip("%$€£ ")
    try:
        number = float(plain)
    except ValueError:
        return np.nan
    return number if np.isfinite(number) else np.nan


def read_date(text: str | None) -> float:
    """The days since 1970 of a text that starts with an ISO date, else NaN.

    A time after it adds its part of the day, in UTC unless it says otherwise.
    """
    if text is None or len(text) < 10 or text[4:5] != "-":
        return np.nan
    try:
        if len(text) > 10:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return (moment - _EPOCH).total_seconds() / DAY_SECONDS
    except (ValueError, OverflowError):
        pass  # What follows the date is no time: the date still is one.
    try:
        return float(np.datetime64(text[:10], "D").astype(np.int64))
    except ValueError:
        return np.nan


class ColumnFeatures:
    """A matrix of a row's numeric, date and repeating columns, fitted on the samples."""

    def __init__(self, samples: Samples) -> None:
        self._numeric, self._dates, repeating = _choose(samples)
        self._codes = {
            position: {text: code for code, (text, _) in enumerate(counts.most_common(_MAX_CODES))}
            for position, counts in repeating.items()
        }
        start = len(self._numeric) + len(self._dates)
        self.categorical = list(range(start, start + len(self._codes)))
        self.width = start + len(self._codes)

    @staticmethod
    def count(samples: Samples) -> int:
        """How many columns there are to split on."""
        return sum(len(chosen) for chosen in _choose(samples))

    def transform(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """One line a row; NaN where a cell is empty, does not fit or was never seen."""
        columns = [[read_number(row[p]) for row in rows] for p in self._numeric]
        columns += [[read_date(row[p]) for row in rows] for p in self._dates]
        for position, codes in self._codes.items():
            columns.append(
                [
                    np.nan if text is None else codes.get(normalise(text), np.nan)
                    for text in (row[position] for row in rows)
                ]
            )
        return np.array(columns, dtype=np.float64).T.reshape(len(rows), len(columns))


class Scaler:
    """Columns for a linear model: numbers with mean 0 and spread 1, holes filled, codes one-hot.

    `codes` are the positions of coded columns. A code or number that is missing is all zeros.
    """

    def __init__(self, vectors: Floats, codes: Sequence[int]) -> None:
        self._codes = [(c, np.unique(vectors[np.isfinite(vectors[:, c]), c])) for c in codes]
        self._plain = [c for c in range(vectors.shape[1]) if c not in set(codes)]
        numbers = vectors[:, self._plain]
        known = np.isfinite(numbers)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, numbers, 0.0)
        self._mean: Floats = filled.sum(axis=0) / count
        spread = np.sqrt((np.where(known, numbers - self._mean, 0.0) ** 2).sum(axis=0) / count)
        self._spread: Floats = np.where(spread > 0, spread, 1.0)

    def transform(self, vectors: Floats) -> Floats:
        """One line a row."""
        numbers = (vectors[:, self._plain] - self._mean) / self._spread
        parts = [np.clip(np.nan_to_num(numbers, nan=0.0), -20.0, 20.0)]
        parts += [(vectors[:, [c]] == seen[None, :]).astype(float) for c, seen in self._codes]
        return np.hstack(parts)


def _choose(samples: Samples) -> tuple[list[int], list[int], dict[int, Counter[str]]]:
    numeric: list[int] = []
    dates: list[int] = []
    repeating: dict[int, Counter[str]] = {}
    for position in samples.inputs:
        texts = [row[position] for row in samples.rows[:_SEEN_ROWS]]
        filled = [text for text in texts if text is not None]
        if len(filled) < 5:
            continue
        counts = Counter(normalise(text) for text in filled)
        if len(counts) < 2:
            continue
        many = len(counts) > min(8, len(filled) // 2)
        if many and np.isfinite([read_number(text) for text in filled]).mean() > 0.9:
            numeric.append(position)
        elif many and np.isfinite([read_date(text) for text in filled]).mean() > 0.9:
            dates.append(position)
        elif len(counts) <= min(_MAX_CODES, 0.5 * len(filled) + 2):
            repeating[position] = counts
        if len(numeric) + len(dates) + len(repeating) >= _MAX_COLUMNS:
            break
    return numeric, dates, repeating
