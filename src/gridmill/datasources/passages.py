"""Passages of data sources: cut once, when a source first serves as knowledge, then searched.

Of a document a passage is a part of a page's text, of about 800 characters; of a table it is a
record, written as `name: value` lines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from gridmill.datasources import repository
from gridmill.datasources.model import DataSource, SourceStatus
from gridmill.storage import grids
from gridmill.storage.database import Tx

PASSAGE_CHARACTERS = 800
MOST_PASSAGES = 200_000
"""Of one source; what lies beyond is not found."""
_RECORD_CHARACTERS = 4_000
_CHUNK_ROWS = 2_000
_BREAKS = ("\n\n", "\n", ". ", " ")


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage: `text` stands at `start` of page `page`; of a table, of record `page` as text."""

    datasource_id: UUID
    file_name: str
    page: int
    start: int
    text: str
    score: float


async def prepare_passages(tx: Tx, workspace_id: UUID, datasource_ids: Sequence[UUID]) -> None:
    """Cut those of the sources that were read and not cut yet; done twice at once, it is done once."""
    for source in await repository.find_sources(tx, workspace_id, datasource_ids):
        if source.status is not SourceStatus.COMPLETED or source.grid_no is None:
            continue
        if not await repository.has_passages(tx, source.datasource_id):
            await _cut_source(tx, source, source.grid_no)


async def search_passages(
    tx: Tx, workspace_id: UUID, datasource_ids: Sequence[UUID], question: str, limit: int
) -> list[FoundPassage]:
    """Up to `limit` passages that share words with `question`, the best first.

    A passage's score is the sum of its words' weights, `ln(passages / passages with the word)`
    (inverse document frequency), so that what few passages say counts for more.
    """
    rows = await repository.search_passages(tx, workspace_id, datasource_ids, question, limit)
    return [FoundPassage(*row) for row in rows]


async def _cut_source(tx: Tx, source: DataSource, grid_no: int) -> None:
    left, first = MOST_PASSAGES, 1
    physicals = list(range(1, len(source.columns) + 1))
    while left > 0:
        rows = await grids.read_rows(
            tx, grid_no, physicals, first=first, limit=_CHUNK_ROWS, with_metadata=False
        )
        if not rows:
            return
        passages = [
            (row.row_no, start, text)
            for row in rows
            for start, text in _cut_row(source, row.values)
        ][:left]
        await repository.insert_passages(tx, source.datasource_id, passages)
        left -= len(passages)
        first = rows[-1].row_no + 1


def _cut_row(source: DataSource, values: Sequence[str | None]) -> Iterator[tuple[int, str]]:
    if source.is_document:
        yield from cut_page(values[1] or "")
        return
    names = [column.name for column in source.columns]
    lines = [f"{name}: {value}" for name, value in zip(names, values, strict=True) if value]
    if lines:
        yield 0, "\n".join(lines)[:_RECORD_CHARACTERS]


def cut_page(text: str) -> Iterator[tuple[int, str]]:
    """Parts of a page's text with their places, in order; together they are all of it but blanks.

    A part has up to 800 characters, and ends after a paragraph, a line, a sentence or a word.
    """
    start = 0
    while start < len(text):
        end = start + PASSAGE_CHARACTERS
        if end < len(text):
            for separator in _BREAKS:
                found = text.rfind(separator, start + PASSAGE_CHARACTERS // 2, end)
                if found >= 0:
                    end = found + len(separator)
                    break
        part = text[start:end]
        blanks = len(part) - len(part.lstrip())
        if part.strip():
            yield start + blanks, part.strip()
        start = end
