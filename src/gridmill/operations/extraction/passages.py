"""The parts of a document that a model gets to read: all of it, or what fits the columns best."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gridmill.operations.extraction.model import Scope
from gridmill.operations.extraction.names import list_words
from gridmill.operations.extraction.typed import INVISIBLE
from gridmill.operations.model import ColumnSpec

CHUNK_CHARACTERS = 1_200
_MOST_CHUNKS = 20_000
_K1, _B = 1.2, 0.75
"""Robertson and Zaragoza's usual constants (The Probabilistic Relevance Framework, 2009)."""

_HEADING = re.compile(
    r"\n(?=\s*(?:(?:ARTICLE|SECTION|Section|Article)\s|[0-9]{1,2}(?:\.[0-9]+)*\.?\s+[A-Z]))"
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a page's text, at `start` of it."""

    page: int
    start: int
    text: str


def choose_passages(scope: Scope, columns: Sequence[ColumnSpec], most: int) -> list[Chunk]:
    """At most `most` characters of the scope's text, in the document's order.

    All of it when it fits. Else its beginning, and then for each column in turn the chunk that
    BM25 ranks next for the column's name, prompt and description.
    """
    whole = [
        Chunk(page.number, first, page.text[first:last]) for page, first, last in scope.list_parts()
    ]
    if sum(len(chunk.text) for chunk in whole) <= most:
        return [chunk for chunk in whole if chunk.text.strip()]
    chunks = list(_cut(whole))[:_MOST_CHUNKS]
    if not chunks:
        return []
    ranks = _rank(chunks, columns)
    chosen = {0}
    room = most - len(chunks[0].text)
    for place in range(len(chunks)):
        for rank in ranks:
            if place < len(rank) and rank[place] not in chosen:
                room -= len(chunks[rank[place]].text)
                if room < 0:
                    return [_trim(chunks[number], most) for number in sorted(chosen)]
                chosen.add(rank[place])
    return [_trim(chunks[number], most) for number in sorted(chosen)]


def _trim(chunk: Chunk, most: int) -> Chunk:
    return chunk if len(chunk.text) <= most else Chunk(chunk.page, chunk.start, chunk.text[:most])


def clean(text: str) -> str:
    """A passage as a prompt holds it: nothing that a reader of the page would not see."""
    return INVISIBLE.sub("", text)


def _cut(pages: Sequence[Chunk]) -> Iterator[Chunk]:
    """Chunks of about `CHUNK_CHARACTERS` that end where a section, paragraph or line does."""
    for page in pages:
        begin = 0
        text = page.text
        while begin < len(text):
            end = begin + CHUNK_CHARACTERS
            if end < len(text):
                end = _find_break(text, begin + CHUNK_CHARACTERS // 3, end)
            if text[begin:end].strip():
                yield Chunk(page.page, page.start + begin, text[begin:end])
            begin = end


def _find_break(text: str, least: int, most: int) -> int:
    headings = [match.start() + 1 for match in _HEADING.finditer(text, least, most)]
    if headings:
        return headings[-1]
    for mark in ("\n\n", "\n", ". ", " "):
        place = text.rfind(mark, least, most)
        if place >= 0:
            return place + len(mark)
    return most


def _rank(chunks: Sequence[Chunk], columns: Sequence[ColumnSpec]) -> list[list[int]]:
    """For each column the numbers of the chunks that hold any of its words, best first."""
    counts = [Counter(_list_terms(chunk.text)) for chunk in chunks]
    lengths = [sum(count.values()) for count in counts]
    mean = sum(lengths) / len(lengths) or 1.0
    holding: Counter[str] = Counter()
    for count in counts:
        holding.update(count.keys())
    ranks: list[list[int]] = []
    for column in columns:
        weights = {
            term: math.log(1 + (len(chunks) - holding[term] + 0.5) / (holding[term] + 0.5))
            for term in _describe(column)
            if holding[term]
        }
        scores = [
            sum(
                weight
                * count[term]
                * (_K1 + 1)
                / (count[term] + _K1 * (1 - _B + _B * length / mean))
                for term, weight in weights.items()
                if count[term]
            )
            for count, length in zip(counts, lengths, strict=True)
        ]
        order = sorted(range(len(chunks)), key=lambda number: -scores[number])
        ranks.append([number for number in order if scores[number] > 0])
    return ranks


def _describe(column: ColumnSpec) -> set[str]:
    said = f"{column.name} {column.prompt or ''} {column.description or ''}"
    return set(_list_terms(said))


def _list_terms(text: str) -> Iterator[str]:
    for word in re.findall(r"[^\W_]+", text.casefold().replace("_", " ")):
        yield from list_words(word)
