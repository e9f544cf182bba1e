"""Exports in formats that are no stream: Parquet and XLSX, made in a temporary file.

The rows come page by page as for every export; what needs the processor (one page, one file) is
done in a thread, so that the server goes on answering.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import duckdb
import xlsxwriter

from gridmill.datasets.errors import RowLimitExceeded
from gridmill.datasets.model import Column, Row
from gridmill.kit.values import DataType
from gridmill.storage import grids

XLSX_ROWS = 1_048_575
"""Rows of a sheet under its header."""

_XLSX_CHARACTERS = 32_767
_XLSX_DIGITS = 15
_FIRST_EXCEL_YEAR = 1900
_READ_BYTES = 2**18
_DUCKDB_MEMORY = "512MB"
# Of one file DuckDB keeps the buffers, and it writes groups of 122,880 rows unless told: with parts
# and small groups it needs 50 MiB for a million rows where it needed 200.
_PART_BYTES = 2**20
_GROUP_BYTES = 4 * 2**20
_MOST_GROUP_ROWS = 122_880
_VECTOR_ROWS = 2_048
_OFFSET = r"T.*(Z|[+-]\d\d:?\d\d)$"
_DUCKDB_TYPES = {
    DataType.INTEGER: "BIGINT",
    DataType.NUMBER: "DOUBLE",
    DataType.BOOLEAN: "BOOLEAN",
    DataType.DATE: "DATE",
    DataType.DATETIME: "TIMESTAMP",
}

Page = TypeVar("Page")
Taken_contra = TypeVar("Taken_contra", contravariant=True)
Extras = Callable[[Row], Sequence[str]]
"""The texts after a row's values: its metadata, or none."""


class Maker(Protocol[Taken_contra]):
    """Makes one file: `add` page after page, then `finish`; both are called in a thread."""

    def add(self, page: Taken_contra) -> None:
        """Add rows."""
        ...

    def finish(self) -> Path:
        """The finished file."""
        ...


async def stream_file(
    pages: AsyncIterator[Page], make: Callable[[Path], Maker[Page]]
) -> AsyncIterator[bytes]:
    """The bytes of the file that a `Maker` makes of the pages; the file is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="gridmill-export-") as folder:
        maker = await asyncio.to_thread(make, Path(folder))
        async for page in pages:
            await asyncio.to_thread(maker.add, page)
        path = await asyncio.to_thread(maker.finish)
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _READ_BYTES):
                yield chunk


def quote_rows(rows: Sequence[Row], columns: Sequence[Column], extras: Extras) -> grids.CsvText:
    """Rows as `grids.read_csv` writes them in quotes, with extras behind their values."""
    numbers = [column.column_no for column in columns]
    lines: list[bytes] = []
    for row in rows:
        values = [row.values[number] for number in numbers]
        texts = (text or None for text in extras(row))
        lines.append((",".join(map(_quote, [*values, *texts])) + "\n").encode())
    return grids.CsvText(b"".join(lines), len(lines))


class ParquetMaker:
    """Typed columns by DuckDB, out of CSV on disk: constant memory for any number of rows.

    Moments are in UTC, without a zone.
    An integer column with a value beyond 64 bits, and a value that does not fit its column's type
    any more, are what the whole column is written as text for.
    """

    def __init__(self, folder: Path, columns: Sequence[Column], names: Sequence[str]) -> None:
        self._folder = folder
        self._columns = columns
        self._names = names
        self._parts: list[Path] = []
        self._room = self._largest = self._rows = self._bytes = 0

    def add(self, page: grids.CsvText) -> None:
        """Append rows to the CSV: a quoted text is a value, nothing at all is NULL."""
        if self._room <= 0 or not self._parts:
            self._parts.append(self._folder / f"rows-{len(self._parts)}.csv")
            self._room = _PART_BYTES
        with self._parts[-1].open("ab") as file:
            file.write(page.text)
            self._largest = max(self._largest, file.tell())
        self._room -= len(page.text)
        self._rows += page.rows
        self._bytes += len(page.text)

    def finish(self) -> Path:
        """The Parquet file, compressed with Zstandard."""
        self.add(grids.CsvText(b"", 0))  # of no rows a file with a header, too
        target = self._folder / "rows.parquet"
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": "1",
            "memory_limit": _DUCKDB_MEMORY,
            "temp_directory": str(self._folder / "spill"),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "preserve_insertion_order": "true",
        }
        with duckdb.connect(config=config) as database:
            fitting = self._find_fitting(database)
            fields = ", ".join(
                f"{_cast(number, fitting.get(number))} AS {_name(name)}"
                for number, name in enumerate(self._names)
            )
            whole = f"SELECT {fields} FROM {self._source}"  # noqa: S608 - names are quoted
            database.execute(
                f"COPY ({whole}) TO '{_escape(str(target))}' (FORMAT parquet, COMPRESSION zstd,"
                f" ROW_GROUP_SIZE {self._group_rows})"
            )
        return target

    @property
    def _source(self) -> str:
        # A part is read in one buffer, so that DuckDB never guesses where in a buffer a row
        # begins: it was seen to guess wrong.
        parts = ", ".join(f"'{_escape(str(part))}'" for part in self._parts)
        columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(self._names)))
        return (
            f"read_csv([{parts}], header=false, auto_detect=false, delim=',',"
            " quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false,"
            " new_line='\\n', parallel=false,"
            f" max_line_size={self._largest + 1}, buffer_size={self._largest + 2},"
            f" columns={{{columns}}})"
        )

    @property
    def _group_rows(self) -> int:
        # A group is held whole before it is written; DuckDB counts in vectors.
        fitting = self._rows * _GROUP_BYTES // max(self._bytes, 1)
        return max(_VECTOR_ROWS, min(_MOST_GROUP_ROWS, fitting // _VECTOR_ROWS * _VECTOR_ROWS))

    def _find_fitting(self, database: duckdb.DuckDBPyConnection) -> dict[int, str]:
        """DuckDB's types of the columns all of whose values fit them."""
        wanted = {
            number: _DUCKDB_TYPES[column.data_type]
            for number, column in enumerate(self._columns)
            if column.data_type in _DUCKDB_TYPES
        }
        if not wanted:
            return {}
        checks = ", ".join(
            f"count(c{number}) = count(TRY_CAST(c{number} AS {name}))"
            for number, name in wanted.items()
        )
        found = database.execute(f"SELECT {checks} FROM {self._source}").fetchone()  # noqa: S608 - names are ours
        assert found is not None  # noqa: S101 - an aggregate without groups gives one row
        return {
            number: name for (number, name), fits in zip(wanted.items(), found, strict=True) if fits
        }


class XlsxMaker:
    """One sheet, written row by row: constant memory.

    Numbers of up to 15 digits are numbers and dates are dates; everything else is text and never a
    formula. A text is cut at Excel's 32,767 characters.
    """

    def __init__(
        self, folder: Path, columns: Sequence[Column], names: Sequence[str], extras: Extras
    ) -> None:
        self._path = folder / "rows.xlsx"
        self._columns = columns
        self._extras = extras
        self._book = xlsxwriter.Workbook(
            str(self._path), {"constant_memory": True, "tmpdir": str(folder)}
        )
        self._sheet: Any = self._book.add_worksheet("data")
        self._date: Any = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._moment: Any = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for position, name in enumerate(names):
            self._sheet.write_string(0, position, name[:_XLSX_CHARACTERS])
        self._row = 0

    def add(self, page: Sequence[Row]) -> None:
        """Write rows. Raises `RowLimitExceeded` when the sheet is full."""
        for row in page:
            self._row += 1
            if self._row > XLSX_ROWS:
                raise RowLimitExceeded(too_many_for_xlsx())
            for position, column in enumerate(self._columns):
                text = row.values[column.column_no]
                if text is not None:
                    self._write(position, text, column.data_type)
            for position, text in enumerate(self._extras(row), len(self._columns)):
                if text:
                    self._write(position, text, DataType.TEXT)

    def finish(self) -> Path:
        """The workbook."""
        self._book.close()
        return self._path

    def _write(self, position: int, text: str, data_type: DataType) -> None:
        sheet, row = self._sheet, self._row
        match data_type:
            case DataType.INTEGER | DataType.NUMBER if _is_short_number(text):
                sheet.write_number(row, position, float(text))
            case DataType.BOOLEAN if text in {"true", "false"}:
                sheet.write_boolean(row, position, text == "true")
            case DataType.DATE | DataType.DATETIME if moment := _read_moment(text):
                is_date = data_type is DataType.DATE
                sheet.write_datetime(row, position, moment, self._date if is_date else self._moment)
            case _:
                sheet.write_string(row, position, text[:_XLSX_CHARACTERS])


def too_many_for_xlsx() -> str:
    """The words of the limit."""
    return f"A sheet holds {XLSX_ROWS:,} rows under its header; export fewer, or as csv or parquet."


def _is_short_number(text: str) -> bool:
    """Whether a spreadsheet, which keeps 15 digits, keeps all of this number's."""
    digits = text.lstrip("-").replace(".", "", 1)
    return digits.isdecimal() and len(digits.lstrip("0")) <= _XLSX_DIGITS


def _read_moment(text: str) -> datetime | None:
    """The moment in UTC, without a zone, when a spreadsheet can hold it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment if moment.year >= _FIRST_EXCEL_YEAR else None


def _cast(number: int, wanted: str | None) -> str:
    """A column of the CSV as that type of DuckDB's; without one, text."""
    if wanted is None:
        return f"c{number}"
    plain = f"CAST(c{number} AS {wanted})"
    if wanted != "TIMESTAMP":
        return plain
    # The plain cast passes over an offset.
    in_utc = f"make_timestamp(epoch_us(CAST(c{number} AS TIMESTAMPTZ)))"
    return f"CASE WHEN regexp_matches(c{number}, '{_OFFSET}') THEN {in_utc} ELSE {plain} END"


def _quote(text: str | None) -> str:
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _escape(text: str) -> str:
    return text.replace("'", "''")
