"""What parsing is asked and what it answers."""

from dataclasses import dataclass, field
from enum import StrEnum

from gridmill.kit.values import DataType

MAX_ROWS = 1_000_000
"""Rows of one source: the contract's limit."""

MAX_COLUMNS = 300
"""Columns of one table: what the API manages."""

MAX_NAME_LENGTH = 200
"""Characters of a column's name; a longer header is cut."""

CODE_MALFORMED = "MALFORMED_FILE"
CODE_ROW_LIMIT = "ROW_LIMIT_EXCEEDED"


class Format(StrEnum):
    """The formats that are read; the value is the content type."""

    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    JSON = "application/json"
    JSONL = "application/x-ndjson"
    TEXT = "text/plain"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    PARQUET = "application/vnd.apache.parquet"
    PDF = "application/pdf"
    PNG = "image/png"
    JPEG = "image/jpeg"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    XML = "application/xml"
    MAIL = "message/rfc822"


DOCUMENTS = frozenset(
    {
        Format.TEXT,
        Format.PDF,
        Format.PNG,
        Format.JPEG,
        Format.DOCX,
        Format.HTML,
        Format.MARKDOWN,
        Format.XML,
        Format.MAIL,
    }
)
"""Formats whose rows are pages of a text rather than records."""


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """What the uploader says over the sniffer's head; `None` leaves it to the sniffer."""

    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedColumn:
    """One column of what was read, in order."""

    name: str
    data_type: DataType


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file was read: as its uploader said, else as was found; `None` where it says nothing.

    `sheets` are all sheets of a workbook and `sheet` the only one that was read; `header` is `None`
    also where sheets differ in having one.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    sheet: str | None = None
    sheets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file that was read: its rows are in the spool (see `spool`).

    `has_layout`: behind the columns stands one more that users do not see, the `layout` of each page.
    """

    columns: tuple[ParsedColumn, ...]
    rows: int
    pages: int | None = None
    dialect: Dialect = field(default=Dialect())
    has_layout: bool = False

    @property
    def width(self) -> int:
        """Cells of a row in the spool."""
        return len(self.columns) + self.has_layout


@dataclass(frozen=True, slots=True)
class Preview:
    """A table's first rows, typed by a sample; `None` is an empty cell."""

    columns: tuple[ParsedColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]
    dialect: Dialect


class ParseFailure(Exception):
    """A file that cannot be read as what it is: `code` and a sentence that names the place."""

    def __init__(self, message: str, code: str = CODE_MALFORMED) -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code


class UnknownSheet(ParseFailure):
    """The uploader named a sheet that the workbook does not have; the message lists those it has."""
