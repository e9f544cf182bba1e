"""Documents to rows `{page, text}`, and behind them what else was found on each page."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from gridmill.datasources.parsing.model import Format, Parsed, ParsedColumn, ParseFailure
from gridmill.datasources.parsing.spool import Spool
from gridmill.kit.values import DataType
from gridmill.providers.documents.layout import dump_layout
from gridmill.providers.documents.model import Page, Record
from gridmill.providers.documents.service import UnreadableDocument, read_document

COLUMNS = (ParsedColumn("page", DataType.INTEGER), ParsedColumn("text", DataType.TEXT))


def parse_document(
    path: Path, spool_path: Path, content: Format, encoding: str, most: int | None = None
) -> Parsed:
    """Read a document's pages; `most` ends the reading after so many.

    Raises `ParseFailure` when it cannot be read, or holds no text.
    """
    try:
        return spool_pages(read_document(path, content.value, encoding), spool_path, most)
    except UnreadableDocument as error:
        raise ParseFailure(error.message) from None
    except RecursionError:
        raise ParseFailure(
            "The document is nested too deep to be read; save it anew with its own program."
        ) from None


def spool_pages(
    pages: Iterable[tuple[Page, tuple[Record, ...]]], spool_path: Path, most: int | None
) -> Parsed:
    """Write pages as rows; raises `ParseFailure` when all of them are blank."""
    blank = True
    with Spool(spool_path, len(COLUMNS) + 1) as spool:
        for page, records in islice(pages, most):
            blank = blank and not page.text.strip()
            spool.write_cells([(str(page.number), page.text, dump_layout(page, records))])
        if blank and spool.rows != most:
            raise ParseFailure(
                "The document holds no text that can be seen: it is blank, or only pictures."
            )
        spool.close()
        return Parsed(COLUMNS, spool.rows, pages=spool.rows, has_layout=True)
