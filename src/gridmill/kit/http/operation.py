"""What a route says of itself: its scope and all that /openapi.json tells of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypedDict

from fastapi import params
from pydantic import BaseModel

from gridmill.kit.errors import (
    GridmillError,
    InsufficientScope,
    InternalError,
    InvalidJson,
    InvalidText,
    PayloadTooLarge,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from gridmill.kit.http.call import WITHOUT_QUERY, require

EXTENSION = "x-gridmill-operation"
"""Where a route's `openapi_extra` keeps its `Operation`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API, complete enough to write its OpenAPI entry."""

    operation_id: str
    tag: str
    scope: str | None
    status: int
    reply: type[BaseModel] | None
    reply_types: tuple[str, ...]
    body: type[BaseModel] | None
    body_required: bool
    multipart: Mapping[str, Any] | None
    query: type[BaseModel] | None
    errors: tuple[type[GridmillError], ...] = ()
    reply_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    shown_once: tuple[str, ...] = ()
    tagged: bool = False


class RouteOptions(TypedDict):
    """Keyword arguments for `router.get(path, **options)`."""

    operation_id: str
    status_code: int
    response_model: None
    dependencies: Sequence[params.Depends]
    openapi_extra: dict[str, Any]


def operation(
    operation_id: str,
    tag: str,
    *,
    scope: str | None,
    status: int = 200,
    reply: type[BaseModel] | None = None,
    reply_types: Sequence[str] = ("application/json",),
    body: type[BaseModel] | None = None,
    body_required: bool = True,
    multipart: Mapping[str, Any] | None = None,
    query: type[BaseModel] | None = None,
    errors: Sequence[type[GridmillError]] = (),
    reply_headers: Mapping[str, str] | None = None,
    shown_once: Sequence[str] = (),
    tagged: bool = False,
) -> RouteOptions:
    """Options for a route; the docstring of the endpoint becomes its description.

    `scope` is checked before the endpoint runs (`None`: no key is asked for). `body` and `query`
    are the models that the endpoint gives to `call.body` and `call.query`; `multipart` is the JSON
    schema of an upload's form instead. `errors` are the room's own; the general ones are added.
    `reply_headers` maps a header's name to its description. `shown_once` are the reply's fields
    that are not kept for a repeat; `tagged` says that what the path names carries an `ETag`.
    """
    described = Operation(
        operation_id=operation_id,
        tag=tag,
        scope=scope,
        status=status,
        reply=reply,
        reply_types=tuple(reply_types),
        body=body,
        body_required=body_required,
        multipart=multipart,
        query=query,
        errors=(*errors, *_general_errors(scope, body, multipart)),
        reply_headers=dict(reply_headers or {}),
        shown_once=tuple(shown_once),
        tagged=tagged,
    )
    checks = [] if scope is None else [require(scope)]
    if scope is not None and query is None:
        checks.append(WITHOUT_QUERY)
    return RouteOptions(
        operation_id=operation_id,
        status_code=HTTPStatus(status),
        response_model=None,
        dependencies=checks,
        openapi_extra={EXTENSION: described},
    )


def _general_errors(
    scope: str | None,
    body: type[BaseModel] | None,
    multipart: Mapping[str, Any] | None,
) -> tuple[type[GridmillError], ...]:
    found: list[type[GridmillError]] = []
    if scope is not None:
        # The query string of every guarded call is checked, also where it must be empty.
        found += [Unauthorized, InsufficientScope, RateLimited, ValidationFailed, InvalidText]
    if body is not None:
        found += [InvalidJson]
    if body is not None or multipart is not None:
        found += [PayloadTooLarge, UnsupportedMediaType]
    return (*found, InternalError, Unavailable)
