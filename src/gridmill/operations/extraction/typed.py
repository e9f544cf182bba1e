"""Values of a type in a text: where they stand, and what they are in their column's type."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gridmill.kit.canonical import is_email, is_phone, is_url
from gridmill.kit.values import DataType, coerce
from gridmill.operations.extraction.dates import Order, find_dates, read_order
from gridmill.operations.extraction.model import Typed
from gridmill.operations.extraction.names import list_words
from gridmill.operations.extraction.numbers import find_numbers, uses_comma
from gridmill.operations.model import ColumnSpec

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'”’)\]]{3,500}", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w.,/-])\+?\(?[0-9][0-9 ()./-]{5,24}[0-9](?![\w,/-])", re.ASCII)
_PLACE = re.compile(
    r"(?<![\d.])(?P<lat>[-+]?[0-9]{1,2}\.[0-9]{2,})°?\s?(?P<ns>[NS])?\s*[,;/ ]\s*"
    r"(?P<lon>[-+]?[0-9]{1,3}\.[0-9]{2,})°?\s?(?P<ew>[EW])?(?![\d.])"
)
_YES = re.compile(r"\b(?:yes|true|ja|oui|sí|checked)\b|[☒☑✓✔]|\[[xX]\]", re.IGNORECASE)
_NO = re.compile(r"\b(?:no|false|nein|non|none)\b|[☐✗✘]|\[ \]", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
_ROLE_AFTER = re.compile(r"\s*\([^()]{0,60}[\u201c\"A-Z][^()]{0,40}\)\s*[;:,.]?\s*\Z")
INVISIBLE = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""Characters that nobody sees: zero widths, directions, tags. They never enter prompts or values."""

_MONEY_NAMES = frozenset(
    [
        "total",
        "amount",
        "price",
        "cost",
        "fee",
        "balance",
        "subtotal",
        "salary",
        "payment",
        "revenue",
    ]
)
_KIND_NAMES = (
    ("email", DataType.EMAIL),
    ("phone", DataType.PHONE),
    ("fax", DataType.PHONE),
    ("website", DataType.URL),
    ("date", DataType.DATE),
)


@dataclass(frozen=True, slots=True)
class Writing:
    """How a document writes what can be read in two ways."""

    order: Order = Order.UNKNOWN
    comma: bool = False


def read_writing(texts: list[str], hint: str = "") -> Writing:
    """How the document of these `texts` writes dates and decimals; `hint` is a column's prompt."""
    return Writing(read_order(texts, hint), uses_comma(texts))


def guess_kind(column: ColumnSpec) -> DataType:
    """What a column's values look like: its type, of texts what the name says."""
    if column.rules.data_type is not DataType.TEXT:
        return column.rules.data_type
    words = list_words(column.name)
    for word, kind in _KIND_NAMES:
        if word in words:
            return kind
    return DataType.NUMBER if _MONEY_NAMES & set(words) else DataType.TEXT


def is_money(column: ColumnSpec) -> bool:
    """Whether the column's name is one of amounts of money."""
    return bool(_MONEY_NAMES & set(list_words(column.name)))


def find_typed(text: str, kind: DataType, writing: Writing) -> Iterator[Typed]:
    """The values of `kind` in `text`, in order; none for text, enum and JSON."""
    finder = _FINDERS.get(kind)
    return iter(()) if finder is None else finder(text, writing)


def _find_emails(text: str, _: Writing) -> Iterator[Typed]:
    for match in _EMAIL.finditer(text):
        if is_email(match[0]):
            yield Typed(*match.span(), match[0])


def _find_marks(text: str, _: Writing) -> Iterator[Typed]:
    """Words and boxes that say yes or no."""
    found = [Typed(*match.span(), "true") for match in _YES.finditer(text)]
    found += [Typed(*match.span(), "false") for match in _NO.finditer(text)]
    yield from sorted(found, key=lambda mark: mark.start)


def _find_numbers(text: str, writing: Writing) -> Iterator[Typed]:
    """Numbers that are no part of a date."""
    taken = {
        place for day in find_dates(text, writing.order) for place in range(day.start, day.end)
    }
    for number in find_numbers(text, comma=writing.comma):
        if number.start not in taken and number.end - 1 not in taken:
            yield number


def _find_urls(text: str, _: Writing) -> Iterator[Typed]:
    for match in _URL.finditer(text):
        found = match[0].rstrip(".,;:")
        url = found if "://" in found else f"https://{found}"
        if is_url(url):
            yield Typed(match.start(), match.start() + len(found), url)


def _find_phones(text: str, writing: Writing) -> Iterator[Typed]:
    taken = [(day.start, day.end) for day in find_dates(text, writing.order)]
    for match in _PHONE.finditer(text):
        start, end = match.span()
        is_date = any(first < end and start < last for first, last in taken)
        if not is_date and sum(c.isdigit() for c in match[0]) >= 7 and is_phone(match[0]):
            yield Typed(start, end, match[0])


def _find_places(text: str, _: Writing) -> Iterator[Typed]:
    for match in _PLACE.finditer(text):
        lat = float(match["lat"]) * (-1 if match["ns"] == "S" else 1)
        lon = float(match["lon"]) * (-1 if match["ew"] == "W" else 1)
        if abs(lat) <= 90 and abs(lon) <= 180:
            yield Typed(*match.span(), f"{lat}, {lon}")


_FINDERS: dict[DataType, Callable[[str, Writing], Iterator[Typed]]] = {
    DataType.DATE: lambda text, writing: find_dates(text, writing.order),
    DataType.DATETIME: lambda text, writing: find_dates(text, writing.order, timed=True),
    DataType.NUMBER: _find_numbers,
    DataType.INTEGER: _find_numbers,
    DataType.EMAIL: _find_emails,
    DataType.URL: _find_urls,
    DataType.PHONE: _find_phones,
    DataType.LOCATION: _find_places,
    DataType.BOOLEAN: _find_marks,
}


def tidy(text: str) -> str:
    """A text as a value: one space between words, nothing invisible, no marks of a list around it."""
    return _BLANKS.sub(" ", INVISIBLE.sub("", text)).strip(" \t:;,|•*·–—_")


def read_value(column: ColumnSpec, canonical: str) -> str | None:
    """`canonical` in the column's type; `None` when its rules do not admit it."""
    try:
        return coerce(canonical, column.rules)
    except ValueError:
        return None


def read_text(column: ColumnSpec, text: str, kind: DataType, writing: Writing) -> Typed | None:
    """The value that `text` (a field, what stands behind a label) holds for `column`.

    Its place counts from the start of `text`. Text columns get the words as they stand, of the
    kind that the name says where there is one; other types the first value of the type.
    """
    if column.rules.data_type is DataType.ENUM:
        return _read_option(column, text)
    if kind in {DataType.TEXT, DataType.JSON}:
        named = _ROLE_AFTER.sub("", text) if kind is DataType.TEXT else text
        stripped = tidy(named)
        start = text.find(stripped[:1]) if stripped else 0
        value = read_value(column, stripped) if stripped else None
        return None if value is None else Typed(start, len(named.rstrip()), value)
    for found in find_typed(text, kind, writing):
        is_text = column.rules.data_type is DataType.TEXT
        said = tidy(text[found.start : found.end]) if is_text else found.canonical
        value = read_value(column, said)
        if value is not None:
            return Typed(found.start, found.end, value, found.doubtful)
    return None


def _read_option(column: ColumnSpec, text: str) -> Typed | None:
    """The option that stands first in `text` as words of its own; of two there the longer."""
    found: list[tuple[int, int, str]] = []
    for option in column.rules.options[:200]:
        words = re.escape(option.strip()).replace(r"\ ", r"\s+")
        match = re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE)
        if match is not None:
            found.append((match.start(), -match.end(), option))
    if not found and not column.rules.options:
        return Typed(0, len(text.rstrip()), tidy(text)) if tidy(text) else None
    if not found:
        return None
    start, end, option = min(found)
    return Typed(start, -end, option)
