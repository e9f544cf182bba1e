"""Values as numbers and back: amounts as they are, dates in days and datetimes in seconds.

A number that is learnt is "right" when it is close to the true one; each scale says how close.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

from gridmill.kit.canonical import fits_date, fits_datetime
from gridmill.kit.values import DataType, fits_integer
from gridmill.operations.enrichment.learners.columns import DAY_SECONDS, read_date, read_number
from gridmill.operations.enrichment.learners.samples import Samples

_ID_DIGITS = 5
_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS = (86_400, 3_600, 60, 1)
"""Seconds of the resolutions in which datetimes are written: the coarsest that all values have."""

Floats = NDArray[np.float64]


class AmountScale:
    """Numbers as they are, written with as many decimals as the values have.

    Close is within 10% of the true value, or within a tenth of the range that holds the middle
    80% of the values where that is less, and never stricter than a fiftieth of that range.
    """

    has_zero = True

    def __init__(self, samples: Samples, taken: Sequence[int]) -> None:
        texts = [samples.values[index] for index in taken]
        self._digits = 0
        if samples.target.rules.data_type is not DataType.INTEGER:
            self._digits = max(len(text.partition(".")[2]) for text in texts)

    def read(self, text: str) -> float:
        """The number of a text."""
        return read_number(text)

    def write(self, number: float) -> str | None:
        """The text of a number, rounded."""
        rounded = round(number, self._digits)
        return repr(rounded) if self._digits else str(int(rounded))

    def measure_tolerance(self, values: Floats) -> Floats:
        """How far from each value an answer may be and count as close."""
        spread = _measure_spread(values)
        return np.maximum(np.minimum(0.1 * np.abs(values), 0.1 * spread), 0.02 * spread + 1e-9)


class TimeScale:
    """Dates as days since 1970, datetimes as seconds; written in ISO 8601 with the values' offset.

    Close is within a fiftieth of the range that holds the middle 80% of the values, and never
    stricter than one day or one second: a share of the value itself means nothing where 0 is no
    beginning.
    """

    has_zero = False

    def __init__(self, samples: Samples, taken: Sequence[int]) -> None:
        self._is_date = samples.target.rules.data_type is DataType.DATE
        self._step = 1
        self._offset: timezone | None = None
        if not self._is_date:
            known = [datetime.fromisoformat(samples.values[index]) for index in taken]
            offsets = {moment.utcoffset() for moment in known}
            first = offsets.pop()
            if first is not None:
                self._offset = UTC if offsets or not first else timezone(first)
            seconds = [round(self.read(samples.values[index])) for index in taken]
            shift = 0 if self._offset is None else round(_get_seconds(self._offset))
            self._step = next(s for s in _STEPS if all((n + shift) % s == 0 for n in seconds))

    def read(self, text: str) -> float:
        """Days (a date) or seconds (a datetime) since 1970; without an offset taken as UTC."""
        days = read_date(text)
        return days if self._is_date else days * DAY_SECONDS

    def write(self, number: float) -> str | None:
        """ISO 8601; `None` where the calendar ends."""
        try:
            if self._is_date:
                return (_EPOCH + timedelta(days=round(number))).date().isoformat()
            shift = 0.0 if self._offset is None else _get_seconds(self._offset)
            local = round((number + shift) / self._step) * self._step
            moment = (_EPOCH + timedelta(seconds=local)).replace(tzinfo=self._offset)
        except OverflowError:
            return None
        text = moment.isoformat()
        return text.removesuffix("+00:00") + "Z" if self._offset is UTC else text

    def measure_tolerance(self, values: Floats) -> Floats:
        """How far from each value an answer may be and count as close."""
        return np.full(len(values), max(0.02 * _measure_spread(values), 1.0))


Scale = AmountScale | TimeScale


def make_scale(samples: Samples, taken: Sequence[int]) -> Scale:
    """The scale of a column that `has_scale`, with the resolution of the samples `taken`."""
    if samples.target.rules.data_type in {DataType.DATE, DataType.DATETIME}:
        return TimeScale(samples, taken)
    return AmountScale(samples, taken)


def has_scale(samples: Samples) -> bool:
    """Whether a column's values lie on a scale: amounts and times, not identifiers."""
    data_type = samples.target.rules.data_type
    if data_type in {DataType.INTEGER, DataType.NUMBER}:
        return not _are_identifiers(samples.values)
    if data_type is DataType.DATETIME:
        # Local times beside times with an offset cannot be put in one order.
        kinds = {_OFFSET.search(value) is None for value in samples.values}
        return len(kinds) == 1 and all(map(fits_datetime, samples.values))
    return data_type is DataType.DATE and all(map(fits_date, samples.values))


def _are_identifiers(values: Sequence[str]) -> bool:
    """Whole numbers with one count of digits and many of them are codes, not amounts."""
    sizes = {len(value) for value in values}
    return len(sizes) == 1 and min(sizes) >= _ID_DIGITS and all(map(fits_integer, values))


def _measure_spread(values: Floats) -> float:
    return float(np.quantile(values, 0.9) - np.quantile(values, 0.1))


def _get_seconds(offset: timezone) -> float:
    return offset.utcoffset(None).total_seconds()
