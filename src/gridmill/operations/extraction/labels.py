"""Labels in a text and the values that stand behind or below them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from gridmill.operations.extraction.names import list_words
from gridmill.providers.documents.model import Page, Span

MOST_LABEL_WORDS = 8
MOST_SECTION = 4_000
"""Characters of the text below a heading that can be a value."""

_COLON = re.compile(
    r"(?P<label>[^\s:\uff1a|][^:\uff1a|\n]{0,60}?)\s{0,3}[:\uff1a](?!//)(?![0-9]{2}(?![0-9]))\s{0,8}"
)
_GAP = re.compile(r"\s{3,}|\t+|\s\|\s|\.{4,}")
_HEADING = re.compile(
    r"^\s*(?:[0-9IVX]+(?:\.[0-9]+)*\.?\s+)?(?P<name>[^\W\d_][^.:;!?\n]{0,60}?)\s*[.:]?\s*$"
)
# Amounts that are part of a total, not it.
_PARTS = frozenset(
    [
        "tax",
        "quantity",
        "discount",
        "rounding",
        "change",
        "item",
        "net",
        "sub",
        "excluding",
        "excl",
        "points",
        "page",
        "cash",
        "saving",
        "previous",
    ]
)


_WHOLES = frozenset(
    ["inclusive", "incl", "inc", "including", "payable", "due", "grand", "nett", "final"]
)
KIND_WORDS = frozenset(
    ["date", "number", "amount", "email", "phone", "website", "time", "value", "name"]
)
"""Words that say of what kind a value is, not which: "Date" alone is no due date."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name in a page's text and what follows it: `value` on its line, or below it."""

    name: str
    start: int
    value: Span


def compare_label(label: str, column: str) -> float:
    """How well a label names a column, 0-1.

    The mean of the common words' share in both together and in the column's name, so that words
    more in the label ("total amount due") weigh less than words that it lacks; words that make it
    the name of a part ("total tax") weigh a little more.
    """
    said, wanted = set(list_words(label)), set(list_words(column))
    if not said or not wanted:
        return 0.0
    common = said & wanted
    score = (len(common) / len(said | wanted) + len(common) / len(wanted)) / 2
    if common <= KIND_WORDS and not wanted <= KIND_WORDS:
        return max(0.0, score - 0.2)
    if said & _WHOLES:
        return min(1.0, score + 0.15)
    return max(0.0, score - 0.2 * bool(_PARTS & (said - wanted))) if common else 0.0


def list_labels(page: Page, start: int, end: int) -> Iterator[Label]:
    """The labels of characters `start` to `end` of a page, in order.

    They end in a colon, or a wide gap or table rule stands between them and the value; what ends
    its line with a colon has its value on the next one. Rows of tables with two cells are labels
    and values, and so are a table's headings and the one row below them.
    """
    for first, last in list_lines(page.text, start, end):
        yield from _read_line(page.text, first, last, end)
    for table in page.tables:
        rows = [table.header, *table.rows]
        for row in rows:
            cells = [cell for cell in row if cell is not None]
            if len(cells) == 2 and start <= cells[0].start and cells[1].end <= end:
                yield _pair(page.text, cells[0], cells[1])
        if len(table.rows) == 1:
            for head, cell in zip(table.header, table.rows[0], strict=False):
                if head and cell and start <= cell.start and cell.end <= end:
                    yield _pair(page.text, head, cell)


def _pair(text: str, name: Span, value: Span) -> Label:
    return Label(text[name.start : name.end], name.start, value)


def list_lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The lines of a part of a text, as first and last (excluded) character."""
    place = start
    while place < end:
        stop = text.find("\n", place, end)
        stop = end if stop < 0 else stop
        yield place, stop
        place = stop + 1


def _read_line(text: str, first: int, last: int, end: int) -> Iterator[Label]:
    line = text[first:last]
    marks = [m for m in _COLON.finditer(line) if len(m["label"].split()) <= MOST_LABEL_WORDS]
    for mark, following in zip_longest(marks, marks[1:]):
        stop = len(line) if following is None else following.start()
        value = Span(first + mark.end(), first + stop)
        if not line[mark.end() : stop].strip():
            below = _find_next_line(text, last, end) if following is None else None
            if below is None:
                continue
            value = below
        # Of "due on receipt. Invoice date" the label is its last part.
        name = re.split(r"[.;]\s|\s{3,}|\t", mark["label"])[-1]
        yield Label(name, first + mark.start(), value)
    if not marks:
        gap = _GAP.search(line, len(line) - len(line.lstrip()))
        if gap is not None and len(line[: gap.start()].split()) <= MOST_LABEL_WORDS:
            stop = _GAP.search(line, gap.end())
            value = Span(first + gap.end(), first + (stop.start() if stop else len(line)))
            yield Label(line[: gap.start()], first, value)


def _find_next_line(text: str, after: int, end: int) -> Span | None:
    """The next line with words in it, unless a blank line or another label comes first."""
    for first, last in list_lines(text, after + 1, end):
        line = text[first:last]
        if not line.strip() or _COLON.search(line):
            return None
        return Span(first, last)
    return None


def list_sections(text: str, start: int, end: int, name: str) -> Iterator[Span]:
    """The text below each heading that is a column's `name`: up to a blank line or next heading."""
    wanted = set(list_words(name))
    lines = list(list_lines(text, start, end))
    for number, (first, last) in enumerate(lines):
        match = _HEADING.match(text[first:last])
        if match is None or not wanted or set(list_words(match["name"])) != wanted:
            continue
        body = _take_body(text, lines[number + 1 :])
        if body is not None:
            yield body


def _take_body(text: str, lines: Sequence[tuple[int, int]]) -> Span | None:
    taken: list[tuple[int, int]] = []
    for first, last in lines:
        line = text[first:last]
        if not line.strip():
            if taken:
                break
            continue
        ended = taken and text[taken[-1][0] : taken[-1][1]].rstrip().endswith((".", ":", "!", "?"))
        heading = _HEADING.match(line)
        if heading is not None and ended and len(line.split()) <= MOST_LABEL_WORDS:
            break
        taken.append((first, last))
        if last - taken[0][0] > MOST_SECTION:
            return None
    return Span(taken[0][0], taken[-1][1]) if taken else None
