"""Data types and the shapes of canonical texts: what a stored text of each data type looks like.

Every check answers for one text alone. A text that passes is stored as it is, so nothing is
ever altered to make it fit.
"""

import math
import re
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from gridmill.kit.json import dump_json_text


class DataType(StrEnum):
    """The contract's data types of a column."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    ENUM = "enum"
    URL = "url"
    EMAIL = "email"
    PHONE = "phone"
    JSON = "json"
    LOCATION = "location"


BLANK_CHARACTERS = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What a blank text may consist of: SQL asks the same with `btrim(value, these) = ''`."""


def is_empty(text: str | None) -> bool:
    """Whether a cell counts as empty: `None` or blank text."""
    return text is None or not text.strip(BLANK_CHARACTERS)


_INTEGER = re.compile(r"-?[1-9][0-9]{0,299}|0", re.ASCII)
# Doubles have up to 309 digits before the point and 324 after it.
_DECIMAL = re.compile(r"-?(?:[1-9][0-9]{0,299}|0)\.(?:0|[0-9]{0,323}[1-9])", re.ASCII)
_LARGE = re.compile(r"-?[1-9][0-9]{300,308}", re.ASCII)
_MOST_SHIFTED = 400
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]"
    r"(?::[0-5][0-9](?:\.[0-9]{1,6})?)?(?:Z|[+-](?:0[0-9]|1[0-5]):[0-5][0-9])?",
    re.ASCII,
)
_URL = re.compile(r"(?:https?|ftp)://[^\s/?#@:]+(?::[0-9]{1,5})?(?:[/?#]\S*)?", re.IGNORECASE)
_EMAIL = re.compile(
    r"[^\s@<>,;:\"()\[\]]{1,64}@[^\s@<>,;:\"()\[\]._-][^\s@<>,;:\"()\[\]]*\.[^\s@<>,;:\"()\[\].]{2,}"
)
_PHONE = re.compile(r"\+?[0-9(][0-9 ()./-]{3,30}[0-9)](?: ?(?:x|ext\.?) ?[0-9]{1,6})?", re.ASCII)


def fits_integer(text: str) -> bool:
    """Whether `text` is a canonical integer: no sign but `-`, no leading zero."""
    return _INTEGER.fullmatch(text) is not None


def fits_number(text: str) -> bool:
    """Whether `text` is a canonical integer, or a decimal whose digits a double keeps.

    Beyond 300 digits only what `write_float` writes is one.

    A whole one may end in `.0`, which a JSON number keeps as well.
    """
    if _INTEGER.fullmatch(text):
        return True
    if _LARGE.fullmatch(text):
        return write_float(float(text)) == text
    return _DECIMAL.fullmatch(text) is not None and write_float(float(text)) == text.removesuffix(
        ".0"
    )


def is_long_decimal(text: str) -> bool:
    """Whether `text` is a plain decimal with more digits than a double keeps.

    No type is inferred from it; a column that was declared a number holds it as it is.
    """
    return (
        _DECIMAL.fullmatch(text) is not None and not text.endswith(".0") and not fits_number(text)
    )


def fits_boolean(text: str) -> bool:
    """Whether `text` is `true` or `false`."""
    return text in {"true", "false"}


def fits_date(text: str) -> bool:
    """Whether `text` is a day of the calendar as YYYY-MM-DD."""
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def fits_datetime(text: str) -> bool:
    """Whether `text` is an ISO 8601 date and time with `T`, with or without an offset."""
    if not _DATETIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def fits_json(text: str) -> bool:
    """Whether `text` is a compact JSON object or array, exactly as we would write it."""
    if text[:1] not in {"{", "["}:
        return False
    try:
        return dump_json_text(msgspec.json.decode(text)) == text
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        return False


def write_float(number: float) -> str:
    """The shortest decimal digits that read back as `number`, without exponent or `.0`."""
    text = repr(number)
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = _shift_point(mantissa, int(exponent))
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text


def write_decimal(text: str) -> str:
    """The canonical text of a number written with a point or an exponent, every digit kept.

    `inf` for what no double reaches; what would take over 400 digits to write stays as it is.
    """
    rounded, exact = float(text), Decimal(text)
    shortest = write_float(rounded)
    if math.isinf(rounded) or Decimal(shortest) == exact:
        return shortest
    if abs(exact.adjusted()) > _MOST_SHIFTED:
        return text
    plain = format(exact, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _shift_point(mantissa: str, exponent: int) -> str:
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    point = len(whole) + exponent
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"


def is_url(text: str) -> bool:
    """Whether `text` is an absolute http, https or ftp URL without credentials."""
    return len(text) <= 4_096 and _URL.fullmatch(text) is not None


def is_email(text: str) -> bool:
    """Whether `text` is one email address."""
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def is_phone(text: str) -> bool:
    """Whether `text` is a phone number: 5 to 21 digits with the usual marks between them."""
    return _PHONE.fullmatch(text) is not None and 5 <= sum(c.isdigit() for c in text) <= 21
