"""Flowing documents (paragraphs, lists, tables) to pages of text.

Lines of a paragraph are parted by a line end, blocks by a blank line, the cells of a table's row by
a tab: an empty cell is seen as such.
"""

from collections.abc import Iterator, Sequence

from gridmill.providers.documents.breaking import PAGE_CHARACTERS, split_long
from gridmill.providers.documents.characters import strip_invisible
from gridmill.providers.documents.model import Page, Span, Table

MAX_HIDDEN = 10_000
"""Characters of a page's hidden text that are kept: it is shown to people, never sent."""


class Flow:
    """Collects a document's blocks in reading order; `pages` are those that are full or broken off.

    A page ends where the document marks it, and before the block that would make it longer than
    `most` characters.
    """

    def __init__(self, most: int = PAGE_CHARACTERS) -> None:
        self._most = most
        self._number = 1
        self._pages: list[Page] = []
        self._start()

    def _start(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._tables: list[Table] = []
        self._hidden: list[str] = []

    def add(self, text: str, *, tight: bool = False) -> None:
        """Append a block of one or more lines; a `tight` one follows without a blank line."""
        text = self._clean(text).strip("\n")
        if not text.strip():
            return
        for number, piece in enumerate(split_long(text)):
            self._make_room(len(piece))
            # What was cut for its length goes on where it broke off, on a page of its own.
            self._append(piece, "\n" if tight and not number else "\n\n")

    def add_table(self, rows: Sequence[Sequence[str]], *, has_header: bool = True) -> None:
        """Append a table of cells without line ends; rows that are too long for a page go on."""
        cells = [[" ".join(self._clean(cell).split()) for cell in row] for row in rows]
        cells = [row for row in cells if any(row)]
        if not cells:
            return
        width = max(map(len, cells))
        cells = [[*row, *[""] * (width - len(row))] for row in cells]
        header = cells[0] if has_header and len(cells) > 1 else None
        self._make_room(min(sum(map(len, cells[0])) + width, self._most // 2))
        spans: list[tuple[Span | None, ...]] = []
        for number, row in enumerate(cells):
            line = "\t".join(row).rstrip("\t")
            if self._length + len(line) + 1 > self._most and spans:
                self._end_table(spans, width, header is not None)
                self.break_page()
                spans = []
                if header is not None and number > 1:
                    # As a printed table repeats its header on each page.
                    spans.append(self._add_row(header, "\n\n"))
            spans.append(self._add_row(row, "\n" if spans else "\n\n"))
        self._end_table(spans, width, header is not None)

    def add_hidden(self, text: str) -> None:
        """Keep what a reader of the page would not see."""
        text = " ".join(strip_invisible(text)[0].split())
        if text:
            self._hidden.append(text)

    def break_page(self) -> None:
        """End the page, unless nothing is on it."""
        if self._parts or self._hidden:
            hidden = "\n".join(self._hidden)[:MAX_HIDDEN] or None
            text = "".join(self._parts)
            self._pages.append(Page(self._number, text, (), tuple(self._tables), hidden))
            self._number += 1
        self._start()

    def take_pages(self) -> Iterator[Page]:
        """The pages, the last one ended; a document without any text has one empty page."""
        self.break_page()
        yield from self._pages or [Page(1, "")]
        self._pages = []

    def _clean(self, text: str) -> str:
        visible, hidden = strip_invisible(text)
        if hidden:
            self._hidden.append(hidden)
        return visible

    def _make_room(self, length: int) -> None:
        if self._length and self._length + length > self._most:
            # What stands hidden before the break stays on the page on which it was found.
            self.break_page()

    def _append(self, text: str, between: str) -> int:
        if self._parts:
            self._parts.append(between)
            self._length += len(between)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        return start

    def _add_row(self, row: Sequence[str], between: str) -> tuple[Span | None, ...]:
        line = "\t".join(row).rstrip("\t")
        at = self._append(line, between)
        spans: list[Span | None] = []
        for cell in row:
            spans.append(Span(at, at + len(cell)) if cell else None)
            at += len(cell) + 1
        return tuple(spans)

    def _end_table(
        self, spans: Sequence[tuple[Span | None, ...]], width: int, has_header: bool
    ) -> None:
        if not spans:
            return
        nothing: tuple[Span | None, ...] = (None,) * width
        header, rows = (spans[0], spans[1:]) if has_header else (nothing, spans)
        self._tables.append(Table(header, tuple(rows)))
