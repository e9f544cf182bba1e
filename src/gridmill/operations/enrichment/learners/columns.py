"""The other columns as numbers: what is numeric as it is, what repeats as a code."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gridmill.operations.enrichment.learners.exchange import Row
from gridmill.operations.enrichment.learners.samples import Samples, normalise

_MAX_CODES = 120
_MAX_COLUMNS = 60
_SEEN_ROWS = 2_000


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
    """The days since 1970 of a text that starts with an ISO date, else NaN."""
    if text is None or len(text) < 10 or text[4:5] != "-":
        return np.nan
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
        if np.isfinite([read_number(text) for text in filled]).mean() > 0.9 and len(counts) > 8:
            numeric.append(position)
        elif np.isfinite([read_date(text) for text in filled]).mean() > 0.9 and len(counts) > 8:
            dates.append(position)
        elif len(counts) <= min(_MAX_CODES, 0.5 * len(filled) + 2):
            repeating[position] = counts
        if len(numeric) + len(dates) + len(repeating) >= _MAX_COLUMNS:
            break
    return numeric, dates, repeating
