r"""The spool: rows on their way from a parser to a grid, as PostgreSQL's COPY text.

One row a line, cells parted by tabs, `\N` for an empty cell; the server takes the bytes as they
are. Columns may appear while rows are written (JSON): rows before them are lengthened at the end.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from gridmill.datasources.parsing.model import (
    CODE_ROW_LIMIT,
    MAX_ROWS,
    ParseFailure,
)
from gridmill.kit.values import DataType, TypeInference

_NULL = "\\N"
_SPECIAL = re.compile(r"[\\\t\n\r]")
_BREAKING = re.compile(r"[\\\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ESCAPED = re.compile(r"\\(.)")
_MEANINGS = {"t": "\t", "n": "\n", "r": "\r"}


class Spool:
    """Writes rows to a file and finds the columns' types meanwhile."""

    def __init__(self, path: Path, columns: int = 0) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8", newline="")
        self._inference = [TypeInference() for _ in range(columns)]
        self._widths: list[tuple[int, int]] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add_column(self) -> None:
        """Put one more column behind the others, empty in the rows so far."""
        if self.rows and (not self._widths or self._widths[-1][0] != self.rows):
            self._widths.append((self.rows, len(self._inference)))
        self._inference.append(TypeInference())

    def write_texts(self, rows: Sequence[Sequence[str]]) -> None:
        """Append rows where the empty text is an empty cell; all of them as wide as the spool."""
        if not rows:
            return
        width = len(self._inference)
        text = "\n".join(["\t".join(row) for row in rows])
        clean = (
            "\\" not in text
            and "\r" not in text
            and text.count("\n") == len(rows) - 1
            and text.count("\t") == (width - 1) * len(rows)
        )
        self.write_lines(
            text if clean else "\n".join(map(_escape, rows)), list(zip(*rows, strict=True))
        )

    def write_lines(self, text: str, columns: Sequence[Sequence[str]]) -> None:
        """Append rows that are lines already, cells parted by tabs and none in need of an escape.

        The empty text is an empty cell; `columns` are the same cells by column.
        """
        self._count(len(columns[0]))
        self._file.write(f"{text}\n" if all(map(all, columns)) else _mark_empty(text))
        for inference, column in zip(self._inference, columns, strict=True):
            inference.add_all(column)

    def write_cells(self, rows: Sequence[Sequence[str | None]]) -> None:
        """Append rows as wide as the spool, `None` for an empty cell and texts exactly as given."""
        self._count(len(rows))
        for row in rows:
            line = "\t".join(
                [
                    _NULL
                    if cell is None
                    else cell.translate(_ESCAPES)
                    if _SPECIAL.search(cell)
                    else cell
                    for cell in row
                ]
            )
            self._file.write(line + "\n")
        for inference, column in zip(self._inference, zip(*rows, strict=True), strict=True):
            inference.add_all(column)

    def close(self) -> list[DataType]:
        """Finish the file, so that every row has every column; the columns' types."""
        self._file.close()
        if self._widths:
            self._lengthen()
        return [inference.result() for inference in self._inference]

    def _count(self, rows: int) -> None:
        self.rows += rows
        if self.rows > MAX_ROWS:
            raise ParseFailure(
                f"The file holds more than {MAX_ROWS:,} rows, the limit of one data source.",
                CODE_ROW_LIMIT,
            )

    def _lengthen(self) -> None:
        whole = self._path.with_name(self._path.name + ".whole")
        marks = iter([*self._widths, (self.rows, len(self._inference))])
        until, width = next(marks)
        tail = self._make_tail(width)
        with self._path.open("rb") as narrow, whole.open("wb") as wide:
            for number, line in enumerate(narrow):
                while number >= until:
                    until, width = next(marks)
                    tail = self._make_tail(width)
                wide.write(line[:-1] + tail if tail != b"\n" else line)
        whole.replace(self._path)

    def _make_tail(self, width: int) -> bytes:
        missing = [b"\\N"] * (len(self._inference) - width)
        return b"\t".join([b"", *missing] if width else missing) + b"\n"


def read_rows(path: Path, most: int) -> Iterator[list[str | None]]:
    """The first rows of a finished spool."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in islice(file, most):
            cells = line.removesuffix("\n").split("\t")
            yield [None if cell == _NULL else _ESCAPED.sub(_unescape, cell) for cell in cells]


def _unescape(escaped: re.Match[str]) -> str:
    return _MEANINGS.get(escaped[1], escaped[1])


def _escape(row: Sequence[str]) -> str:
    line = "\t".join(row)
    if line.count("\t") < len(row) and not _BREAKING.search(line):
        return line
    return "\t".join([cell.translate(_ESCAPES) for cell in row])


def _mark_empty(whole: str) -> str:
    r"""Rows without special characters, each ended by a line break, `\N` in empty cells."""
    text = f"\n{whole}\n"
    # Replacing pairs from the left misses every other one in a run: equal marks take two rounds.
    for pair in ("\t\t", "\t\t", "\n\t", "\t\n", "\n\n", "\n\n"):
        if pair in text:
            text = text.replace(pair, pair[0] + _NULL + pair[1])
    return text[1:]
