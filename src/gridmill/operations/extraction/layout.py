"""What a page shows by its layout alone: a title, who wrote the paper, an address."""

import re
from collections.abc import Iterator, Sequence

from gridmill.operations.extraction.labels import list_lines
from gridmill.operations.extraction.names import list_words
from gridmill.providers.documents.model import Page, Span, Word

_LINES_LOOKED_AT = 25
_POSTCODE = re.compile(
    r"\b[0-9]{5,6}\b|\b[0-9]{2}\s[0-9]{3}\b|\b[0-9]{4}\s[A-Z]{2}\b|\b[0-9]{5}-[0-9]{4}\b|\b[A-Z]{1,2}[0-9][0-9A-Z]?\s?[0-9][A-Z]{2}\b"
)
_NO_ADDRESS = re.compile(
    r"\b(?:tel|phone|fax|gst|vat|reg|date|invoice|receipt|bill|cashier|time|table|total|www|email|co\.?\s?(?:no|reg))\b"
    r"|@|[0-9]{1,2}[/-][0-9]{1,2}[/-][0-9]{2,4}|^\W*\(?(?=[A-Z-]*[0-9])[0-9A-Z-]{4,12}\)?\W*$",
    re.IGNORECASE,
)
_STREET = re.compile(
    r"\b(?:no|lot|jalan|jln|street|st|road|rd|avenue|ave|lane|drive|floor|flr|suite|building|block|"
    r"plaza|mall|level|unit|box|way|square|boulevard|blvd|straße|strasse|rue|via|calle)\b",
    re.IGNORECASE,
)
_COMPANY = re.compile(
    r"\b(?:sdn\.?\s?bhd|ltd|limited|inc|incorporated|llc|llp|gmbh|corp|corporation|company|plc|pty|s\.?a|b\.?v|"
    r"enterprise|trading|restaurant|restoran|cafe|stores?|mart|supermarket|shop|hotel)\b",
    re.IGNORECASE,
)
_MOST_ADDRESS_LINES = 5
_REGISTERED = re.compile(r"\s*\(?[0-9]{4,12}\s?-\s?[A-Z]\)?.*\Z|\s*\([0-9]{6,14}\).*\Z")
_TITLES = frozenset(["title", "heading", "subject"])
_ISSUERS = frozenset(
    ["company", "issuer", "shop", "business", "restaurant", "organization", "sender"]
)
_LETTERS = re.compile(r"[^\W\d_]")


def find_layout(page: Page, column: str) -> Iterator[tuple[Span, float]]:
    """Places on a document's first page that a column named `column` may mean, with a strength."""
    words = set(list_words(column))
    lines = [
        Span(first, last)
        for first, last in list_lines(page.text, 0, len(page.text))
        if page.text[first:last].strip()
    ][:_LINES_LOOKED_AT]
    if not lines:
        return
    if words & _TITLES:
        largest = _find_largest(page, lines)
        yield (largest, 0.7) if largest is not None else (lines[0], 0.4)
    if words & _ISSUERS:
        yield from _find_issuer(page.text, lines[:8])
    if "address" in words:
        found = _find_address(page.text, lines)
        if found is not None:
            yield found, 0.6


def _find_issuer(text: str, lines: Sequence[Span]) -> Iterator[tuple[Span, float]]:
    """The topmost lines of words, those that say what kind of company it is first."""
    for number, line in enumerate(lines):
        said = text[line.start : line.end]
        if len(_LETTERS.findall(said)) < 4 or (
            _NO_ADDRESS.search(said) and not _COMPANY.search(said)
        ):
            continue
        end = line.start + len(_REGISTERED.sub("", said))
        if said.rstrip().endswith("&") and number + 1 < len(lines):
            end = lines[number + 1].end
        if end > line.start:
            kind = 0.4 if _COMPANY.search(text, line.start, end) else 0.0
            yield Span(line.start, end), 0.6 + kind - 0.12 * number


def _find_largest(page: Page, lines: Sequence[Span]) -> Span | None:
    """The run of lines whose words are the tallest on the page, where it says how tall they are."""
    heights: list[float] = []
    for line in lines:
        inside = [_height(w) for w in page.words if line.start <= w.start and w.end <= line.end]
        heights.append(sorted(inside)[len(inside) // 2] if inside else 0.0)
    most = max(heights, default=0.0)
    if most <= 0.0 or most < 1.15 * sorted(heights)[len(heights) // 2]:
        return None
    first = last = heights.index(most)
    while first > 0 and heights[first - 1] > 0.8 * most:
        first -= 1
    while last + 1 < len(lines) and heights[last + 1] > 0.8 * most:
        last += 1
    return Span(lines[first].start, lines[last].end)


def _height(word: Word) -> float:
    return word.box[3] - word.box[1]


def _find_address(text: str, lines: Sequence[Span]) -> Span | None:
    """The first run of lines below the top one that are a street's, a postcode's or its places.

    One of them has to hold a postcode or the word of a street.
    """
    said = [text[line.start : line.end] for line in lines]
    for first in range(1, len(said)):
        if not _is_street(said[first]):
            continue
        last = first
        while last + 1 < len(said) and last - first < _MOST_ADDRESS_LINES:
            following = said[last + 1]
            goes_on = said[last].rstrip().endswith((",", "&")) and not _NO_ADDRESS.search(following)
            if not (goes_on or _is_street(following) or _is_place(following)):
                break
            last += 1
        whole = text[lines[first].start : lines[last].end]
        if _POSTCODE.search(whole) and (_STREET.search(whole) or "," in whole):
            return Span(lines[first].start, lines[last].end)
    return None


def _is_street(line: str) -> bool:
    if _NO_ADDRESS.search(line) or _COMPANY.search(line):
        return False
    return bool(_STREET.search(line) or _POSTCODE.search(line))


def _is_place(line: str) -> bool:
    """A few words alone, in capitals or with a comma: a place at an address's end."""
    return (
        not any(c.isdigit() for c in line)
        and not _NO_ADDRESS.search(line)
        and not _COMPANY.search(line)
        and ":" not in line
        and len(line.split()) <= 4
        and len(_LETTERS.findall(line)) >= 4
        and (line.rstrip().endswith((".", ",")) or "," in line)
    )
