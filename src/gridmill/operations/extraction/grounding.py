"""Where a value stands in a document: word for word, or in another writing of the same thing.

A value that a model gives is believed only with its place. Words are found without regard to
letter case, spacing and line breaks; dates, numbers, phones and durations by what they mean.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from gridmill.kit.values import DataType
from gridmill.operations.extraction.model import Place, Scope
from gridmill.operations.extraction.phrases import find_durations, read_duration
from gridmill.operations.extraction.typed import (
    INVISIBLE,
    Writing,
    find_typed,
    guess_kind,
    read_value,
)
from gridmill.operations.model import ColumnSpec
from gridmill.providers.documents.model import Box, Page

MOST_WORDS = 600
"""Words of a value that are looked for in a row."""

_SHORTEST_NUMBER = 7
_WORD = re.compile(r"[^\W_]+")
_BETWEEN = r"[\W_]{1,12}?"


def find_place(
    scope: Scope, column: ColumnSpec, value: str, quote: str | None, writing: Writing
) -> Place | None:
    """The place of `value` (canonical) in the document; `None` when it stands nowhere.

    Within `quote`, the words that a model gave as its evidence, where these stand in the document
    and hold the value; else its first place. A record's value stands in the record itself, or
    outside of every record of the document.
    """
    chosen = column.rules.data_type in {DataType.BOOLEAN, DataType.ENUM}
    for page, first, last in _list_parts(scope):
        for place in _match_words(page, first, last, quote or ""):
            for found in _find_in((page, place.start, place.end), column, value, writing):
                return found
            if chosen:
                # What was chosen need not be said in these words; that they stand there is checked.
                return place
    for page, first, last in _list_parts(scope):
        for found in _find_in((page, first, last), column, value, writing):
            return found
    return None


def _list_parts(scope: Scope) -> Iterator[tuple[Page, int, int]]:
    """The scope's own parts, of a record also what lies between the document's records."""
    yield from scope.list_parts()
    if scope.record is None:
        return
    taken: dict[int, list[tuple[int, int]]] = {}
    for record in scope.document.records:
        taken.setdefault(record.page, []).append((record.span.start, record.span.end))
    for page, first, last in Scope(scope.document).list_parts():
        begin = first
        for start, end in sorted(taken.get(page.number, [])):
            if begin < start:
                yield page, begin, start
            begin = max(begin, end)
        if begin < last:
            yield page, begin, last


def _find_in(
    part: tuple[Page, int, int], column: ColumnSpec, value: str, writing: Writing
) -> Iterator[Place]:
    """Places of `value` in a part of a page."""
    page, first, last = part
    typed = column.rules.data_type not in {DataType.TEXT, DataType.ENUM, DataType.JSON}
    if column.rules.data_type is DataType.BOOLEAN:
        return
    text = page.text[first:last]
    if typed:
        for found in find_typed(text, guess_kind(column), writing):
            if _means(column, found.canonical, value):
                yield Place(page.number, first + found.start, first + found.end)
    elif (duration := read_duration(value)) is not None:
        for found in find_durations(text):
            if found.canonical == duration:
                yield Place(page.number, first + found.start, first + found.end)
    else:
        yield from _match_words(page, first, last, value)
    if column.rules.data_type is DataType.PHONE or (not typed and _is_code(value)):
        yield from _match_digits(page, first, last, value)


def _means(column: ColumnSpec, canonical: str, value: str) -> bool:
    read = read_value(column, canonical)
    return read is not None and (read == value or read.casefold() == value.casefold())


def _match_words(page: Page, first: int, last: int, words: str) -> Iterator[Place]:
    """Places where the words of `words` follow one another with nothing but marks between them."""
    parts = _WORD.findall(INVISIBLE.sub("", words))[:MOST_WORDS]
    if not parts:
        return
    pattern = re.compile(
        r"(?<![^\W_])" + _BETWEEN.join(map(re.escape, parts)) + r"(?![^\W_])", re.IGNORECASE
    )
    for match in pattern.finditer(page.text, first, last):
        yield Place(page.number, *match.span())


def _is_code(value: str) -> bool:
    digits = sum(c.isdigit() for c in value)
    return digits >= _SHORTEST_NUMBER and not any(c.isalpha() for c in value)


def _match_digits(page: Page, first: int, last: int, value: str) -> Iterator[Place]:
    """Places where the digits of `value` follow one another, whatever marks stand between them."""
    digits = re.sub(r"\D", "", value)
    if len(digits) < _SHORTEST_NUMBER:
        return
    pattern = re.compile(r"(?<!\d)" + r"[ ()./-]{0,3}".join(digits) + r"(?!\d)")
    for match in pattern.finditer(page.text, first, last):
        yield Place(page.number, *match.span())


def cite(scope: Scope, datasource_id: UUID, places: Iterable[Place]) -> list[Mapping[str, Any]]:
    """The contract's `sources` for `places`, the first first.

    The quote is what stands at the place, letter for letter; the box is the union of its words'
    boxes, `None` where the document knows no places on paper.
    """
    by_number = {page.number: page for page in scope.document.pages}
    return [
        {
            "kind": "document",
            "datasourceId": str(datasource_id),
            "fileName": scope.document.file_name,
            "page": place.page,
            "start": place.start,
            "end": place.end,
            "quote": by_number[place.page].text[place.start : place.end],
            "box": unite_boxes(by_number[place.page], place),
        }
        for place in places
    ]


def unite_boxes(page: Page, place: Place) -> list[float] | None:
    """Left, top, right and bottom (points) of all words of a page that a place touches."""
    boxes: Sequence[Box] = [
        word.box for word in page.words if word.start < place.end and place.start < word.end
    ]
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    edges = (min(lefts), min(tops), max(rights), max(bottoms))
    return [round(edge, 2) for edge in edges]
