"""Whether a value stands in a row: word for word, or in the normal form of another spelling."""

import re
from collections.abc import Iterable

from gridmill.kit.values import DataType

_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d+")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:T.*)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SHORTEST_NUMBER = 7
"""Digits of a phone number or code that may be spread over several words of the row."""


def is_grounded(value: str, kind: DataType, cells: Iterable[str]) -> bool:
    """Whether one of the row's `cells` holds `value` as words of its own.

    Letter case, punctuation and spacing do not count; numbers count by their value, dates by
    year, month (its number or English name) and day, long numbers by their digits alone.
    """
    return any(_holds(cell, value, kind) for cell in cells)


def _holds(cell: str, value: str, kind: DataType) -> bool:
    if kind in {DataType.INTEGER, DataType.NUMBER}:
        # As words, 250.50 would stand in 1,250.50.
        return _holds_number(cell, value)
    wanted, there = fold(value), fold(cell)
    if not wanted:
        return False
    if f" {wanted} " in f" {there} ":
        return True
    if kind in {DataType.DATE, DataType.DATETIME}:
        return _holds_date(there.split(), value)
    digits = "".join(_DIGITS.findall(value))
    return (
        len(digits) >= _SHORTEST_NUMBER
        and not any(letter.isalpha() for letter in value)
        and digits in "".join(_DIGITS.findall(cell))
    )


def fold(text: str) -> str:
    """Lower case words with one space between them: how texts are compared."""
    return " ".join(_WORD.findall(text.casefold()))


def _holds_number(cell: str, value: str) -> bool:
    try:
        wanted = float(value)
    except ValueError:
        return False
    for found in re.findall(r"-?\d[\d,]*(?:\.\d+)?", cell):
        if float(found.replace(",", "")) == wanted:
            return True
    return False


def _holds_date(words: list[str], value: str) -> bool:
    found = _DATE.fullmatch(value)
    if found is None:
        return False
    year, month, day = found.groups()
    plain = {word.lstrip("0") for word in words}
    # "3rd" and the like: the figures in front count.
    plain |= {word[:-2].lstrip("0") for word in words if word[-2:] in {"st", "nd", "rd", "th"}}
    named = any(word.startswith(_MONTHS[int(month) - 1]) for word in words)
    return (
        bool({year, year[2:].lstrip("0")} & plain)
        and (named or month.lstrip("0") in plain)
        and day.lstrip("0") in plain
    )
