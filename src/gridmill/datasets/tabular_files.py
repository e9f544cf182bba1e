"""Exports in formats that are no stream: Parquet and XLSX, made in a temporary file.

The rows come page by page as for every export; what needs the processor (one page, one file) is
done in a thread, so that the server goes on answering.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import xlsxwriter

from gridmill.datasets.errors import RowLimitExceeded
from gridmill.datasets.model import Column, Row
from gridmill.kit.values import DataType

XLSX_ROWS = 1_048_575
"""Rows of a sheet under its header."""

_XLSX_CHARACTERS = 32_767
_XLSX_DIGITS = 15
_FIRST_EXCEL_YEAR = 1900
_READ_BYTES = 2**18
_DUCKDB_MEMORY = "512MB"
# A row is one line of the CSV between; 300 cells of 8 MiB are beyond what a dataset can hold.
_LONGEST_LINE = 2**31 - 1
_OFFSET = r"T.*(Z|[+-]\d\d:?\d\d)$"
_DUCKDB_TYPES = {
    DataType.INTEGER: "BIGINT",
    DataType.NUMBER: "DOUBLE",
    DataType.BOOLEAN: "BOOLEAN",
    DataType.DATE: "DATE",
    DataType.DATETIME: "TIMESTAMP",
}

Pages = AsyncIterator[Sequence[Row]]
Extras = Callable[[Row], Sequence[str]]
"""The texts after a row's values: its metadata, or none."""


class Maker(Protocol):
    """Makes one file: `add` page after page, then `finish`; both are called in a thread."""

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        ...

    def finish(self) -> Path:
        """The finished file."""
        ...


async def stream_file(pages: Pages, make: Callable[[Path], Maker]) -> AsyncIterator[bytes]:
    """The bytes of the file that a `Maker` makes of the pages; the file is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="gridmill-export-") as folder:
        maker = await asyncio.to_thread(make, Path(folder))
        async for rows in pages:
            await asyncio.to_thread(maker.add, rows)
        path = await asyncio.to_thread(maker.finish)
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _READ_BYTES):
                yield chunk


class ParquetMaker:
    """Typed columns by DuckDB, out of a CSV on disk: constant memory for any number of rows.

    Moments are in UTC, without a zone.
    An integer column with a value beyond 64 bits, and a value that does not fit its column's type
    any more, are what the whole column is written as text for.
    """

    def __init__(
        self, folder: Path, columns: Sequence[Column], extra_names: Sequence[str], extras: Extras
    ) -> None:
        self._folder = folder
        self._columns = columns
        self._names = [*(column.name for column in columns), *extra_names]
        self._extras = extras
        self._raw = folder / "rows.csv"

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows to the CSV: a quoted text is a value, nothing at all is NULL."""
        numbers = [column.column_no for column in self._columns]
        with self._raw.open("a", encoding="utf-8", newline="") as file:
            for row in rows:
                values = [row.values[number] for number in numbers]
                extras = (text or None for text in self._extras(row))
                file.write(",".join(map(_quote, [*values, *extras])) + "\n")

    def finish(self) -> Path:
        """The Parquet file, compressed with Zstandard."""
        self._raw.touch()
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
            fields = ", ".join(
                f"{self._choose_value(database, number)} AS {_name(name)}"
                for number, name in enumerate(self._names)
            )
            whole = f"SELECT {fields} FROM {self._source}"  # noqa: S608 - names are quoted
            database.execute(
                f"COPY ({whole}) TO '{_escape(str(target))}' (FORMAT parquet, COMPRESSION zstd)"
            )
        return target

    @property
    def _source(self) -> str:
        columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(self._names)))
        return (
            f"read_csv('{_escape(str(self._raw))}', header=false, auto_detect=false, delim=',',"
            " quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false,"
            f" max_line_size={_LONGEST_LINE}, columns={{{columns}}})"
        )

    def _choose_value(self, database: duckdb.DuckDBPyConnection, number: int) -> str:
        wanted = (
            _DUCKDB_TYPES.get(self._columns[number].data_type)
            if number < len(self._columns)
            else None
        )
        if wanted is None:
            return f"c{number}"
        cast = f"TRY_CAST(c{number} AS {wanted})"
        found = (
            f"SELECT 1 FROM {self._source} WHERE c{number} IS NOT NULL AND {cast} IS NULL LIMIT 1"  # noqa: S608 - names are ours
        )
        unfit = database.execute(found).fetchone()
        if unfit:
            return f"c{number}"
        plain = f"CAST(c{number} AS {wanted})"
        if wanted != "TIMESTAMP":
            return plain
        # The plain cast passes over an offset.
        in_utc = f"make_timestamp(epoch_us(CAST(c{number} AS TIMESTAMPTZ)))"
        return f"CASE WHEN regexp_matches(c{number}, '{_OFFSET}') THEN {in_utc} ELSE {plain} END"


class XlsxMaker:
    """One sheet, written row by row: constant memory.

    Numbers of up to 15 digits are numbers and dates are dates; everything else is text and never a
    formula. A text is cut at Excel's 32,767 characters.
    """

    def __init__(
        self, folder: Path, columns: Sequence[Column], extra_names: Sequence[str], extras: Extras
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
        for position, name in enumerate([*(column.name for column in columns), *extra_names]):
            self._sheet.write_string(0, position, name[:_XLSX_CHARACTERS])
        self._row = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows. Raises `RowLimitExceeded` when the sheet is full."""
        for row in rows:
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


def _quote(text: str | None) -> str:
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _escape(text: str) -> str:
    return text.replace("'", "''")
