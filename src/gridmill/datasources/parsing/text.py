"""Plain text to pages: a form feed ends a page, and so does a bound on its length.

Joined with the form feeds put back where they were, the pages are the document to the letter.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from gridmill.datasources.parsing.documents import COLUMNS
from gridmill.datasources.parsing.encodings import open_text
from gridmill.datasources.parsing.model import Parsed, ParseFailure
from gridmill.datasources.parsing.spool import Spool
from gridmill.providers.documents.breaking import split_long
from gridmill.providers.documents.layout import dump_layout
from gridmill.providers.documents.model import Page
from gridmill.providers.documents.service import find_records

_READ = 1 << 16


def parse_text(path: Path, spool_path: Path, encoding: str, most: int | None = None) -> Parsed:
    """Read a document into rows `{page, text}`; raises `ParseFailure` when it holds no text.

    `most` ends the reading after so many pages.
    """
    with open_text(path, encoding, newline="") as file, Spool(spool_path, 3) as spool:
        blank = True
        line = 1
        listed = 0
        for number, page in enumerate(islice(split_pages(file), most), 1):
            if "\0" in page:
                line += page.partition("\0")[0].count("\n")
                raise ParseFailure(f"Line {line} holds a NUL character (a zero byte).")
            line += page.count("\n")
            blank = blank and not page.strip()
            records = find_records(Page(number, page), listed + 1)
            listed += len(records)
            spool.write_cells([(str(number), page, dump_layout(Page(number, page), records))])
        if blank and spool.rows != most:
            raise ParseFailure("The file holds no text: it is blank.")
        spool.close()
        return Parsed(COLUMNS, spool.rows, pages=spool.rows, has_layout=True)


def split_pages(file: TextIO) -> Iterator[str]:
    """Pages of a text that is read as it goes; no page holds a form feed."""
    rest = ""
    fed = False
    while piece := file.read(_READ):
        rest += piece
        *ended, rest = rest.split("\f")
        for section in ended:
            yield from split_long(section)
        fed = fed or bool(ended)
        if len(rest) > _READ:
            *ready, rest = split_long(rest)
            yield from ready
    if rest or not fed:
        yield from split_long(rest)
