"""Delimited text, CSV and TSV, to rows.

A shorter row is filled up with empty cells. A longer one is malformed, unless what it has beyond
the header is empty: nothing is lost in silence. Blank lines are left out; in a table of one
column they are empty rows, but for those at the end. Quoting is Excel's; a tab-separated file
that breaks its rules is read once more with quotes as ordinary characters.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from gridmill.datasources.parsing.blocks import Irregular, Layout, spool_blocks
from gridmill.datasources.parsing.dialect import (
    FIELD_LIMIT,
    find_hint,
    guess_delimiter,
    has_header,
    read_sample,
)
from gridmill.datasources.parsing.encodings import open_text
from gridmill.datasources.parsing.model import (
    Dialect,
    Parsed,
    ParsedColumn,
    ParseFailure,
    ParseOptions,
)
from gridmill.datasources.parsing.names import check_width, make_names
from gridmill.datasources.parsing.spool import Spool

_HEAD = 1 << 18
_CHUNK = 1_000


def parse_delimited(
    path: Path,
    spool_path: Path,
    encoding: str,
    options: ParseOptions,
    *,
    preferred: str,
    most: int | None = None,
) -> Parsed:
    """Read the table in `path` into the spool; `preferred` is the delimiter in case of doubt.

    `most` ends the reading after so many rows.

    Raises `ParseFailure` naming the line.
    """
    head, whole = _read_head(path, encoding)
    hint = find_hint(head)
    delimiter = options.delimiter
    if hint is not None:
        head = head[hint.length :]
        delimiter = delimiter or hint.delimiter
    if delimiter is None:
        guess = guess_delimiter(head, whole=whole)
        delimiter = guess.delimiter if guess else preferred
    header = options.header
    if header is None:
        header = has_header(read_sample(head, delimiter, whole=whole))
    reader = _Reader(
        path, encoding, delimiter, header=header, lines_before=1 if hint else 0, most=most
    )
    try:
        return reader.read_into(spool_path)
    except _BrokenQuotes as error:
        if delimiter != "\t":
            raise ParseFailure(error.message) from None
    return replace(reader, quoting=False).read_into(spool_path)


def _read_head(path: Path, encoding: str) -> tuple[str, bool]:
    with open_text(path, encoding, newline="") as file:
        head = file.read(_HEAD)
        return head, not file.read(1)


class _BrokenQuotes(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class _CsvReader(Protocol):
    """What `csv.reader` returns, which has no public name."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one table in one dialect; `lines_before` are no part of it."""

    path: Path
    encoding: str
    delimiter: str
    header: bool
    lines_before: int = 0
    most: int | None = None
    quoting: bool = True

    def read_into(self, spool_path: Path) -> Parsed:
        """Read the table, at first as a regular one, which needs no look at every record.

        Of a table of which few rows are wanted, every record is looked at.
        """
        if self.most is None:
            try:
                return self._read(spool_path, exactly=False)
            except Irregular:
                pass
        return self._read(spool_path, exactly=True)

    def _read(self, spool_path: Path, *, exactly: bool) -> Parsed:
        csv.field_size_limit(FIELD_LIMIT)
        with open_text(self.path, self.encoding, newline="") as file:
            for _ in range(self.lines_before):
                file.readline()
            quoting = csv.QUOTE_MINIMAL if self.quoting else csv.QUOTE_NONE
            reader = csv.reader(file, delimiter=self.delimiter, strict=True, quoting=quoting)
            records = self._read_records(reader)
            first = next((pair for pair in records if any(cell.strip() for cell in pair[1])), None)
            if first is None:
                raise ParseFailure("The file holds no table: it is blank.")
            line, top = first
            check_width(len(top), f"Line {line}")
            _check_nul(first)
            width = len(top)
            names = make_names(top if self.header else [""] * width)
            with Spool(spool_path, width) as spool:
                if exactly:
                    rest = records if self.header else _prepend(first, records)
                    fitted = _fit_single(rest) if width == 1 else _fit(rest, width)
                    for chunk in _cut(islice(fitted, self.most)):
                        spool.write_texts(chunk)
                else:
                    if not self.header:
                        spool.write_texts([top])
                    spool_blocks(file, Layout(self.delimiter, width, self.quoting), spool)
                columns = map(ParsedColumn, names, spool.close())
                dialect = Dialect(delimiter=self.delimiter, header=self.header)
                return Parsed(tuple(columns), spool.rows, dialect=dialect)

    def _read_records(self, reader: _CsvReader) -> Iterator[tuple[int, list[str]]]:
        """Records with the line that each begins on."""
        before = self.lines_before
        line = before + 1
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _BrokenQuotes(_describe(error, line, before + reader.line_num)) from None
            yield line, record
            line = before + reader.line_num + 1


def _cut(records: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    while chunk := list(islice(records, _CHUNK)):
        yield chunk


def _prepend(
    first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _fit(records: Iterator[tuple[int, list[str]]], width: int) -> Iterator[list[str]]:
    for line, record in records:
        extra = len(record) - width
        if extra:
            if len(record) <= 1 and not "".join(record).strip():
                continue
            if extra > 0:
                if any(record[width:]):
                    raise ParseFailure(
                        f"Line {line} has {len(record)} fields, the header has {width}."
                    )
                del record[width:]
            else:
                record.extend([""] * -extra)
        if "\0" in "".join(record):
            _check_nul((line, record))
        yield record


def _fit_single(records: Iterator[tuple[int, list[str]]]) -> Iterator[list[str]]:
    blanks = 0
    for line, record in records:
        if not record:
            blanks += 1
            continue
        if any(record[1:]):
            raise ParseFailure(f"Line {line} has {len(record)} fields, the header has 1.")
        _check_nul((line, record))
        for _ in range(blanks):
            yield [""]
        blanks = 0
        yield record[:1]


def _check_nul(pair: tuple[int, list[str]]) -> None:
    line, record = pair
    if any("\0" in cell for cell in record):
        raise ParseFailure(f"Line {line} holds a NUL character (a zero byte).")


def _describe(error: csv.Error, start: int, line: int) -> str:
    if "unexpected end of data" in str(error):
        return f"Line {start}: a quote is opened and never closed."
    if start == line:
        return f"Line {start}: a quoted field goes on after its closing quote."
    return f"Line {line} (in the record that begins on line {start}): a quoted field goes on after its closing quote."
