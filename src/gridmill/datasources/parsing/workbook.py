"""XLSX to rows: one sheet as it is, several as the union of their columns behind `sheet`.

Values are read as a person sees them in the cell's own type: a whole number has no `.0`, dates
are ISO 8601, errors are empty. Rows are written out as they are read; one sheet at a time is in
memory, and none before `scan_workbook` found it harmless.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from gridmill.datasources.parsing.dialect import has_header
from gridmill.datasources.parsing.model import (
    Dialect,
    Parsed,
    ParsedColumn,
    ParseFailure,
    ParseOptions,
    UnknownSheet,
)
from gridmill.datasources.parsing.names import check_width, make_names
from gridmill.datasources.parsing.spool import Spool
from gridmill.datasources.parsing.workbook_scan import scan_workbook
from gridmill.kit.values import write_float

Cell = int | float | str | bool | time | date | datetime | timedelta

SHEET_COLUMN = "sheet"
"""The column that names a row's sheet when several are read."""

_SAMPLE = 100
_CHUNK = 1_000


def parse_workbook(
    path: Path, spool_path: Path, options: ParseOptions, most: int | None = None
) -> Parsed:
    """Read a workbook's sheets, `most` rows of each; raises `ParseFailure` naming the sheet."""
    scan_workbook(path)
    try:
        with path.open("rb") as file, CalamineWorkbook.from_filelike(file) as book:
            sheets = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
            names = _choose_sheets(sheets, options.sheet)
            filled = [name for name in names if book.get_sheet_by_name(name).end is not None]
            if not filled:
                raise ParseFailure("The workbook holds no table: its sheets are empty.")
            reader = _Reader(book, filled, options.header, most)
            parsed = reader.read_into(spool_path, frozenset())
            if reader.mixed:
                # A midnight comes as a date; beside times of day it is a time of day, too.
                parsed = reader.read_into(spool_path, frozenset(reader.mixed))
            dialect = Dialect(
                header=reader.headed.pop() if len(reader.headed) == 1 else None,
                sheet=filled[0] if len(filled) == 1 else None,
                sheets=tuple(one.name for one in sheets),
            )
            return replace(parsed, dialect=dialect)
    except CalamineError as error:
        raise ParseFailure(f"The workbook cannot be read: {str(error)[:300]}.") from None


def _choose_sheets(sheets: Sequence[SheetMetadata], wanted: str | None) -> list[str]:
    if wanted is None:
        return [one.name for one in sheets if one.visible == SheetVisibleEnum.Visible]
    if all(one.name != wanted for one in sheets):
        there = ", ".join(one.name for one in sheets[:20])
        raise UnknownSheet(f"The workbook has no sheet {wanted[:100]!r}; it has: {there}.")
    return [wanted]


@dataclass
class _Reader:
    """Reads chosen sheets; `mixed` are the columns found to hold days and times of day.

    `headed` is whether the sheets have a header: both where they differ.
    """

    book: CalamineWorkbook
    sheets: Sequence[str]
    header: bool | None
    most: int | None = None
    mixed: set[int] = field(default_factory=set[int])
    headed: set[bool] = field(default_factory=set[bool])

    def read_into(self, spool_path: Path, moments: frozenset[int]) -> Parsed:
        """`moments`: the columns whose days are written as midnights."""
        several = len(self.sheets) > 1
        columns: dict[str, int] = {SHEET_COLUMN: 0} if several else {}
        with Spool(spool_path, len(columns)) as spool:
            for name in self.sheets:
                self._read_sheet(name, spool, columns, moments, several=several)
            types = spool.close()
        return Parsed(tuple(map(ParsedColumn, columns, types)), spool.rows)

    def _read_sheet(
        self,
        name: str,
        spool: Spool,
        columns: dict[str, int],
        moments: frozenset[int],
        *,
        several: bool,
    ) -> None:
        where = f"Sheet {name[:100]!r}"
        rows = _read_rows(self.book.get_sheet_by_name(name), where)
        sample = list(islice(rows, _SAMPLE))
        texts = [[_to_text(cell) for cell in row] for row in sample]
        check_width(len(texts[0]), where)
        header = has_header(texts) if self.header is None else self.header
        self.headed.add(header)
        headings = make_names(texts[0] if header else [""] * len(texts[0]))
        if several:
            headings = [f"{SHEET_COLUMN}_2" if one == SHEET_COLUMN else one for one in headings]
            headings = make_names(headings)
        for heading in headings:
            if heading not in columns:
                check_width(len(columns) + 1, f"{where}: the workbook")
                columns[heading] = len(columns)
                spool.add_column()
        places = [columns[heading] for heading in headings]
        fixed = {0: name} if several else {}
        body = islice(chain(sample[1:] if header else sample, rows), self.most)
        while chunk := list(islice(body, _CHUNK)):
            self._write(spool, chunk, places, fixed, moments, width=len(columns))

    def _write(
        self,
        spool: Spool,
        chunk: list[list[Cell]],
        places: Sequence[int],
        fixed: dict[int, str],
        moments: frozenset[int],
        *,
        width: int,
    ) -> None:
        by_place: list[Sequence[str]] = [[""] * len(chunk)] * width
        for place, text in fixed.items():
            by_place[place] = [text] * len(chunk)
        for place, cells in zip(places, zip(*chunk, strict=True), strict=True):
            self._note_kinds(place, set(map(type, cells)))
            write = _to_moment if place in moments else _to_text
            by_place[place] = [cell if type(cell) is str else write(cell) for cell in cells]
        spool.write_texts(list(zip(*by_place, strict=True)))

    def __post_init__(self) -> None:
        self._days: set[int] = set()
        self._moments: set[int] = set()

    def _note_kinds(self, place: int, kinds: set[type[Cell]]) -> None:
        if date in kinds:
            self._days.add(place)
        if datetime in kinds:
            self._moments.add(place)
        if place in self._days and place in self._moments:
            self.mixed.add(place)


def _read_rows(sheet: CalamineSheet, where: str) -> Iterator[list[Cell]]:
    """Rows that hold anything, from the first filled column on."""
    left = (sheet.start or (0, 0))[1]
    skipped = max(0, sheet.total_width - sheet.width) and left
    for number, row in enumerate(sheet.iter_rows(), 1):
        if all(cell == "" for cell in row):
            continue
        if any(type(cell) is str and "\0" in cell for cell in row):
            raise ParseFailure(f"{where}, row {number} holds a NUL character.")
        yield row[skipped:] if len(row) > sheet.width else row


def _to_text(cell: Cell) -> str:
    match cell:
        case str():
            return cell
        case bool():
            return "true" if cell else "false"
        case float():
            return write_float(cell)
        case int():
            return str(cell)
        case timedelta():
            return _write_duration(cell)
        case _:
            return cell.isoformat()


def _to_moment(cell: Cell) -> str:
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return f"{cell.isoformat()}T00:00:00"
    return _to_text(cell)


def _write_duration(duration: timedelta) -> str:
    """Hours, minutes and seconds, as a spreadsheet shows `[h]:mm:ss`."""
    seconds = round(duration.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
