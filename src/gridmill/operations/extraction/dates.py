"""Dates in the usual writings of a text."""

import re
from collections.abc import Iterable, Iterator
from datetime import date, time
from enum import Enum, auto

from gridmill.operations.extraction.model import Typed

_MONTHS = (
    ("jan", "ene", "gen"),
    ("feb", "fév", "fev"),
    ("mar", "mär", "mrt"),
    ("apr", "avr", "abr"),
    ("may", "mai", "mei", "mag"),
    ("jun", "juin", "giu"),
    ("jul", "juil", "lug", "ogos"),
    ("aug", "aoû", "aou", "ago"),
    ("sep", "set"),
    ("oct", "okt", "out", "ott"),
    ("nov",),
    ("dec", "dez", "déc", "dic"),
)
_MONTH_OF = {prefix: n for n, group in enumerate(_MONTHS, 1) for prefix in group}
_NAME = (
    r"(?:jan(?:uar[yi]?|vier|eiro)?|enero|gennaio|feb(?:ruar[yi]?|rero|braio)?|fév(?:rier)?|"
    r"fevereiro|mar(?:ch|s|zo|ço|t)?|märz|maart|mrt|apr(?:il|ile)?|avr(?:il)?|abril|may|mayo|mai|"
    r"maio|mei|maggio|june?|jun(?:i|io|ho)?|juin|giugno|jul(?:y|i|io|ho)?|juil(?:let)?|luglio|"
    r"aug(?:ust|ustus)?|août|aout|agosto|sep(?:t|tember|tembre|tiembre)?|set(?:embro|tembre)?|"
    r"o[ck]t(?:ober|obre|ubre)?|outubro|ottobre|nov(?:ember|embre|iembre|embro)?|"
    r"de[cz](?:ember)?|déc(?:embre)?|decembre|dicembre|diciembre|dezembro)"
)
_YEAR = r"(?:(?:19|20)[0-9]{2})"
# OCR glues a time to the year before it.
_END = r"(?=[0-9]{1,2}:[0-9]{2}|[^0-9]|\Z)"
_ISO = rf"(?P<iy>{_YEAR})(?P<is>[-/.])(?P<im>[0-9]{{1,2}})(?P=is)(?P<id>[0-9]{{1,2}})(?![0-9])"
_FIGURES = (
    rf"(?P<fa>[0-9]{{1,2}})(?P<fs>\s?[-/.]\s?)(?P<fb>[0-9]{{1,2}})(?P=fs)"
    rf"(?P<fy>{_YEAR}|[0-9]{{2}}){_END}"
)
_DAY_FIRST = (
    r"(?P<dd>[0-9]{1,2})\s?(?:st|nd|rd|th|\.|er|º)?[\s-]*(?:day\s+)?(?:of\s+|de\s+)?"
    rf"(?P<dm>{_NAME})\b\.?[\s,.-]*(?:de\s+)?(?P<dy>{_YEAR}|[0-9]{{2}}(?![0-9:]))"
)
_MONTH_FIRST = (
    rf"(?P<mm>{_NAME})\b\.?\s{{0,20}}(?P<md>[0-9]{{1,2}})(?:st|nd|rd|th)?\s{{0,20}}[,.]?\s{{0,20}}"
    rf"(?P<my>{_YEAR})"
)
_EAST = r"(?P<ey>[0-9]{4})\s?年\s?(?P<em>[0-9]{1,2})\s?月\s?(?P<ed>[0-9]{1,2})\s?日"
_DATE = re.compile(
    rf"(?<![0-9./-])(?:{_ISO}|{_FIGURES}|{_DAY_FIRST}|{_EAST})|(?<!\w){_MONTH_FIRST}",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"[\sT,]{0,3}(?:at\s)?([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?(?:\.[0-9]{1,6})?"
    r"\s?([ap])?\.?(?:m\b)?",
    re.IGNORECASE,
)
_PIVOT = 70
"""Two figures under it are years from 2000 on, the others of the century before (POSIX: 69)."""


class Order(Enum):
    """What the first of three figures is."""

    DAY_FIRST = auto()
    MONTH_FIRST = auto()
    UNKNOWN = auto()


def read_order(texts: Iterable[str], hint: str = "") -> Order:
    """The order of day and month that a document keeps to, from dates that have but one reading.

    A `hint` (the column's prompt) that says DD/MM or MM/DD decides.
    """
    said = re.search(r"\b(dd?|mm?)\s?[-/.]\s?(dd?|mm?)\b", hint, re.IGNORECASE)
    if said is not None and said[1][0].lower() != said[2][0].lower():
        return Order.DAY_FIRST if said[1][0].lower() == "d" else Order.MONTH_FIRST
    figures: dict[bool, int] = {True: 0, False: 0}
    written: dict[bool, int] = {True: 0, False: 0}
    for text in texts:
        for match in _DATE.finditer(text):
            if match["fa"] and (int(match["fa"]) > 12) != (int(match["fb"]) > 12):
                figures[int(match["fa"]) > 12] += 1
            elif match["md"] or (match["dd"] and " of " not in match[0]):
                written[bool(match["dd"])] += 1
    # Figures with one reading tell; else whether months are written before their days.
    for counts in (figures, written):
        if counts[True] != counts[False]:
            return Order.DAY_FIRST if counts[True] > counts[False] else Order.MONTH_FIRST
    return Order.UNKNOWN


def find_dates(text: str, order: Order = Order.UNKNOWN, *, timed: bool = False) -> Iterator[Typed]:
    """The dates in `text` as YYYY-MM-DD; `timed`: those with a time, as YYYY-MM-DDTHH:MM:SS.

    Of figures whose order nobody knows the day is taken to be first, and they are doubtful.
    """
    for match in _DATE.finditer(text):
        read = _read(match, order)
        if read is None:
            continue
        day, doubtful = read
        start, end = match.span()
        if not timed:
            yield Typed(start, end, day.isoformat(), doubtful)
        elif (at := _TIME.match(text, end)) and (clock := _read_time(at)) is not None:
            yield Typed(start, at.end(), f"{day.isoformat()}T{clock.isoformat()}", doubtful)


def _read(match: re.Match[str], order: Order) -> tuple[date, bool] | None:
    """The day that a match means, and whether it may mean another one."""
    if match["iy"]:
        return _make(match["iy"], match["im"], match["id"], doubtful=False)
    if match["ey"]:
        return _make(match["ey"], match["em"], match["ed"], doubtful=False)
    if match["dm"]:
        return _make(match["dy"], _name_month(match["dm"]), match["dd"], doubtful=False)
    if match["mm"]:
        return _make(match["my"], _name_month(match["mm"]), match["md"], doubtful=False)
    first, second = int(match["fa"]), int(match["fb"])
    month_first = second > 12 or (order is Order.MONTH_FIRST and first <= 12)
    doubtful = order is Order.UNKNOWN and first <= 12 and second <= 12 and first != second
    month, day = (first, second) if month_first else (second, first)
    return _make(match["fy"], month, day, doubtful=doubtful)


def _make(
    year: str, month: str | int, day: str | int, *, doubtful: bool
) -> tuple[date, bool] | None:
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < _PIVOT else 1900
    try:
        return date(number, int(month), int(day)), doubtful
    except ValueError:
        return None


def _name_month(name: str) -> int:
    folded = name.casefold()
    for length in (4, 3):
        if (number := _MONTH_OF.get(folded[:length])) is not None:
            return number
    return 0


def _read_time(match: re.Match[str]) -> time | None:
    hour = int(match[1])
    if match[4]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[4].lower() == "p" else 0)
    return time(hour, int(match[2]), int(match[3] or 0))
