"""Identifiers: UUIDv7 for what is stored, derived ids for rows, columns and cells.

A row, column or cell id is computed from its dataset's key and its numbers and stored nowhere,
so it survives edits and costs nothing. It can be guessed; ownership is checked on every decode.
"""

import os
import re
import time
from datetime import datetime
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER = r"([1-9][0-9]{0,17})"
_ROW = re.compile(rf"([0-9a-f]{{12}})r{_NUMBER}", re.ASCII)
_COLUMN = re.compile(rf"([0-9a-f]{{12}})c{_NUMBER}", re.ASCII)
_CELL = re.compile(rf"([0-9a-f]{{12}})r{_NUMBER}c{_NUMBER}", re.ASCII)


def new_uuid7() -> UUID:
    """A time-ordered UUID (RFC 9562, version 7): 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    return UUID(
        int=high
        | _VERSION_7
        | ((random >> 62) & 0xFFF) << 64
        | _VARIANT
        | (random & ((1 << 62) - 1))
    )


def first_uuid7(moment: datetime) -> UUID:
    """The least version-7 UUID of `moment`: what was made before it sorts before this one."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds & 0xFFFF_FFFF_FFFF) << 80 | _VERSION_7 | _VARIANT)


def parse_uuid(text: str) -> UUID | None:
    """The UUID that `text` writes in canonical lower case, else `None`."""
    return UUID(text) if _UUID.fullmatch(text) else None


def dataset_key(dataset_id: UUID) -> str:
    """The 12 hex digits that start every derived id of a dataset."""
    return dataset_id.hex[-12:]


def encode_row(key: str, row_no: int) -> str:
    """The id of row `row_no`."""
    return f"{key}r{row_no}"


def encode_column(key: str, column_no: int) -> str:
    """The id of column `column_no`."""
    return f"{key}c{column_no}"


def encode_cell(key: str, row_no: int, column_no: int) -> str:
    """The id of the cell where row `row_no` and column `column_no` meet."""
    return f"{key}r{row_no}c{column_no}"


def _decode_one(pattern: re.Pattern[str], key: str, text: str) -> int | None:
    match = pattern.fullmatch(text)
    return int(match[2]) if match and match[1] == key else None


def decode_row(key: str, text: str) -> int | None:
    """The row number in `text`, or `None` when it is malformed or of another dataset."""
    return _decode_one(_ROW, key, text)


def decode_column(key: str, text: str) -> int | None:
    """The column number in `text`, or `None` when it is malformed or of another dataset."""
    return _decode_one(_COLUMN, key, text)


def decode_cell(key: str, text: str) -> tuple[int, int] | None:
    """`(row_no, column_no)` in `text`, or `None` when it is malformed or of another dataset."""
    match = _CELL.fullmatch(text)
    return (int(match[2]), int(match[3])) if match and match[1] == key else None
