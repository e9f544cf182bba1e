"""Amounts as whole steps of their scale, and back: numbers, dates, datetimes.

A number with two decimals is a count of hundredths, a date one of days, a datetime one of seconds
(or of milli- or microseconds where the values have them), so that what is written is always
canonical and has no digit that the column does not have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import reduce

from gridmill.kit.canonical import DataType, fits_date, fits_datetime

MAX_STEPS = 10**15
"""Counts stay under 2^53, where a double still holds every whole number."""

_MAX_DECIMALS = 9
_MIN_FOR_STEP = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
_LAST_MOMENT = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
_FIRST_DAY, _LAST_DAY = (day.toordinal() for day in (date.min, date.max))


@dataclass(frozen=True, slots=True)
class NumberScale:
    """Integers and numbers, `decimals` digits after the point; whole ones end in `.0` if `pointed`."""

    decimals: int = 0
    pointed: bool = False

    @property
    def unit(self) -> float:
        """What one step is worth."""
        return 10.0**-self.decimals

    def read(self, text: str) -> int:
        """The count of steps, rounded."""
        if "." not in text:
            return int(text) * 10**self.decimals
        return round(float(text) * 10**self.decimals)

    def write(self, steps: int) -> str:
        """The canonical text."""
        whole, rest = divmod(abs(steps), 10**self.decimals)
        sign = "-" if steps < 0 else ""
        digits = f"{rest:0{self.decimals}d}".rstrip("0") if rest else ""
        return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}{'.0' * self.pointed}"


@dataclass(frozen=True, slots=True)
class DateScale:
    """Days of the calendar."""

    unit = 1.0

    def read(self, text: str) -> int:
        """The day's ordinal."""
        return date.fromisoformat(text).toordinal()

    def write(self, steps: int) -> str:
        """YYYY-MM-DD; days beyond the calendar are its first or last."""
        return date.fromordinal(min(max(steps, _FIRST_DAY), _LAST_DAY)).isoformat()


@dataclass(frozen=True, slots=True)
class MomentScale:
    """Datetimes: `per_second` steps a second since 1970, `timespec` as `isoformat` takes it.

    `offset` in minutes is that of all values; `None` for local times. `suffix_z` writes `Z`.
    """

    per_second: int
    timespec: str
    offset: int | None
    suffix_z: bool

    @property
    def unit(self) -> float:
        """Seconds of one step."""
        return 1.0 / self.per_second

    def read(self, text: str) -> int:
        """Steps since 1970; a local time counts as UTC."""
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
        return microseconds * self.per_second // 1_000_000

    def write(self, steps: int) -> str:
        """ISO 8601 in the form of the column's values; the calendar's ends where it is over."""
        shift = timedelta(minutes=self.offset or 0)
        try:
            local = _EPOCH + timedelta(microseconds=steps * (1_000_000 // self.per_second)) + shift
        except OverflowError:
            local = _LAST_MOMENT if steps > 0 else _FIRST_MOMENT
        zone = None if self.offset is None else timezone(shift)
        text = local.replace(tzinfo=zone).isoformat(timespec=self.timespec)
        return text.removesuffix("+00:00") + "Z" if self.suffix_z else text


Scale = NumberScale | DateScale | MomentScale


def find_scale(data_type: DataType, texts: Sequence[str]) -> Scale | None:
    """The scale on which all `texts` lie; `None` when there is none (too large, mixed offsets)."""
    if data_type in {DataType.INTEGER, DataType.NUMBER}:
        return _find_number_scale(data_type, texts)
    if data_type is DataType.DATE:
        return DateScale() if all(map(fits_date, texts)) else None
    if data_type is DataType.DATETIME and texts and all(map(fits_datetime, texts)):
        return _find_moment_scale(texts)
    return None


def _find_number_scale(data_type: DataType, texts: Sequence[str]) -> NumberScale | None:
    decimals = max((len(text.partition(".")[2].rstrip("0")) for text in texts), default=0)
    decimals = 0 if data_type is DataType.INTEGER else min(decimals, _MAX_DECIMALS)
    highest = max((abs(float(text)) for text in texts), default=0.0)
    while decimals and highest * 10**decimals >= MAX_STEPS:
        decimals -= 1
    if highest * 10**decimals >= MAX_STEPS:
        return None
    # Digits that do not fit the scale would be lost where small values stand beside huge ones.
    small = min((abs(float(text)) for text in texts if float(text)), default=1.0)
    if small < 10.0**-decimals:
        return None
    pointed = sum(text.endswith(".0") for text in texts)
    whole = sum("." not in text for text in texts)
    return NumberScale(decimals, data_type is DataType.NUMBER and pointed > whole)


def _find_moment_scale(texts: Sequence[str]) -> MomentScale | None:
    offsets: set[timedelta | None] = set()
    digits, has_seconds = 0, False
    for text in texts:
        offsets.add(datetime.fromisoformat(text).utcoffset())
        clock = text[11:].rstrip("Z").partition("+")[0].partition("-")[0]
        has_seconds = has_seconds or len(clock) > 5
        digits = max(digits, len(clock.partition(".")[2]))
    if len(offsets) > 1:
        return None
    offset = offsets.pop()
    minutes = None if offset is None else int(offset.total_seconds() // 60)
    per_second = 1_000_000 if digits > 3 else 1_000 if digits else 1
    timespec = {1_000_000: "microseconds", 1_000: "milliseconds", 1: "seconds"}[per_second]
    if not has_seconds:
        timespec = "minutes"
    suffix_z = minutes == 0 and sum(text.endswith("Z") for text in texts) * 2 >= len(texts)
    return MomentScale(per_second, timespec, minutes, suffix_z)


def find_step(steps: Sequence[int]) -> int:
    """The distance of which all values are multiples apart: 5 where all end in 0 or 5.

    1 from fewer than twelve distinct values, which may agree by chance.
    """
    distinct = sorted(set(steps))
    if len(distinct) < _MIN_FOR_STEP:
        return 1
    return max(1, reduce(math.gcd, (value - distinct[0] for value in distinct)))


def limit_steps(scale: Scale, minimum: float | None, maximum: float | None) -> tuple[int, int]:
    """The lowest and the highest step within the bounds; only numbers have bounds."""
    low, high = -MAX_STEPS, MAX_STEPS
    if isinstance(scale, DateScale):
        return _FIRST_DAY, _LAST_DAY
    if isinstance(scale, NumberScale):
        factor = 10**scale.decimals
        if minimum is not None:
            low = max(low, _round_up(minimum, factor))
        if maximum is not None:
            high = min(high, -_round_up(-maximum, factor))
    return low, high


def _round_up(bound: float, factor: int) -> int:
    """The least whole number of `1 / factor` that is no less than `bound`, exactly."""
    numerator, denominator = bound.as_integer_ratio()
    return -(-numerator * factor // denominator)
