"""What is done with a document's text in a child process, where no document can hurt the worker.

All of it is pure and takes pickled values; limits of time and memory are the pool's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gridmill.operations.extraction.grounding import find_place
from gridmill.operations.extraction.heuristics import find_all, read_scope_writing
from gridmill.operations.extraction.model import Found, Place, Scope
from gridmill.operations.extraction.prompts import write_prompt
from gridmill.operations.model import ColumnSpec
from gridmill.providers.documents.model import Document


@dataclass(frozen=True, slots=True)
class Job:
    """A row of a document: the number of its record (0: the document), the columns that it wants."""

    record: int
    columns: tuple[ColumnSpec, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A value that a model gave for a row, canonical, with the words that it quoted."""

    record: int
    column: ColumnSpec
    value: str
    quote: str | None


def make_lean(document: Document) -> Document:
    """The document without the boxes of words, which only the first page's layout is read from."""
    return replace(
        document,
        pages=[p if n == 0 else replace(p, words=()) for n, p in enumerate(document.pages)],
    )


def find_scope(document: Document, record: int) -> Scope | None:
    """The part of the document that a record number stands for; `None` when it lists no such one."""
    if not record:
        return Scope(document)
    found = next((one for one in document.records if one.number == record), None)
    return None if found is None else Scope(document, found)


def look(document: Document, jobs: Sequence[Job]) -> list[dict[int, Found]]:
    """What the heuristics find, for every job by column number."""
    scopes = [find_scope(document, job.record) for job in jobs]
    return [
        {} if scope is None else find_all(scope, job.columns)
        for scope, job in zip(scopes, jobs, strict=True)
    ]


def write_prompts(document: Document, jobs: Sequence[Job]) -> list[str]:
    """The text of a configured model's request for every job."""
    return [write_prompt(_need_scope(document, job), job.columns, local=False) for job in jobs]


def write_local_prompts(document: Document, jobs: Sequence[Job]) -> list[str]:
    """The text of the local model's request for every job."""
    return [write_prompt(_need_scope(document, job), job.columns, local=True) for job in jobs]


def _need_scope(document: Document, job: Job) -> Scope:
    return find_scope(document, job.record) or Scope(document)


def ground(document: Document, checks: Sequence[Check]) -> list[Place | None]:
    """Where each value stands; `None` where it does not."""
    places: list[Place | None] = []
    for check in checks:
        scope = find_scope(document, check.record) or Scope(document)
        writing = read_scope_writing(scope, [check.column])
        places.append(find_place(scope, check.column, check.value, check.quote, writing))
    return places
