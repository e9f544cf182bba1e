"""What /openapi.json says of headers: those of every reply, and those that change what a call does."""

from http import HTTPStatus
from typing import Any, TypeAlias

from gridmill.kit.errors import (
    GridmillError,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    PayloadTooLarge,
    PreconditionFailed,
    ValidationFailed,
)
from gridmill.kit.http import Operation
from gridmill.kit.http.idempotency import HEADER, METHODS, REPLAYED

Json: TypeAlias = dict[str, Any]

_INTEGER = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**63 - 1}
_TEXT = {"type": "string"}
_KEY = {
    **_TEXT,
    "minLength": 1,
    "maxLength": 257,
    "pattern": r'^([!#-~]([ -~]{0,253}[!-~])?|"[!#-\[\]-~]{1,255}")$',
}
_RATE = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_WAITING = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

HEADERS: Json = {
    "X-Request-Id": {"description": "The id of this request, as in the log", "schema": _TEXT},
    "X-RateLimit-Limit": {"description": "Requests that the key may make", "schema": _INTEGER},
    "X-RateLimit-Remaining": {"description": "Of these, how many are left", "schema": _INTEGER},
    "X-RateLimit-Reset": {
        "description": "When the count starts anew, in seconds of the epoch",
        "schema": _INTEGER,
    },
    "Retry-After": {
        "description": "Seconds to wait before the call is repeated",
        "schema": _INTEGER,
    },
    "WWW-Authenticate": {"description": "`Bearer`", "schema": _TEXT},
    "ETag": {
        "description": "Names this state, for `If-Match` and `If-None-Match`",
        "schema": _TEXT,
    },
    REPLAYED: {
        "description": "`true` on the repeat of a call, whose effect was not had again",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
"""`components.headers`."""


def list_parameters(method: str, operation: Operation) -> list[Json]:
    """The request headers that the operation knows."""
    found: list[Json] = []
    if operation.scope is not None and method in METHODS:
        text = "Makes repeats within 24 hours return the first reply without a second effect"
        found.append(_parameter(HEADER, text, _KEY))
    if operation.tagged and method in {"PATCH", "PUT", "DELETE"}:
        text = "Go on only if the `ETag` is one of these (412 otherwise); `*` is any"
        found.append(_parameter("If-Match", text, _TEXT))
    if operation.tagged and method == "GET":
        text = "Answer 304 without a body if the `ETag` is one of these"
        found.append(_parameter("If-None-Match", text, _TEXT))
    return found


def list_errors(method: str, operation: Operation) -> tuple[type[GridmillError], ...]:
    """The errors that come with these headers."""
    found: list[type[GridmillError]] = []
    if operation.scope is not None and method in METHODS:
        # A key may be malformed, and is told apart from others by the body, which is then read.
        found += [ValidationFailed, PayloadTooLarge, IdempotencyKeyReused, IdempotencyInProgress]
    if operation.tagged and method in {"PATCH", "PUT", "DELETE"}:
        found.append(PreconditionFailed)
    return tuple(found)


def name_headers(method: str, operation: Operation, status: int) -> Json:
    """References to the headers of a reply with this status."""
    names = ["X-Request-Id"]
    if operation.scope is not None:
        names += _RATE
        if method in METHODS and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            names.append(REPLAYED)
    if operation.tagged and status in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NOT_MODIFIED}:
        names.append("ETag")
    if status in _WAITING:
        names.append("Retry-After")
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def write_not_modified(method: str, operation: Operation) -> Json:
    """304, where the operation can answer it."""
    if not operation.tagged or method != "GET":
        return {}
    status = int(HTTPStatus.NOT_MODIFIED)
    headers = name_headers(method, operation, status)
    return {str(status): {"description": "Not Modified", "headers": headers}}


def _parameter(name: str, description: str, schema: Json) -> Json:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": schema,
    }
