"""JSON Lines: one object a line, read as it streams by."""

from pathlib import Path

from gridmill.datasources.parsing.encodings import open_text
from gridmill.datasources.parsing.model import Parsed
from gridmill.datasources.parsing.records import RecordReader


def parse_jsonl(path: Path, spool_path: Path, encoding: str) -> Parsed:
    """Read a record a line, blank lines left out; raises `ParseFailure` naming the line."""
    reader = RecordReader(spool_path)
    with open_text(path, encoding, newline=None) as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text:
                reader.add(text.encode(), f"Line {number}")
    return reader.finish()
