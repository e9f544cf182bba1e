"""Reading what a model wrote: the JSON object in it, exact to the last digit."""

import json
import math
import re
from typing import Any, cast

import msgspec

from gridmill.providers.llm.model import Answer

_THOUGHT_MARK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_ATTEMPTS = 50


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _read_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number


# msgspec keeps integers of any length exact, where orjson would make 23-digit ones floats.
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_lenient = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_read_float)


def read_object(text: str) -> Answer | None:
    """The JSON object that `text` is, or else the first one inside it; `None` when there is none.

    Thoughts in `<think>` tags, code fences and words around the object are passed over. A broken
    outer object does not yield one of its parts.
    """
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    plain = _cut_thoughts(text)
    start = -1
    for _ in range(_ATTEMPTS):
        start = plain.find("{", start + 1)
        if start < 0:
            return None
        try:
            found, _end = _lenient.raw_decode(plain, start)
            # A second reading refuses lone surrogates.
            return _decode(msgspec.json.encode(cast("Answer", found)))
        except (ValueError, msgspec.MsgspecError, RecursionError):
            if _looks_like_object(plain, start):
                return None
    return None


def _cut_thoughts(text: str) -> str:
    """`text` without what stands between a thought's opening mark and the next closing one.

    One pass: a lazy pattern over the whole would look for every opening mark's end to the end of
    the text. A thought that never ends is left in.
    """
    kept: list[str] = []
    kept_until, opened_at = 0, -1
    for mark in _THOUGHT_MARK.finditer(text):
        if mark[1] and opened_at >= 0:
            kept.append(text[kept_until:opened_at])
            kept_until, opened_at = mark.end(), -1
        elif not mark[1] and opened_at < 0:
            opened_at = mark.start()
    return "".join(kept) + text[kept_until:]


def _looks_like_object(text: str, start: int) -> bool:
    """Whether a JSON object was begun at `start`, so that what follows are its parts."""
    return text[start + 1 : start + 200].lstrip().startswith('"')


def list_missing(data: Answer, schema: object) -> list[str]:
    """Problems of an answer when the caller brings no rule of its own: required keys not there."""
    required = cast("dict[str, Any]", schema).get("required") or ()
    return [f'"{name}" is missing' for name in required if name not in data]
