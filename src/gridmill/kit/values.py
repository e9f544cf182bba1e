"""Cell values: eleven data types and text, their canonical text and their wire form.

A cell is stored as canonical text or `None`. `parse_wire` turns a client's JSON value into it
and is strict; `coerce` does the same for a model's reply and is lenient where the meaning is
clear; `to_wire` turns it back. `TypeInference` finds a column's type and never needs to alter a
text: a type is inferred only when every non-empty value already is its own canonical text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import cast

import msgspec
import orjson
from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from gridmill.kit.canonical import (
    BLANK_CHARACTERS,
    DataType,
    fits_boolean,
    fits_date,
    fits_datetime,
    fits_integer,
    fits_number,
    is_email,
    is_empty,
    is_long_decimal,
    is_phone,
    is_url,
    write_float,
)
from gridmill.kit.coercion import READERS, is_no_answer, read_option
from gridmill.kit.inference import TypeInference
from gridmill.kit.json import dump_json_text
from gridmill.kit.text import is_storable

__all__ = [
    "BLANK_CHARACTERS",
    "MAX_EXACT_INTEGER",
    "DataType",
    "TypeInference",
    "ValueRules",
    "check_bounds",
    "check_pattern",
    "coerce",
    "fits",
    "is_empty",
    "parse_wire",
    "to_wire",
]

MAX_EXACT_INTEGER = 2**53
"""Beyond it a double skips integers, so the wire form is a string."""

MAX_DIGITS = 300
"""Digits of an integer, so that every one is a finite double; a number may be any finite double."""


@dataclass(frozen=True, slots=True)
class ValueRules:
    """What a column says of its values.

    `options` restrict an enum (none: any text); `pattern` is matched against the whole
    canonical text; `minimum` and `maximum` bound integers and numbers, ends included.
    """

    data_type: DataType = DataType.TEXT
    options: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: float | int | None = None
    maximum: float | int | None = None


# --- the client's values --------------------------------------------------------------------


def parse_wire(value: object, rules: ValueRules) -> str | None:
    """The canonical text of a client's JSON value; `None` stays `None`.

    Raises `ValueError` with a sentence for people when the value does not fit the type, the
    options, the pattern or the bounds.
    """
    if value is None:
        return None
    text = _PARSERS[rules.data_type](value)
    check_bounds(text, rules)
    return text


def coerce(value: object, rules: ValueRules) -> str | None:
    """The canonical text of a model's reply: like `parse_wire`, lenient where it is clear.

    `"1,234"` is an integer, `"Yes"` a boolean, `"5 March 2024"` a date, an option matches
    without regard to case; blank text and "N/A" (but for text and options) are no answer:
    `None`. Raises `ValueError` with a sentence for people for everything else.
    """
    data_type = rules.data_type
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if data_type is DataType.ENUM:
            value = read_option(value, rules.options)
        elif data_type is not DataType.TEXT and is_no_answer(value):
            return None
    elif data_type in {DataType.TEXT, DataType.ENUM} and value is not None:
        value = dump_json_text(value)
    reader = READERS.get(data_type.value)
    return parse_wire(value if reader is None else reader(value), rules)


def check_bounds(text: str, rules: ValueRules) -> None:
    """Hold a canonical text against options, pattern and bounds; raises `ValueError`."""
    if not is_storable(text):
        raise ValueError("The text holds a NUL character or a lone surrogate.")
    if rules.data_type is DataType.ENUM and rules.options and text not in rules.options:
        listed = ", ".join(rules.options[:20])
        raise ValueError(f"{_quote(text)} is none of the options: {listed}.")
    if rules.data_type in {DataType.INTEGER, DataType.NUMBER}:
        number = Decimal(text)
        if rules.minimum is not None and number < rules.minimum:
            raise ValueError(f"{text} is under the minimum of {rules.minimum}.")
        if rules.maximum is not None and number > rules.maximum:
            raise ValueError(f"{text} is over the maximum of {rules.maximum}.")
    if rules.pattern is not None and not _matches(rules.pattern, text):
        raise ValueError(f"{_quote(text)} does not match the pattern {rules.pattern}.")


def check_pattern(pattern: str) -> None:
    """Check that a pattern can be used; raises `ValueError` saying why not.

    Patterns run on the linear-time engine of Rust, so they have no look-around and no back
    references, and no text makes them slow.
    """
    try:
        _compile(pattern)
    except SchemaError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(f"The pattern is not valid: {lines[-1][:200]}") from None


@lru_cache(maxsize=256)
def _compile(pattern: str) -> SchemaValidator:
    SchemaValidator(core_schema.str_schema(pattern=pattern))
    return SchemaValidator(core_schema.str_schema(pattern=rf"\A(?:{pattern})\z"))


def _matches(pattern: str, text: str) -> bool:
    try:
        _compile(pattern).validate_python(text)
    except ValidationError:
        return False
    except SchemaError:
        return True  # the pattern was refused when the column was made
    return True


def _quote(text: str) -> str:
    return f"“{text[:60]}…”" if len(text) > 60 else f"“{text}”"


def _show(value: object) -> str:
    try:
        return _quote(value if isinstance(value, str) else dump_json_text(value))
    except (TypeError, ValueError):
        return "The value"


def _parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_show(value)} is not a string.")  # noqa: TRY004 (one kind of error for all)
    return value


def _parse_integer(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**MAX_DIGITS:
            raise ValueError(f"The integer has over {MAX_DIGITS} digits.")
        return str(value)
    if _is_big_integer(value):
        return str(value)
    raise ValueError(f"{_show(value)} is not an integer.")


def _is_big_integer(value: object) -> bool:
    """Whether it is the string that `to_wire` makes of an integer beyond 2^53."""
    return isinstance(value, str) and fits_integer(value) and abs(int(value)) > MAX_EXACT_INTEGER


def _is_large_double(value: object) -> bool:
    """Whether it is the string that `to_wire` makes of a double of over 300 digits."""
    return (
        isinstance(value, str)
        and len(value) > MAX_DIGITS
        and "." not in value
        and fits_number(value)
    )


def _parse_number(value: object) -> str:
    if isinstance(value, float):
        text = write_float(value)
        if text in {"nan", "inf", "-inf"}:
            raise ValueError(f"{_show(value)} is out of range.")
        return text
    if _is_large_double(value) or (isinstance(value, str) and is_long_decimal(value)):
        return cast("str", value)
    try:
        return _parse_integer(value)
    except ValueError:
        raise ValueError(f"{_show(value)} is not a number.") from None


def _parse_boolean(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    raise ValueError(f"{_show(value)} is not a boolean (true or false).")


def _parse_fitting(check: Callable[[str], bool], what: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if isinstance(value, str) and check(value):
            return value
        raise ValueError(f"{_show(value)} is not {what}.")

    return parse


def _parse_json(value: object) -> str:
    try:
        return dump_json_text(value)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("The value is not JSON.") from None


def _parse_location(value: object) -> str:
    found = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if set(found) != {"lat", "lon"}:
        raise ValueError(
            f'{_show(cast("object", value))} is not a location: {{"lat": 60.17, "lon": 24.94}}.'
        )
    parts: list[str] = []
    for name, limit in (("lat", 90), ("lon", 180)):
        degrees = found[name]
        if isinstance(degrees, bool) or not isinstance(degrees, int | float):
            raise ValueError(f"{name} is not a number of degrees.")  # noqa: TRY004 (one kind for all)
        if not -limit <= degrees <= limit:
            raise ValueError(f"{name} {degrees} is not between -{limit} and {limit}.")
        parts.append(f'"{name}":{write_float(float(degrees))}')
    return "{" + ",".join(parts) + "}"


_PARSERS: dict[DataType, Callable[[object], str]] = {
    DataType.TEXT: _parse_text,
    DataType.ENUM: _parse_text,
    DataType.INTEGER: _parse_integer,
    DataType.NUMBER: _parse_number,
    DataType.BOOLEAN: _parse_boolean,
    DataType.DATE: _parse_fitting(fits_date, "a date (YYYY-MM-DD)"),
    DataType.DATETIME: _parse_fitting(
        fits_datetime, "a date and time (ISO 8601: 2026-01-31T12:30:00Z)"
    ),
    DataType.URL: _parse_fitting(is_url, "a URL (https://…)"),
    DataType.EMAIL: _parse_fitting(is_email, "an email address"),
    DataType.PHONE: _parse_fitting(is_phone, "a phone number"),
    DataType.JSON: _parse_json,
    DataType.LOCATION: _parse_location,
}


def fits(text: str, data_type: DataType) -> bool:
    """Whether a stored text is a canonical value of `data_type` (bounds and options apart)."""
    if data_type in {DataType.JSON, DataType.LOCATION}:
        try:
            value: object = msgspec.json.decode(text)
            return _PARSERS[data_type](value) == text
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return False
    check = _CHECKS.get(data_type)
    return check is None or check(text)


_CHECKS: dict[DataType, Callable[[str], bool]] = {
    DataType.INTEGER: fits_integer,
    DataType.NUMBER: lambda text: fits_number(text) or is_long_decimal(text),
    DataType.BOOLEAN: fits_boolean,
    DataType.DATE: fits_date,
    DataType.DATETIME: fits_datetime,
    DataType.URL: is_url,
    DataType.EMAIL: is_email,
    DataType.PHONE: is_phone,
}


# --- back to the wire -----------------------------------------------------------------------


def to_wire(text: str | None, data_type: DataType) -> object:
    """The JSON value of a stored text, ready for `dump_json`.

    An integer beyond 2^53 and a decimal beyond a double are strings, JSON with integers beyond 64 bits an
    `orjson.Fragment`. A text that does not fit the type stays a string, so nothing is lost.
    """
    if text is None:
        return None
    writer = _WRITERS.get(data_type)
    return text if writer is None else writer(text)


def _write_integer(text: str) -> object:
    if fits_integer(text):
        number = int(text)
        return number if -MAX_EXACT_INTEGER <= number <= MAX_EXACT_INTEGER else text
    return text


def _write_number(text: str) -> object:
    if "." in text and fits_number(text):
        return float(text)
    return _write_integer(text)


def _write_boolean(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


def _write_json(text: str) -> object:
    try:
        value: object = msgspec.json.decode(text)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return text
    return orjson.Fragment(text) if _MANY_DIGITS.search(text) else value


_MANY_DIGITS = re.compile(r"[0-9]{16}")

_WRITERS: dict[DataType, Callable[[str], object]] = {
    DataType.INTEGER: _write_integer,
    DataType.NUMBER: _write_number,
    DataType.BOOLEAN: _write_boolean,
    DataType.JSON: _write_json,
    DataType.LOCATION: _write_json,
}
