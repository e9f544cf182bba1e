"""Plain text to pages: a form feed ends a page, and so does a bound on its length.

Joined with the form feeds put back where they were, the pages are the document to the letter.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from gridmill.datasources.parsing.encodings import open_text
from gridmill.datasources.parsing.model import Parsed, ParsedColumn, ParseFailure
from gridmill.datasources.parsing.spool import Spool
from gridmill.kit.values import DataType

PAGE_CHARACTERS = 4_000
"""The most characters of a page: about a printed one."""

_READ = 1 << 16
_BREAKS = ("\n\n", "\n", " ")


def parse_text(path: Path, spool_path: Path, encoding: str, most: int | None = None) -> Parsed:
    """Read a document into rows `{page, text}`; raises `ParseFailure` when it holds no text.

    `most` ends the reading after so many pages.
    """
    with open_text(path, encoding, newline="") as file, Spool(spool_path, 2) as spool:
        blank = True
        line = 1
        for number, page in enumerate(islice(split_pages(file), most), 1):
            if "\0" in page:
                line += page.partition("\0")[0].count("\n")
                raise ParseFailure(f"Line {line} holds a NUL character (a zero byte).")
            line += page.count("\n")
            blank = blank and not page.strip()
            spool.write_cells([(str(number), page)])
        if blank and spool.rows != most:
            raise ParseFailure("The file holds no text: it is blank.")
        spool.close()
        columns = (ParsedColumn("page", DataType.INTEGER), ParsedColumn("text", DataType.TEXT))
        return Parsed(columns, spool.rows, pages=spool.rows)


def split_pages(file: TextIO) -> Iterator[str]:
    """Pages of a text that is read as it goes; no page holds a form feed."""
    rest = ""
    fed = False
    while piece := file.read(_READ):
        rest += piece
        *ended, rest = rest.split("\f")
        for section in ended:
            yield from _split_long(section)
        fed = fed or bool(ended)
        if len(rest) > _READ:
            *ready, rest = _split_long(rest)
            yield from ready
    if rest or not fed:
        yield from _split_long(rest)


def _split_long(section: str) -> Iterator[str]:
    """A section in pages, each ending after a paragraph, a line or a word where it can."""
    start = 0
    while len(section) - start > PAGE_CHARACTERS:
        end = start + PAGE_CHARACTERS
        for separator in _BREAKS:
            found = section.rfind(separator, start + PAGE_CHARACTERS // 2, end)
            if found >= 0:
                end = found + len(separator)
                break
        yield section[start:end]
        start = end
    yield section[start:]
