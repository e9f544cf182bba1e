"""Stored texts that are their own JSON: whole columns told at once.

`values.to_wire` with orjson says what a value's JSON is. Most texts of most types need neither: a
canonical number that a double keeps is written as it stands, and a text needs quotes alone.
"""

import re
from collections.abc import Mapping

from gridmill.kit.canonical import DataType


def _repeat(line: str) -> re.Pattern[str]:
    return re.compile(rf"(?:(?:{line})\n)*+", re.ASCII)


# Up to 15 digits: exact as integer and as double.
_INTEGER = r"-?[1-9][0-9]{0,14}|0"
# From 0.000001 on orjson writes an exponent.
_DECIMAL = r"-?[1-9][0-9]{0,5}\.(?:[0-9]{0,8}[1-9]|0)|-?0\.0{0,4}[1-9](?:[0-9]{0,3}[1-9])?|0\.0"

WRITTEN_ALIKE: Mapping[DataType, re.Pattern[str] | None] = {
    **dict.fromkeys(
        (
            DataType.TEXT,
            DataType.DATE,
            DataType.DATETIME,
            DataType.ENUM,
            DataType.URL,
            DataType.EMAIL,
            DataType.PHONE,
        )
    ),
    DataType.INTEGER: _repeat(_INTEGER),
    DataType.NUMBER: _repeat(f"{_INTEGER}|{_DECIMAL}"),
    DataType.BOOLEAN: _repeat("true|false"),
}
"""How lines of texts look that are their own JSON; `None`: every text is, as a JSON string. Types
that are missing are written value by value."""


def are_own_json(data_type: DataType, lines: str, count: int) -> bool:
    """Whether all of `count` texts of that type, joined by line ends, are their own JSON.

    Sufficient, not necessary: of a text that is not told here, `to_wire` decides.
    """
    pattern = WRITTEN_ALIKE[data_type]
    if pattern is None:
        return True
    # A line end within a text would make two of it.
    return lines.count("\n") == count - 1 and pattern.fullmatch(lines + "\n") is not None
