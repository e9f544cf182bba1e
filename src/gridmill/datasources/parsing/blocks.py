"""Delimited text to rows a block of lines at a time, as long as the table is regular.

In most tables nearly every line is plain: no quotes, nothing to escape, as many fields as the
header. A block of such lines becomes COPY text by putting tabs for delimiters, and its columns
are slices of one list. Lines with quotes go through `csv.reader`; where a quoted field goes on
over lines, or a text needs escaping, the whole block does.
"""

import csv
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from typing import TextIO

from gridmill.datasources.parsing.spool import Spool

# Characters of a block: its lists stay small beside what a child process may use.
_BLOCK = 1 << 16


class Irregular(Exception):
    """The table needs the reading that looks at every record and knows its line."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written: its delimiter, its number of fields, whether quotes mean anything."""

    delimiter: str
    width: int
    quoting: bool


def spool_blocks(file: TextIO, layout: Layout, spool: Spool) -> None:
    """Write the rest of `file`, which stands at a record's start, into the spool.

    Raises `Irregular` at anything else than records of the layout's width and blank lines.
    """
    while block := file.read(_BLOCK):
        block += file.readline()
        text = _to_lines(block, layout)
        columns = None if text is None else _cut_columns(text, layout.width)
        if text is not None and columns is not None:
            spool.write_lines(text, columns)
        elif rows := _read_records(block, file, layout):
            spool.write_texts(rows)


def _to_lines(block: str, layout: Layout) -> str | None:
    """The block with its fields parted by tabs, without its last line end, if that is easy."""
    delimiter = layout.delimiter
    # A blank line of a single column may be a row: only the exact reading knows.
    if layout.width == 1 or "\\" in block or "\0" in block:
        return None
    if delimiter != "\t" and "\t" in block:
        return None
    if "\r" in block:
        block = block.replace("\r\n", "\n").replace("\r", "\n")
    block = block.removesuffix("\n")
    if not layout.quoting or '"' not in block:
        return block.replace(delimiter, "\t")
    lines = block.split("\n")
    quoted = [line for line in lines if '"' in line]
    try:
        records = list(csv.reader(quoted, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    # Fewer records than lines: a field goes on over lines, of which some are not here.
    if len(records) != len(quoted) or set(map(len, records)) != {layout.width}:
        return None
    texts = map("\t".join, records)
    return "\n".join(
        [next(texts) if '"' in line else line.replace(delimiter, "\t") for line in lines]
    )


def _cut_columns(text: str, width: int) -> list[list[str]] | None:
    """The columns of lines parted by tabs; `None` unless each has `width` fields."""
    fields = text.replace("\n", "\t\n\t").split("\t")
    ends = fields[width :: width + 1]
    # The line ends stand where they should when all that there are stand there, and nothing else.
    if not ends.count("\n") == len(ends) == text.count("\n"):
        return None
    if len(fields) != (len(ends) + 1) * (width + 1) - 1:
        return None
    return [fields[place :: width + 1] for place in range(width)]


def _read_records(block: str, file: TextIO, layout: Layout) -> list[list[str]]:
    """The block's records; a last one that goes on beyond it is read to its end."""
    lines = list(StringIO(block, newline=""))
    quoting = csv.QUOTE_MINIMAL if layout.quoting else csv.QUOTE_NONE
    reader = csv.reader(
        chain(lines, file), delimiter=layout.delimiter, strict=True, quoting=quoting
    )
    rows: list[list[str]] = []
    try:
        while reader.line_num < len(lines):
            rows.append(next(reader))
    except csv.Error:
        raise Irregular from None
    if layout.width > 1 and [] in rows:
        rows = [row for row in rows if row]
    if not set(map(len, rows)) <= {layout.width}:
        raise Irregular
    if "\0" in "".join(chain.from_iterable(rows)):
        raise Irregular
    return rows
