"""Words with their places to a page of text: lines, columns, tables, in the order of reading."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from gridmill.providers.documents.model import Box, Page, Span, Table, Word

_CELL_GAP = 0.9
"""Heights of a line between two words from which on they are no neighbours in a sentence."""

_PARAGRAPH_GAP = 0.75
"""Heights of a line of empty space above a line that begins a paragraph."""


class Placed(NamedTuple):
    """A word and its box in points from the page's left upper corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Points from top to bottom."""
        return self.bottom - self.top


@dataclass(slots=True)
class Piece:
    """Words that stand beside each other on a line, or a whole table, and the box round them."""

    words: list[Placed]
    left: float
    top: float
    right: float
    bottom: float
    rows: list[list[list[Placed]]] | None = None
    """Of a table: its cells' words."""

    @property
    def height(self) -> float:
        """Points from top to bottom."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Points from the page's top to the middle."""
        return (self.top + self.bottom) / 2

    @property
    def length(self) -> int:
        """Characters of its words."""
        return sum(len(word.text) + 1 for word in self.words)

    def holds_line_of(self, other: "Piece | Placed") -> bool:
        """Whether both stand on one line: half of the lower one's height is shared."""
        shared = min(self.bottom, other.bottom) - max(self.top, other.top)
        return shared > 0.5 * min(self.height, other.height)

    def add(self, word: Placed) -> None:
        """Take a word behind the others."""
        self.words.append(word)
        self.left, self.top = min(self.left, word.left), min(self.top, word.top)
        self.right, self.bottom = max(self.right, word.right), max(self.bottom, word.bottom)


def enclose(words: Sequence[Placed], rows: list[list[list[Placed]]] | None = None) -> Piece:
    """A piece of words, of which there is one at least."""
    return Piece(
        list(words),
        min(word.left for word in words),
        min(word.top for word in words),
        max(word.right for word in words),
        max(word.bottom for word in words),
        rows,
    )


def join_words(words: Iterable[Placed]) -> list[Piece]:
    """Words in the order of the file as pieces of lines; gaps as wide as a cell's part them."""
    pieces: list[Piece] = []
    for word in words:
        last = pieces[-1] if pieces else None
        gap = 0.0 if last is None else word.left - last.right
        reach = _CELL_GAP * word.height
        if last is not None and -reach / 2 <= gap <= reach and last.holds_line_of(word):
            last.add(word)
        else:
            pieces.append(enclose([word]))
    return pieces


def group_lines(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces as lines from top to bottom, each from left to right; neighbours become one piece."""
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (piece.middle, piece.left)):
        if lines and piece.rows is None and lines[-1][-1].rows is None:
            # A line's first piece sets its height: small signs beside it do not stretch it.
            tallest = max(lines[-1], key=lambda other: other.height)
            if tallest.holds_line_of(piece):
                lines[-1].append(piece)
                continue
        lines.append([piece])
    return [_merge(sorted(line, key=lambda piece: piece.left)) for line in lines]


def _merge(line: list[Piece]) -> list[Piece]:
    merged = [line[0]]
    for piece in line[1:]:
        last = merged[-1]
        if piece.left - last.right <= _CELL_GAP * min(piece.height, last.height):
            merged[-1] = enclose(last.words + piece.words)
        else:
            merged.append(piece)
    return merged


class PageText:
    """Writes a page's text and remembers where its words and tables stand."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._words: list[Word] = []
        self._tables: list[Table] = []
        self._last: Piece | None = None

    def add_region(self, lines: Sequence[Sequence[Piece]]) -> None:
        """Append the lines of one column; a blank line before it and before each paragraph."""
        height = median([piece.height for line in lines for piece in line] or [0.0])
        previous: float | None = None
        for line in lines:
            top = min(piece.top for piece in line)
            gap = None if previous is None else top - previous
            is_new = gap is None or gap > _PARAGRAPH_GAP * height or line[0].rows is not None
            self._write("\n\n" if is_new else "\n")
            if line[0].rows is not None:
                self._add_table(line[0].rows)
                previous = None
                continue
            for place, piece in enumerate(line):
                if place:
                    self._write("  ")
                self._add_words(piece.words)
            previous = max(piece.bottom for piece in line)

    def add_turned(self, words: Sequence[Placed]) -> None:
        """Append words that do not stand on lines, as the file has them."""
        self._write("\n\n")
        self._add_words(words)

    def make_page(self, number: int, hidden: str | None) -> Page:
        """The page of what was added."""
        return Page(number, "".join(self._parts), tuple(self._words), tuple(self._tables), hidden)

    def _write(self, text: str) -> None:
        # Nothing is parted from nothing.
        if self._length or not text.isspace():
            self._parts.append(text)
            self._length += len(text)

    def _add_words(self, words: Sequence[Placed]) -> Span | None:
        start = self._length
        for place, word in enumerate(words):
            if place:
                self._write(" ")
            at = self._length
            self._write(word.text)
            box: Box = (
                round(word.left, 2),
                round(word.top, 2),
                round(word.right, 2),
                round(word.bottom, 2),
            )
            self._words.append(Word(at, self._length, box))
        return Span(start, self._length) if words else None

    def _add_table(self, rows: list[list[list[Placed]]]) -> None:
        found: list[tuple[Span | None, ...]] = []
        for number, row in enumerate(rows):
            if number:
                self._write("\n")
            spans: list[Span | None] = []
            filled = max((place for place, cell in enumerate(row) if cell), default=-1)
            for place, cell in enumerate(row):
                if 0 < place <= filled:
                    self._write("\t")
                spans.append(self._add_words(cell))
            found.append(tuple(spans))
        nothing: tuple[Span | None, ...] = (None,) * len(rows[0])
        if has_header(rows):
            self._tables.append(Table(found[0], tuple(found[1:])))
        else:
            self._tables.append(Table(nothing, tuple(found)))


def has_header(rows: list[list[list[Placed]]]) -> bool:
    """Whether a table's first row names its columns.

    It does when most of its cells are filled and none holds a number by itself; of two columns
    only when the second one holds numbers below, for else they are names and what they name.
    """
    if len(rows) < 2:
        return False
    first = [" ".join(word.text for word in cell) for cell in rows[0]]
    if sum(map(bool, first)) < 0.6 * len(first) or any(map(_is_number, first)):
        return False
    if len(first) > 2:
        return True
    below = [" ".join(word.text for word in row[1]) for row in rows[1:]]
    return not first[0].endswith(":") and sum(map(_is_number, below)) > 0.5 * len(below)


def _is_number(text: str) -> bool:
    digits = sum(sign.isdigit() for sign in text)
    return digits > 0 and digits >= 0.5 * len(text.replace(" ", ""))
