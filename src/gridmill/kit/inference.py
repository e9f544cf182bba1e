"""Finding a column's type while its values stream by."""

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
        check = self._check
        for text in texts:
            if text is None or (check is not None and check(text)) or is_empty(text):
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
