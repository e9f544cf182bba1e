"""Workbooks: what their cells say, and what is refused before a parser sees it."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from gridmill.datasources.parsing.model import Format, ParseOptions
from tests.support.reading import fail, read

Sheets = Mapping[str, Sequence[Sequence[Any]]]


def write_book(sheets: Sheets, hidden: Sequence[str] = (), at: tuple[int, int] = (0, 0)) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            if name in hidden:
                sheet.hide()
            for y, row in enumerate(rows, at[0]):
                for x, cell in enumerate(row, at[1]):
                    if isinstance(cell, datetime):
                        sheet.write_datetime(y, x, cell, moment)
                    elif isinstance(cell, date):
                        midnight = datetime.fromisoformat(cell.isoformat())
                        sheet.write_datetime(y, x, midnight, day)
                    elif isinstance(cell, str):
                        sheet.write_string(y, x, cell)
                    elif cell is not None:
                        sheet.write(y, x, cell)
    return buffer.getvalue()


def replace_part(book: bytes, name: str, change: tuple[bytes, bytes]) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.infolist():
            raw = old.read(part)
            if part.filename == name:
                assert change[0] in raw
                raw = raw.replace(*change)
            new.writestr(part.filename, raw)
    return buffer.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
SMALL = write_book({"A": [["a", "b"], ["x", 1], ["y", 2]]})


def test_cells_keep_what_they_say(tmp_path: Path) -> None:
    book = write_book(
        {
            "A": [
                ["id", "n", "f", "ok", "day", "at"],
                [
                    "00123",
                    3.0,
                    2.5,
                    True,
                    date(2024, 1, 31),
                    datetime.fromisoformat("2024-01-31T12:30:00"),
                ],
                [
                    "12345678901234567",
                    4,
                    1e20,
                    False,
                    date(2024, 2, 1),
                    datetime.fromisoformat("2024-02-01T00:00:00"),
                ],
                [None, None, None, None, None, None],
                ["line\nbreak", None, -0.25, None, None, None],
            ]
        }
    )
    reading = read(tmp_path, book, Format.XLSX)
    assert reading.names == ["id", "n", "f", "ok", "day", "at"]
    assert reading.types == ["text", "integer", "number", "boolean", "date", "datetime"]
    assert reading.rows == [
        ["00123", "3", "2.5", "true", "2024-01-31", "2024-01-31T12:30:00"],
        ["12345678901234567", "4", "1" + "0" * 20, "false", "2024-02-01", "2024-02-01T00:00:00"],
        ["line\nbreak", None, "-0.25", None, None, None],
    ]


def test_empty_rows_and_columns_before_a_table_are_skipped(tmp_path: Path) -> None:
    book = write_book({"A": [["a", "b"], ["x", 1], ["y", 2]]}, at=(5, 3))
    reading = read(tmp_path, book, Format.XLSX)
    assert (reading.names, reading.rows) == (["a", "b"], [["x", "1"], ["y", "2"]])


def test_several_sheets_are_one_table_that_names_them(tmp_path: Path) -> None:
    sheets: Sheets = {
        "North": [["city", "people"], ["Oslo", 1], ["Bergen", 2]],
        "Empty": [],
        "South": [["area", "city"], ["big", "Rome"], ["small", "Bari"]],
        "Notes": [["secret", "no"], ["x", "y"]],
    }
    book = write_book(sheets, hidden=["Notes"])
    reading = read(tmp_path, book, Format.XLSX, ParseOptions(header=True))
    assert reading.names == ["sheet", "city", "people", "area"]
    assert reading.rows == [
        ["North", "Oslo", "1", None],
        ["North", "Bergen", "2", None],
        ["South", "Rome", None, "big"],
        ["South", "Bari", None, "small"],
    ]
    named = read(tmp_path, book, Format.XLSX, ParseOptions(header=True, sheet="Notes"))
    assert (named.names, named.rows) == (["secret", "no"], [["x", "y"]])
    failure = fail(tmp_path, book, Format.XLSX, ParseOptions(sheet="West"))
    assert "it has: North, Empty, South, Notes" in failure.message


def test_a_sheet_of_nothing_but_a_header_has_no_rows(tmp_path: Path) -> None:
    book = write_book({"A": [["a", "a", None, "b"]]})
    reading = read(tmp_path, book, Format.XLSX, ParseOptions(header=True))
    assert (reading.names, reading.rows) == (["a", "a_2", "column_3", "b"], [])


def test_one_cell_in_the_last_corner_is_a_table_of_one(tmp_path: Path) -> None:
    book = write_book({"A": [["far"]]}, at=(1_048_575, 16_383))
    reading = read(tmp_path, book, Format.XLSX, ParseOptions(header=True))
    assert (reading.names, reading.rows) == (["far"], [])


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (
            replace_part(SMALL, SHEET, (b'r="B3"', b'r="XFD1048576"')),
            "sheet1.xml spans 1,048,576 rows and 16,384 columns",
        ),
        (
            replace_part(
                SMALL,
                SHEET,
                (
                    b"<worksheet",
                    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><worksheet',
                ),
            ),
            "sheet1.xml declares a document type or entities",
        ),
        (
            replace_part(
                SMALL, SHEET, (b"<worksheet", b"<!--" + b" " * 70_000_000 + b"--><worksheet")
            ),
            "times when it is inflated",
        ),
        (write_book({"A": [], "B": []}), "its sheets are empty"),
        (write_book({"A": [[f"c{n}" for n in range(301)], [1] * 301]}), "'A' has 301 columns"),
        (SMALL[: len(SMALL) // 2], "damaged"),
        (b"PK\x03\x04 xl/ and nothing more", "damaged"),
    ],
    ids=["corner", "entities", "bomb", "empty", "wide", "half", "no zip"],
)
def test_a_workbook_that_cannot_be_read_says_why(tmp_path: Path, book: bytes, message: str) -> None:
    failure = fail(tmp_path, book, Format.XLSX)
    assert failure.code == "MALFORMED_FILE"
    assert message in failure.message
