"""What reading a document gives: pages of text, and where on the page each part of it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in points (1/72 inch) from the page's left upper corner."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (excluded) of a page's text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a page's text and its box."""

    start: int
    end: int
    box: Box


@dataclass(frozen=True, slots=True)
class Table:
    """A table inside a page's text: its header's cells, and its rows, each as wide as the header.

    A cell that is empty, or whose text is not on the page, is `None`.
    """

    header: tuple[Span | None, ...]
    rows: tuple[tuple[Span | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page, counted from 1: its text in reading order.

    `words` are in the order of the text, and there are none where a format knows no places
    (everything but PDFs and scans). `hidden` is text that a reader of the page would not see; it is
    no part of `text`.
    """

    number: int
    text: str
    words: Sequence[Word] = ()
    tables: Sequence[Table] = ()
    hidden: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One of the things that a document lists: a table's row, a list's entry, a repeated block.

    Counted from 1 through the whole document. It is the characters `span` of page `page`; `fields`
    names its parts where the document does (a table's header, a label).
    """

    number: int
    page: int
    span: Span
    fields: tuple[tuple[str, Span], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was read: its pages, and the records that it lists (none: it is one thing)."""

    file_name: str
    pages: Sequence[Page]
    records: Sequence[Record] = ()
