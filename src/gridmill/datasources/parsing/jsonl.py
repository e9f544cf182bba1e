"""JSON Lines: one object a line, read as it streams by."""

from itertools import islice
from pathlib import Path

from gridmill.datasources.parsing.encodings import open_text
from gridmill.datasources.parsing.model import Parsed
from gridmill.datasources.parsing.records import RecordReader


def parse_jsonl(path: Path, spool_path: Path, encoding: str, most: int | None = None) -> Parsed:
    """Read a record a line, blank lines left out; raises `ParseFailure` naming the line.

    `most` ends the reading after so many records.
    """
    reader = RecordReader(spool_path)
    with open_text(path, encoding, newline=None) as file:
        lines = ((number, text) for number, line in enumerate(file, 1) if (text := line.strip()))
        for number, text in islice(lines, most):
            reader.add(text.encode(), f"Line {number}")
    return reader.finish()
