"""What is found in a document: values with their places, and how they were found."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gridmill.providers.documents.model import Document, Page, Record

MAX_CHARACTERS = 5_000_000
"""Of a document so much is looked at: some 2,000 pages."""


class Method(StrEnum):
    """How a value was found; the contract's `confidenceFactors.method`, but for `model`."""

    FIELD = "field"
    LABEL = "label"
    SECTION = "section"
    PHRASE = "phrase"
    DURATION = "duration"
    NEARBY = "nearby"
    LAYOUT = "layout"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Place:
    """Characters `start` to `end` (excluded) of the text of page `page` (from 1)."""

    page: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Typed:
    """A value of some kind in a text, and its place there; `canonical` is what it means.

    `doubtful` says that the writing has another reading: 04/05/2018, 1.234.
    """

    start: int
    end: int
    canonical: str
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A value for a column, in the column's type, and where it stands.

    `strength` (0-1) orders findings: how well the document's name for it fits the column's, how
    near the two stand.
    """

    value: str
    place: Place
    method: Method
    strength: float
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for one column: the `best`, a `rival` of another value, and how far apart.

    `margin` is the difference of their strengths (1 without a rival), `places` in how many places
    the best one's value was found.
    """

    best: Finding
    rival: Finding | None
    margin: float
    places: int


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a document that a row is about: all of it, or one `record`."""

    document: Document
    record: Record | None = None

    def list_parts(self) -> Iterator[tuple[Page, int, int]]:
        """Each page that belongs to it with the first and last (excluded) character that does."""
        room = MAX_CHARACTERS
        for page in self.document.pages:
            if room <= 0:
                return
            if self.record is None:
                end = min(len(page.text), room)
                room -= end
                yield page, 0, end
            elif self.record.page == page.number:
                yield page, self.record.span.start, self.record.span.end
