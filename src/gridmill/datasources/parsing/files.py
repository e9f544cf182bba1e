"""The way in for a child process: a file to a spool and what is in it."""

import codecs
from pathlib import Path

from gridmill.datasources.parsing.csv import parse_delimited
from gridmill.datasources.parsing.encodings import find_encoding, locate_fault
from gridmill.datasources.parsing.json import parse_json_document
from gridmill.datasources.parsing.jsonl import parse_jsonl
from gridmill.datasources.parsing.model import Format, Parsed, ParseFailure, ParseOptions
from gridmill.datasources.parsing.text import parse_text


def parse_file(path: str, spool_path: str, content_type: str, options: ParseOptions) -> Parsed:
    """Read `path` as `content_type` and write its rows to `spool_path` as COPY text.

    Raises `ParseFailure` (picklable) for whatever is wrong with the file, naming the line.
    """
    source, spool = Path(path), Path(spool_path)
    content = Format(content_type)
    if content in {Format.XLSX, Format.PARQUET}:
        return _parse_binary(source, spool, content, options)
    encoding = find_encoding(source, options.encoding)
    try:
        return _parse(source, spool, content, encoding, options)
    except UnicodeError:
        line = locate_fault(source, encoding) or 1
        raise ParseFailure(
            f"Line {line} is not {codecs.lookup(encoding).name.removesuffix('-sig').upper()}."
        ) from None
    except MemoryError:
        raise ParseFailure(
            "The file needs more memory to be read than is allowed; JSON Lines or CSV need less."
        ) from None


def _parse_binary(source: Path, spool: Path, content: Format, options: ParseOptions) -> Parsed:
    # Imported here: their libraries take time and memory that the other formats need not spend.
    from gridmill.datasources.parsing.parquet import parse_parquet
    from gridmill.datasources.parsing.workbook import parse_workbook

    try:
        if content is Format.XLSX:
            return parse_workbook(source, spool, options)
        return parse_parquet(source, spool)
    except MemoryError:
        raise ParseFailure("The file needs more memory to be read than is allowed.") from None


def _parse(
    source: Path, spool: Path, content: Format, encoding: str, options: ParseOptions
) -> Parsed:
    match content:
        case Format.CSV | Format.TSV:
            preferred = "\t" if content is Format.TSV else ","
            return parse_delimited(source, spool, encoding, options, preferred)
        case Format.JSON:
            return parse_json_document(source, spool, encoding)
        case Format.JSONL:
            return parse_jsonl(source, spool, encoding)
        case Format.TEXT:
            return parse_text(source, spool, encoding)
        case Format.XLSX | Format.PARQUET:
            return _parse_binary(source, spool, content, options)
