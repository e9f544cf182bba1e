"""Replies: JSON by orjson, errors in their one shape."""

from collections.abc import Mapping
from datetime import datetime

import orjson
from pydantic import BaseModel
from starlette.responses import Response

from gridmill.kit.clock import to_wire
from gridmill.kit.errors import GridmillError

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


def to_json(data: object) -> bytes:
    """JSON of plain values, wire models, UUIDs, enums, frozen dataclasses and times."""
    return orjson.dumps(data, default=_to_plain, option=_OPTIONS)


def reply(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON reply; `data` goes through `to_json` once and is not validated again."""
    return Response(to_json(data), status, headers, "application/json")


def no_content() -> Response:
    """204."""
    return Response(status_code=204)


def error_reply(error: GridmillError) -> Response:
    """`{"error", "code", "details"}` with the error's status and headers."""
    return reply(error.to_wire(), error.status, error.headers)


def _to_plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, datetime):
        return to_wire(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
