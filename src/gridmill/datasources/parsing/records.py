"""JSON records to rows: the union of keys in the order in which they were first seen.

Numbers keep their digits, integers of any length are exact, nested values are kept as compact
JSON. A column is typed by what JSON says of its values: strings are never read as numbers.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Flag, auto
from pathlib import Path

import msgspec

from gridmill.datasources.parsing.model import Parsed, ParsedColumn, ParseFailure
from gridmill.datasources.parsing.names import check_width, make_names
from gridmill.datasources.parsing.spool import Spool
from gridmill.kit.errors import InvalidJson
from gridmill.kit.json import MAX_DEPTH, is_too_deep, parse_json
from gridmill.kit.text import is_storable
from gridmill.kit.values import DataType

_CHUNK = 1_000
_MOST_ZEROS = 300
_KEY = re.compile(rb'"\s*:')
# An escape at a time, so that an escaped backslash hides the u behind it: a whole pair, half of one
# (group 1), or any other.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
_DECODE_RECORD = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_DECODE_TEXT = msgspec.json.Decoder(str).decode


class _Kind(Flag):
    """What JSON kinds a column has held."""

    NOTHING = 0
    TEXT = auto()
    NESTED = auto()


class RecordReader:
    """Takes one JSON object after the other and writes rows into a spool."""

    def __init__(self, spool_path: Path) -> None:
        self._spool = Spool(spool_path)
        self._keys: dict[str, int] = {}
        self._kinds: list[_Kind] = []
        self._rows: list[list[str | None]] = []

    def add(self, raw: bytes, where: str) -> None:
        """Add the record that `raw` writes; `where` names its place in a `ParseFailure`."""
        if is_too_deep(raw):
            raise refuse_depth(where)
        try:
            record = _DECODE_RECORD(raw)
        except msgspec.ValidationError:
            raise ParseFailure(f"{where} is not a JSON object.") from None
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise explain_json_error(error, where, find_half_surrogate(raw)) from None
        if len(_KEY.findall(raw)) != len(record):
            _check_keys(raw, where)
        row: list[str | None] = [None] * len(self._keys)
        for key, value in record.items():
            position = self._keys.get(key)
            if position is None:
                position = self._add_key(key, where)
                row.append(None)
            row[position] = self._read_value(bytes(value), position, where)
        self._rows.append(row)
        if len(self._rows) >= _CHUNK:
            self._flush()

    def finish(self) -> Parsed:
        """The columns and the number of rows; the spool is complete."""
        self._flush()
        types = self._spool.close()
        if not self._keys:
            raise ParseFailure("The file holds no records with fields.")
        names = make_names(list(self._keys))
        return Parsed(
            tuple(
                ParsedColumn(name, _settle(inferred, kind))
                for name, inferred, kind in zip(names, types, self._kinds, strict=True)
            ),
            self._spool.rows,
        )

    def _add_key(self, key: str, where: str) -> int:
        if not is_storable(key):
            raise ParseFailure(f"{where} has a key with a NUL character.")
        self._flush()
        position = len(self._keys)
        check_width(position + 1, f"{where}: the file")
        self._keys[key] = position
        self._kinds.append(_Kind.NOTHING)
        self._spool.add_column()
        return position

    def _flush(self) -> None:
        if self._rows:
            self._spool.write_cells(self._rows)
            self._rows = []

    def _read_value(self, raw: bytes, position: int, where: str) -> str | None:
        first = raw[:1]
        if first == b'"':
            self._kinds[position] |= _Kind.TEXT
            text = _decode_text(raw, where)
            if "\0" in text:
                raise ParseFailure(f"{where} holds a NUL character.")
            return text
        if first in {b"{", b"["}:
            self._kinds[position] |= _Kind.NESTED
            return _compact(raw, where)
        if raw == b"null":
            return None
        text = raw.decode()
        return text if text in {"true", "false"} else write_number(text)


def _settle(inferred: DataType, kind: _Kind) -> DataType:
    if _Kind.TEXT in kind:
        return inferred if inferred in {DataType.DATE, DataType.DATETIME} else DataType.TEXT
    return DataType.JSON if _Kind.NESTED in kind else inferred


def _decode_text(raw: bytes, where: str) -> str:
    try:
        return _DECODE_TEXT(raw)
    except (msgspec.MsgspecError, ValueError):
        half = find_half_surrogate(raw)
        if half is not None:
            raise _refuse_half(where, half) from None
        raise ParseFailure(f"{where} holds a string with a broken escape.") from None


def _compact(raw: bytes, where: str) -> str:
    try:
        return msgspec.json.format(raw, indent=-1).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise explain_json_error(error, where, find_half_surrogate(raw)) from None


def _check_keys(raw: bytes, where: str) -> None:
    """A second, slower reading that finds a key that occurs twice: the first would lose a value."""
    try:
        parse_json(raw)
    except InvalidJson as error:
        raise ParseFailure(f"{where}: {error.message}") from None


def write_number(digits: str) -> str:
    """A JSON number in plain digits: no exponent, no closing zeros, no `-0`; the value is exact.

    A number with over 300 zeros to write is left as it is.
    """
    if digits.lstrip("-").isdecimal():
        return "0" if digits == "-0" else digits
    number = Decimal(digits)
    if not number:
        return "0"
    if abs(number.adjusted()) > _MOST_ZEROS:
        return digits
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


@dataclass(frozen=True, slots=True)
class HalfSurrogate:
    """An escape of half a surrogate pair without its other half, and the byte where it stands."""

    escape: str
    position: int


def find_half_surrogate(raw: bytes) -> HalfSurrogate | None:
    """The first escape of half a surrogate pair; the parser calls some of these truncated input."""
    for found in _ESCAPE.finditer(raw):
        if found[1]:
            return HalfSurrogate(found[1].decode(), found.start())
    return None


def explain_json_error(error: Exception, where: str, half: HalfSurrogate | None) -> ParseFailure:
    """What is wrong with `where`, by the parser's `error` or the `half` that it stumbled over."""
    if isinstance(error, RecursionError):
        return refuse_depth(where)
    if half is not None:
        return _refuse_half(where, half)
    text = str(error).removeprefix("JSON is malformed: ").partition(" (byte ")[0]
    return ParseFailure(f"{where} is not valid JSON: {text[:1].lower() + text[1:].rstrip('.')}.")


def refuse_depth(where: str) -> ParseFailure:
    """The failure of what is nested too deeply."""
    return ParseFailure(
        f"{where} is nested deeper than {MAX_DEPTH} levels. Flatten it, or write its inner part as "
        "a string."
    )


def _refuse_half(where: str, half: HalfSurrogate) -> ParseFailure:
    return ParseFailure(
        f"{where} holds {half.escape}, half of a surrogate pair and so no character. Write both "
        "halves, or leave it out."
    )


def count_line(raw: bytes, position: int) -> int:
    """The 1-based line of a byte."""
    return raw.count(b"\n", 0, position) + 1
