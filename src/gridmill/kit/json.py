"""JSON as the contract reads and writes it.

Reading is strict: UTF-8 only, no `NaN` or `Infinity`, no number that a double cannot hold, no
key twice in one object, nesting up to 100, integers exact whatever their length (up to 4,000
digits). Writing is orjson's.
"""

import json
import math
import re
from itertools import accumulate
from typing import NoReturn, TypeVar, cast

import orjson

from gridmill.kit.errors import InvalidJson, PayloadTooLarge
from gridmill.kit.text import check_tree

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_DEPTH",
    "dump_json",
    "dump_json_text",
    "is_too_deep",
    "parse_json",
    "parse_request",
]

MAX_BODY_BYTES = 8 * 2**20
MAX_DEPTH = 100
MAX_INTEGER_DIGITS = 4_000

# As signed bytes: one deeper, one higher.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_TEXT = re.compile(rb'"[^"]*+"?')
# Raw control characters are refused by the parser and raw surrogates are no UTF-8, so only an
# escape can bring what text.check_tree looks for.
_SUSPICIOUS_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class _Refused(ValueError):
    """What the parser's hooks raise; its text is for people."""


def _refuse_constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not a JSON number")


def _read_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused(f"the number {digits[:40]} is out of range")
    return number


def _read_int(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise _Refused(f"an integer has over {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _read_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise _Refused(f"the key {twice[:60]!r} occurs twice in one object")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_read_object,
    parse_float=_read_float,
    parse_int=_read_int,
    parse_constant=_refuse_constant,
)


def is_too_deep(raw: bytes) -> bool:
    """Whether JSON (well-formed or not) opens over 100 levels of objects and arrays."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    # Only passes in C: a loop over tokens took half a second for 8 MiB.
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    structure = raw.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    steps = _TEXT.sub(b"", structure).translate(_STEPS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH


def parse_json(raw: bytes) -> object:
    """The value that `raw` writes; floats are doubles, integers exact.

    Raises `InvalidJson` (400) for anything but strict UTF-8 JSON (see the module) with the
    position where the parser stopped.
    """
    if is_too_deep(raw):
        raise InvalidJson(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidJson(f"The body is not UTF-8 (byte {error.start}).") from None
    except _Refused as error:
        raise InvalidJson(f"The body is not valid JSON: {error}.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidJson(
            f"The body is not valid JSON: {error.msg} ({where}).", details={"position": error.pos}
        ) from None
    except RecursionError:
        raise InvalidJson(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None


def parse_request(raw: bytes) -> object:
    """A request body's value: `parse_json` plus the size and the text rules of the contract.

    Raises `PayloadTooLarge` (413) over 8 MiB, `InvalidJson` (400), `InvalidText` (422).
    """
    if len(raw) > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body is over {MAX_BODY_BYTES} bytes.")
    value = parse_json(raw)
    if _SUSPICIOUS_ESCAPE.search(raw) and not _is_storable(value):
        check_tree(value)
    return value


def _is_storable(value: object) -> bool:
    """Whether it is sure to hold neither NUL characters nor lone surrogates.

    orjson writes the one as an escape, refuses the other, and takes a tenth of a walk's time.
    """
    try:
        return b"\\u0000" not in orjson.dumps(value)
    except TypeError:
        return False


def dump_json(value: object) -> bytes:
    """`value` as compact UTF-8 JSON; UUIDs and datetimes are written as their ISO texts.

    Integers beyond 64 bits are the caller's to turn into strings (`values.to_wire` does).
    """
    return orjson.dumps(value)


_JsonT = TypeVar("_JsonT")


def restore_doubles(stored: _JsonT) -> _JsonT:
    """JSON from a `jsonb` column with the doubles that went in.

    PostgreSQL writes 1e20 without its exponent, so it comes back as an integer, which no reply can
    hold. What we store has integers of 64 bits at most: a larger one was a double.
    """
    if isinstance(stored, dict):
        return cast("_JsonT", {k: restore_doubles(v) for k, v in stored.items()})  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(stored, list):
        return cast("_JsonT", [restore_doubles(one) for one in stored])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(stored, int) and not -(2**63) <= stored < 2**63:
        return cast("_JsonT", float(stored))
    return stored


def dump_json_text(value: object) -> str:
    """`value` as compact JSON text in the one form that stored JSON has; any integer is exact.

    Raises `ValueError` for NaN and infinities, `TypeError` for what is no JSON value.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
