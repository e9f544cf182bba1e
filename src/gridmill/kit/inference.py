"""Finding a column's type while its values stream by."""

import re
from collections.abc import Callable, Iterable

from gridmill.kit.canonical import (
    DataType,
    fits_boolean,
    fits_date,
    fits_datetime,
    fits_integer,
    fits_json,
    fits_number,
    is_empty,
)

_FIRST_GUESSES = (
    (DataType.INTEGER, fits_integer),
    (DataType.NUMBER, fits_number),
    (DataType.BOOLEAN, fits_boolean),
    (DataType.DATE, fits_date),
    (DataType.DATETIME, fits_datetime),
    (DataType.JSON, fits_json),
)
_GUESS_CHECKS = dict(_FIRST_GUESSES)


def _repeat(line: str) -> re.Pattern[str]:
    return re.compile(rf"(?:(?:{line})\n)*+", re.ASCII)


_INTEGER = r"-?[1-9][0-9]{0,299}|0"
# Fifteen digits at most: a double keeps them all, so what is written back is the same.
_DECIMAL = r"-?(?:[1-9][0-9]{0,5}|0)\.[0-9]{0,8}[1-9]|(?:[1-9][0-9]{0,5}|0)\.0"
_DATE = (
    r"[1-9][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_SURE = {
    DataType.INTEGER: _repeat(_INTEGER),
    DataType.NUMBER: _repeat(f"{_INTEGER}|{_DECIMAL}"),
    DataType.BOOLEAN: _repeat("true|false"),
    DataType.DATE: _repeat(_DATE),
    DataType.DATETIME: _repeat(
        f"(?:{_DATE})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{{3}}|\\.[0-9]{{6}})?Z?"
    ),
}
"""Lines that are certainly of a type. It answers for a whole column of a chunk at once; where it
says no, each value is asked."""


class TypeInference:
    """Finds the type of one column while its values stream by.

    integer, number, boolean, date, datetime or json when every non-empty value is canonical for
    it; else text. Integers widen to number; any other mixture is text.
    """

    def __init__(self) -> None:
        self._type: DataType | None = None
        self._check: Callable[[str], bool] | None = None

    def add(self, text: str | None) -> None:
        """Take one value into account; empty ones say nothing."""
        self.add_all((text,))

    def add_all(self, texts: Iterable[str | None]) -> None:
        """Take many values into account: a column of a chunk of rows."""
        if self._type is DataType.TEXT:
            return
        filled = list(filter(None, texts))
        if self._type is not None:
            pattern = _SURE.get(self._type)
            if pattern is not None and _is_sure(pattern, filled):
                return
        check = self._check
        for text in filled:
            if (check is not None and check(text)) or is_empty(text):
                continue
            check = self._change(text)
            if check is None:
                return

    def result(self) -> DataType:
        """The type of what was added; a column without values is text."""
        return self._type or DataType.TEXT

    def _settle(self, data_type: DataType) -> Callable[[str], bool] | None:
        self._type = data_type
        self._check = _GUESS_CHECKS.get(data_type)
        return self._check

    def _change(self, text: str) -> Callable[[str], bool] | None:
        if self._type is None:
            for guess, check in _FIRST_GUESSES:
                if check(text):
                    return self._settle(guess)
        elif self._type is DataType.INTEGER and fits_number(text):
            return self._settle(DataType.NUMBER)
        return self._settle(DataType.TEXT)


def _is_sure(pattern: re.Pattern[str], filled: list[str]) -> bool:
    lines = "\n".join(filled)
    # A line break within a value would make two of it.
    return lines.count("\n") == len(filled) - 1 and pattern.fullmatch(lines + "\n") is not None
