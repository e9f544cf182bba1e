"""How a delimited text is written: its delimiter, and whether its first row names the columns."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gridmill.kit.canonical import (
    fits_boolean,
    fits_date,
    fits_datetime,
    fits_number,
    is_email,
    is_url,
)

DELIMITERS = (",", "\t", ";", "|")
FIELD_LIMIT = 1 << 30
"""Characters of one field; the file's own size is the true bound."""

_SAMPLE_RECORDS = 200
_WIDE = 20
"""Fields that make a single record a table."""
_NUMERIC = re.compile(r"[+-]?[0-9][0-9 .,']*%?", re.ASCII)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}", re.ASCII)
_HINT = re.compile(r"(\"?)sep=([^\r\n])\1(?:\r\n?|\n|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Guess:
    """A delimiter and how well it explains the sample.

    `share` of the records have `width` fields; `tight` when the delimiter is mostly not followed
    by a space or a line's end, as it is in prose.
    """

    delimiter: str
    width: int
    share: float
    records: int
    tight: bool

    @property
    def is_table(self) -> bool:
        """Whether the sample is a table by itself, whatever the file's name says."""
        enough = self.records >= 2 or self.width >= _WIDE
        return self.width >= 2 and enough and self.share >= 0.9 and self.tight


@dataclass(frozen=True, slots=True)
class Hint:
    """What a first line such as `sep=;` says, and how many characters it takes."""

    delimiter: str
    length: int


def find_hint(text: str) -> Hint | None:
    """The first line of a text as Excel's hint at its delimiter, which is no row of the table."""
    match = _HINT.match(text)
    return Hint(match[2], match.end()) if match and is_delimiter(match[2]) else None


def is_delimiter(text: str) -> bool:
    """Whether fields may be parted by it: one character that no value or quoting is made of."""
    return len(text) == 1 and not text.isalnum() and text not in "\"'\\\r\n\0"


def guess_delimiter(head: str, *, whole: bool) -> Guess | None:
    """The delimiter that splits most records of `head` into the same two or more fields."""
    guesses = [
        guess
        for delimiter in DELIMITERS
        if delimiter in head and (guess := _try_delimiter(head, delimiter, whole=whole))
    ]
    return max(guesses, key=lambda guess: (guess.share, guess.width), default=None)


def read_sample(head: str, delimiter: str, *, whole: bool) -> list[list[str]]:
    """The first records of `head`; the last one is left out when `head` may end within it."""
    csv.field_size_limit(FIELD_LIMIT)
    records: list[list[str]] = []
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    complete = True
    try:
        for record in reader:
            records.append(record)
            if len(records) > _SAMPLE_RECORDS:
                complete = False
                break
    except csv.Error:
        pass
    if complete and not whole and len(records) > 1:
        records.pop()
    return [
        record for record in records[:_SAMPLE_RECORDS] if any(field.strip() for field in record)
    ]


def _try_delimiter(head: str, delimiter: str, *, whole: bool) -> Guess | None:
    records = read_sample(head, delimiter, whole=whole)
    widths = Counter(len(record) for record in records)
    several = {width: count for width, count in widths.items() if width >= 2}
    if not several:
        return None
    width = max(several, key=lambda w: (several[w], w))
    share = several[width] / len(records) + (0.0 if len(records[0]) == width else -0.15)
    spaced = sum(head.count(delimiter + after) for after in " \r\n")
    tight = delimiter == "\t" or spaced < 0.5 * head.count(delimiter)
    return Guess(delimiter, width, share, len(records), tight)


def has_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first of `records` names the columns.

    Text above typed values says yes; a number, date, address or URL in the first row says no,
    unless it is a row of years. All-text tables have a header: most files do.
    """
    if not records:
        return True
    first, rest = records[0], records[1:]
    against = False
    years = [cell for cell in first if _YEAR.fullmatch(cell.strip())]
    growing = len(years) > 1 and years == sorted(set(years))
    for position, cell in enumerate(first):
        name = cell.strip()
        below = [row[position].strip() for row in rest if position < len(row)]
        below = [value for value in below if value]
        if _is_typed(name):
            against = against or not (growing and _YEAR.fullmatch(name))
        elif name and below and all(_is_typed(value) for value in below):
            return True
    return not against


def _is_typed(text: str) -> bool:
    return (
        _NUMERIC.fullmatch(text) is not None
        or fits_number(text)
        or fits_boolean(text.lower())
        or fits_date(text)
        or fits_datetime(text)
        or is_email(text)
        or is_url(text)
    )
