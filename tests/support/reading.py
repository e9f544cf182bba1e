"""Files read by the parsers, as the database would have their rows."""

from pathlib import Path

import pytest

from gridmill.datasources.parsing.files import parse_file
from gridmill.datasources.parsing.model import Format, Parsed, ParseFailure, ParseOptions

NO_OPTIONS = ParseOptions()


def _unescape(cell: str) -> str | None:
    if cell == "\\N":
        return None
    found: list[str] = []
    letters = iter(cell)
    for letter in letters:
        if letter == "\\":
            escaped = next(letters)
            found.append({"n": "\n", "r": "\r", "t": "\t"}.get(escaped, escaped))
        else:
            found.append(letter)
    return "".join(found)


class Reading:
    """What came of a file: the parser's answer and the rows as COPY would read them."""

    def __init__(self, parsed: Parsed, spool: Path) -> None:
        self.parsed = parsed
        self.names = [column.name for column in parsed.columns]
        self.types = [column.data_type.value for column in parsed.columns]
        text = spool.read_bytes().decode()
        assert text == "" or text.endswith("\n")
        lines = text.split("\n")[:-1]
        cells = [[_unescape(cell) for cell in line.split("\t")] for line in lines]
        assert len(cells) == parsed.rows
        assert all(len(row) == parsed.width for row in cells)
        self.rows = [row[: len(self.names)] for row in cells]
        self.layouts = [row[-1] if parsed.has_layout else None for row in cells]


def read(
    folder: Path, raw: bytes | str, kind: Format = Format.CSV, options: ParseOptions = NO_OPTIONS
) -> Reading:
    path, spool = folder / "file", folder / "spool"
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    return Reading(parse_file(str(path), str(spool), kind.value, options), spool)


def fail(
    folder: Path, raw: bytes | str, kind: Format = Format.CSV, options: ParseOptions = NO_OPTIONS
) -> ParseFailure:
    with pytest.raises(ParseFailure) as caught:
        read(folder, raw, kind, options)
    return caught.value
