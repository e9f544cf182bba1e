"""The room's entrance: a file of a known kind to its pages and what they list."""

from collections.abc import Callable, Iterator
from pathlib import Path

from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.model import Page, Record
from gridmill.providers.documents.records import find_records

__all__ = ["UnreadableDocument", "find_records", "read_document"]

Reader = Callable[[Path, str], Iterator[Page]]


def read_document(
    path: Path, content_type: str, encoding: str = "utf-8"
) -> Iterator[tuple[Page, tuple[Record, ...]]]:
    """The pages of a document, one after the other, and the records on each.

    `encoding` is that of a text format (Markdown, HTML). To be called where memory and processor
    time are limited: what a document asks of its reader is its author's choice.

    Raises:
        UnreadableDocument: damaged, encrypted, or not of its kind; also half-way.
        MemoryError, RecursionError: it asks for more than is allowed.
    """
    count = 0
    for page in _find_reader(content_type)(path, encoding):
        records = find_records(page, count + 1)
        count += len(records)
        yield page, records


def _find_reader(content_type: str) -> Reader:
    # Imported here: a reader's libraries take time and memory that the others need not spend.
    match content_type:
        case "text/html":
            from gridmill.providers.documents.html import read_html as reader
        case "text/markdown":
            from gridmill.providers.documents.markdown import read_markdown as reader
        case "application/xml":
            from gridmill.providers.documents.xml import read_xml as reader
        case "message/rfc822":
            from gridmill.providers.documents.mail import read_mail as reader
        case "application/pdf":
            from gridmill.providers.documents.pdf.reader import read_pdf as reader
        case "image/png" | "image/jpeg":
            from gridmill.providers.documents.image import read_image as reader
        case _:
            from gridmill.providers.documents.docx import read_docx as reader
    return reader
