"""The way in for a child process: a file to a spool and what is in it."""

import codecs
from dataclasses import replace
from pathlib import Path

from gridmill.datasources.parsing.csv import parse_delimited
from gridmill.datasources.parsing.documents import parse_document
from gridmill.datasources.parsing.encodings import find_encoding, locate_fault
from gridmill.datasources.parsing.json import parse_json_document
from gridmill.datasources.parsing.jsonl import parse_jsonl
from gridmill.datasources.parsing.model import (
    DOCUMENTS,
    Format,
    Parsed,
    ParseFailure,
    ParseOptions,
    Preview,
)
from gridmill.datasources.parsing.sniff import HEAD_BYTES
from gridmill.datasources.parsing.spool import read_rows
from gridmill.datasources.parsing.text import parse_text

SAMPLE_ROWS = 1_000
"""Rows that a preview reads, of each sheet of a workbook."""

PREVIEW_PAGES = 3
"""Pages of a document that a preview reads: each may be a scan."""

PREVIEW_ROWS = 20
PREVIEW_CHARACTERS = 1_000
"""What a preview shows: its rows, and of a cell its first characters."""

_LINED = frozenset(Format) - DOCUMENTS | {Format.TEXT}
"""Formats of which a thousand rows take no time."""

_SELF_DESCRIBED = DOCUMENTS - {Format.TEXT, Format.MARKDOWN, Format.HTML}
"""Documents that say themselves how their text is encoded."""

_TOO_LARGE = "The file needs more memory to be read than is allowed."


def preview_file(path: str, spool_path: str, content_type: str, options: ParseOptions) -> Preview:
    """The first rows of `path` as `parse_file` would read them, without reading on.

    Raises `ParseFailure` for what is wrong with the file as far as it was read.
    """
    most = SAMPLE_ROWS if Format(content_type) in _LINED else PREVIEW_PAGES
    parsed = parse_file(path, spool_path, content_type, options, most=most)
    width = len(parsed.columns)
    rows = tuple(
        tuple(_cut(cell) for cell in row[:width])
        for row in read_rows(Path(spool_path), PREVIEW_ROWS)
    )
    return Preview(parsed.columns, rows, parsed.dialect)


def _cut(cell: str | None) -> str | None:
    if cell is None or len(cell) <= PREVIEW_CHARACTERS:
        return cell
    return cell[:PREVIEW_CHARACTERS] + "…"


def parse_file(
    path: str,
    spool_path: str,
    content_type: str,
    options: ParseOptions,
    *,
    most: int | None = None,
) -> Parsed:
    """Read `path` as `content_type` and write its rows to `spool_path` as COPY text.

    `most` ends the reading after so many rows (of each sheet). Raises `ParseFailure` (picklable)
    for whatever is wrong with the file, naming the line.
    """
    source, spool = Path(path), Path(spool_path)
    content = Format(content_type)
    if content in {Format.XLSX, Format.PARQUET} or content in _SELF_DESCRIBED:
        return _parse_binary(source, spool, content, options, most)
    encoding = _find_encoding(source, content, options)
    try:
        parsed = _parse(source, spool, content, encoding, options, most=most)
        return replace(parsed, dialect=replace(parsed.dialect, encoding=_name(encoding)))
    except UnicodeError:
        line = locate_fault(source, encoding) or 1
        raise ParseFailure(f"Line {line} is not {_name(encoding).upper()}.") from None
    except MemoryError:
        way_out = "Split it." if content in DOCUMENTS else "JSON Lines or CSV need less."
        raise ParseFailure(f"{_TOO_LARGE} {way_out}") from None


def _find_encoding(source: Path, content: Format, options: ParseOptions) -> str:
    if content is Format.HTML and options.encoding is None:
        from gridmill.providers.documents.html import find_charset

        with source.open("rb") as file:
            declared = find_charset(file.read(HEAD_BYTES))
        if declared is not None and locate_fault(source, declared) is None:
            return declared
    return find_encoding(source, options.encoding)


def _name(encoding: str) -> str:
    """An encoding as an uploader may say it."""
    return codecs.lookup(encoding).name.removesuffix("-sig")


def _parse_binary(
    source: Path, spool: Path, content: Format, options: ParseOptions, most: int | None
) -> Parsed:
    # Imported here: their libraries take time and memory that the other formats need not spend.
    try:
        match content:
            case Format.XLSX:
                from gridmill.datasources.parsing.workbook import parse_workbook

                return parse_workbook(source, spool, options, most)
            case Format.PARQUET:
                from gridmill.datasources.parsing.parquet import parse_parquet

                return parse_parquet(source, spool, most)
            case _:
                return parse_document(source, spool, content, options.encoding or "utf-8", most)
    except MemoryError:
        raise ParseFailure(_TOO_LARGE) from None


def _parse(
    source: Path,
    spool: Path,
    content: Format,
    encoding: str,
    options: ParseOptions,
    *,
    most: int | None,
) -> Parsed:
    match content:
        case Format.CSV | Format.TSV:
            preferred = "\t" if content is Format.TSV else ","
            return parse_delimited(source, spool, encoding, options, preferred=preferred, most=most)
        case Format.JSON:
            return parse_json_document(source, spool, encoding, most)
        case Format.JSONL:
            return parse_jsonl(source, spool, encoding, most)
        case Format.TEXT:
            return parse_text(source, spool, encoding, most)
        case Format.HTML | Format.MARKDOWN:
            return parse_document(source, spool, content, encoding, most)
        case _:
            return _parse_binary(source, spool, content, options, most)
