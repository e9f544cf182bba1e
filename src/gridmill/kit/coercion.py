"""How a model's reply is read: lenient readers that turn clear writings into JSON values.

A reader returns the value it understood, or the value it was given when it understood nothing;
`values.parse_wire` then judges it strictly.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import cast

import msgspec

from gridmill.kit.canonical import (
    fits_date,
    fits_datetime,
    fits_integer,
    is_long_decimal,
    write_decimal,
)

_NO_ANSWER = {"null", "none", "nil", "n/a", "na", "nan", "unknown", "not available", "-"}
_TRUE = {"true", "yes", "y", "t", "1"}
_FALSE = {"false", "no", "n", "f", "0"}
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", re.ASCII)
_PLAIN = re.compile(r"[+-]?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_CURRENCY = re.compile(r"^[$€£¥]\s?|\s?[$€£¥]$")
_SLASHED = re.compile(r"([0-9]{4})[/.]([0-9]{1,2})[/.]([0-9]{1,2})", re.ASCII)
_SPACED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ t]+([0-9:.]+) ?(z|utc|gmt|[+-][0-9:]{3,6})?")
_COORDINATES = re.compile(
    r"\(?\s*([+-]?[0-9]{1,2}(?:\.[0-9]+)?)\s*[,; ]\s*([+-]?[0-9]{1,3}(?:\.[0-9]+)?)\s*\)?", re.ASCII
)
_WRITTEN_DATES = ("%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y")


def is_no_answer(text: str) -> bool:
    """Whether a reply says that there is no value."""
    return text.casefold() in _NO_ANSWER


def read_option(text: str, options: Sequence[str]) -> str:
    """The one option that `text` means, without regard to case, space and a closing dot."""
    if text in options:
        return text
    wanted = _fold(text)
    found = [option for option in options if _fold(option) == wanted]
    return found[0] if len(found) == 1 else text


def _fold(text: str) -> str:
    return " ".join(text.casefold().strip(" .\"'").split())


def _read_number(value: object) -> object:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if not isinstance(value, str):
        return value
    text = _CURRENCY.sub("", value)
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if not _PLAIN.fullmatch(text):
        return value
    if not set(text) & set(".eE"):
        return int(text)
    plain = write_decimal(text)
    if is_long_decimal(plain):
        return plain
    return int(plain) if fits_integer(plain) else _read_number(float(text))


def _read_boolean(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value in {0, 1}:
        return value == 1
    if isinstance(value, str):
        word = value.casefold().rstrip(".!")
        if word in _TRUE | _FALSE:
            return word in _TRUE
    return value


def _read_date(value: object) -> object:
    if not isinstance(value, str) or fits_date(value):
        return value
    if fits_datetime(value.replace(" ", "T", 1)):
        return value[:10]
    if match := _SLASHED.fullmatch(value):
        return f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}"
    words = re.sub(r"(?<=[0-9])(?:st|nd|rd|th)\b", "", value.replace(",", " ").replace(".", " "))
    for form in _WRITTEN_DATES:
        try:
            found: date = datetime.strptime(" ".join(words.split()), form).date()  # noqa: DTZ007 (a day has no zone)
        except ValueError:
            continue
        return found.isoformat()
    return value


def _read_datetime(value: object) -> object:
    if isinstance(value, str) and (match := _SPACED.fullmatch(value.casefold())):
        zone = match[3] or ""
        return f"{match[1]}T{match[2]}{'Z' if zone in {'z', 'utc', 'gmt'} else zone}"
    return value


def _read_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip("<>")
    return f"https://{text}" if re.match(r"[\w-]+(?:\.[\w-]+)+(?:[/:?#]|$)", text) else text


def _read_email(value: object) -> object:
    return value.strip("<>").removeprefix("mailto:") if isinstance(value, str) else value


def _read_phone(value: object) -> object:
    return value.removeprefix("tel:").strip() if isinstance(value, str) else value


def _read_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return value


def _read_location(value: object) -> object:
    value = _read_json(value)
    if isinstance(value, str) and (match := _COORDINATES.fullmatch(value)):
        return {"lat": float(match[1]), "lon": float(match[2])}
    if isinstance(value, dict):
        found: dict[str, object] = {}
        for key, part in cast("dict[str, object]", value).items():
            name = {"latitude": "lat", "longitude": "lon", "lng": "lon"}.get(key.casefold(), key)
            number = _read_number(part)
            # Degrees are doubles, however many digits were given.
            is_long = isinstance(number, str) and is_long_decimal(number)
            found[name] = float(cast("str", number)) if is_long else number
        return found
    return value


READERS: dict[str, Callable[[object], object]] = {
    "integer": _read_number,
    "number": _read_number,
    "boolean": _read_boolean,
    "date": _read_date,
    "datetime": _read_datetime,
    "url": _read_url,
    "email": _read_email,
    "phone": _read_phone,
    "json": _read_json,
    "location": _read_location,
}
"""Readers by the name of the data type; text and enum need none."""
