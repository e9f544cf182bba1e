"""Is a workbook safe to open? Asked of the zip and its XML, before a parser sees them.

A reader of workbooks allocates the rectangle round all cells of a sheet, so that two cells of a
file of 6 kB can ask for 17 billion. Here everything is inflated once in small pieces and bounded.
"""

import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from gridmill.datasources.parsing.model import ParseFailure

MAX_PARTS = 10_000
MAX_INFLATED_BYTES = 3 * 2**29
"""Bytes of all XML together: 1,000,000 rows of a dozen columns take about half of it."""

MAX_RATIO = 200
"""Times that a part may grow; sheets of real workbooks grow 5 to 50 times."""

MAX_SHEET_CELLS = 30_000_000
"""Cells of the rectangle round a sheet's cells: about 1 GiB in the reader, half of its memory."""

_RATIO_FROM = 2**26
_CHUNK = 2**20
_OVERLAP = 64
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_CELL = re.compile(rb"\br\s*=\s*[\"']([A-Z]{1,4})([0-9]{1,9})[\"']", re.IGNORECASE)


@dataclass(slots=True)
class _Extent:
    """The rectangle round the cells seen so far, 1-based."""

    top: int = 2**31
    bottom: int = 0
    left: int = 2**31
    right: int = 0

    def add(self, found: list[tuple[bytes, bytes]]) -> None:
        if not found:
            return
        rows = [int(row) for _, row in found]
        columns = [_to_number(letters) for letters in {letters for letters, _ in found}]
        self.top, self.bottom = min(self.top, *rows), max(self.bottom, *rows)
        self.left, self.right = min(self.left, *columns), max(self.right, *columns)

    @property
    def cells(self) -> int:
        if not self.bottom:
            return 0
        return (self.bottom - self.top + 1) * (self.right - self.left + 1)


def scan_workbook(path: Path) -> None:
    """Refuse a workbook that would exhaust its reader; raises `ParseFailure` naming the part."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = _check_directory(archive)
            for part in parts:
                _scan_part(archive, part)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise ParseFailure(f"The workbook is damaged: {error}.") from None
    except RuntimeError:
        raise ParseFailure("The workbook is encrypted; save it without a password.") from None


def _check_directory(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The XML parts of the archive."""
    parts = archive.infolist()
    if len(parts) > MAX_PARTS:
        raise ParseFailure(
            f"The workbook has {len(parts):,} parts; at most {MAX_PARTS:,} are read."
        )
    names = {part.filename for part in parts}
    if any(name.startswith("xl/") and name.endswith("workbook.bin") for name in names):
        raise ParseFailure("This is a binary workbook (XLSB); save it as XLSX.")
    if not any(name.startswith("xl/") and name.endswith(".xml") for name in names):
        raise ParseFailure("This ZIP archive holds no workbook.")
    read = [part for part in parts if part.filename.lower().endswith((".xml", ".rels"))]
    if sum(part.file_size for part in read) > MAX_INFLATED_BYTES:
        raise ParseFailure(
            f"The workbook inflates to more than {MAX_INFLATED_BYTES // 2**20:,} MiB; "
            "CSV or Parquet can hold more."
        )
    for part in read:
        ratio = part.file_size / max(part.compress_size, 1)
        if part.file_size > _RATIO_FROM and ratio > MAX_RATIO:
            raise ParseFailure(
                f"{part.filename[:100]} grows {ratio:,.0f} times when it is inflated; "
                f"at most {MAX_RATIO} times is read."
            )
    return read


def _scan_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    extent = _Extent()
    is_sheet = "worksheets/" in part.filename.lower()
    with archive.open(part) as stream:
        tail = b""
        while chunk := stream.read(_CHUNK):
            text = tail + chunk
            if b"\0" in chunk:
                raise ParseFailure(f"{part.filename[:100]} is not XML in UTF-8.")
            if _DECLARATION.search(text):
                raise ParseFailure(
                    f"{part.filename[:100]} declares a document type or entities; "
                    "no spreadsheet program writes them."
                )
            if is_sheet:
                extent.add(_CELL.findall(text))
            tail = text[-_OVERLAP:]
    if extent.cells > MAX_SHEET_CELLS:
        raise ParseFailure(
            f"{part.filename[:100]} spans {extent.bottom - extent.top + 1:,} rows and "
            f"{extent.right - extent.left + 1:,} columns between its first and last cell; "
            f"at most {MAX_SHEET_CELLS:,} cells are read. Delete stray cells far from the table."
        )


def _to_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number
