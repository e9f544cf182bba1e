"""Errors on the wire: one shape for every status, and RFC 9457 for those who ask for it."""

import re
from http import HTTPStatus
from typing import ClassVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from gridmill.api.routes import RouteTable
from gridmill.kit.errors import (
    GridmillError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    QuotaExceeded,
    RateLimited,
    UnsupportedMediaType,
)
from gridmill.kit.http import error_reply, to_json
from gridmill.kit.meters import REFUSALS

_PROBLEM = "application/problem+json"
_REFUSED = re.compile(r"(?:^|;)\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)")


class BadRequest(GridmillError):
    """400: what the HTTP layer itself could not read."""

    code: ClassVar[str] = "BAD_REQUEST"
    status: ClassVar[int] = 400


def render_error(scope: Scope, error: GridmillError) -> Response:
    """The reply for an error, as a problem document when the client accepts one."""
    _count_refusal(error)
    if not _accepts_problem(scope):
        return error_reply(error)
    body = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "details": error.details,
    }
    return Response(to_json(body), error.status, error.headers, _PROBLEM)


def _count_refusal(error: GridmillError) -> None:
    if isinstance(error, RateLimited):
        REFUSALS.labels("rate").inc()
    elif isinstance(error, QuotaExceeded):
        REFUSALS.labels(str(error.details["quota"])).inc()


def _accepts_problem(scope: Scope) -> bool:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    accepted = b",".join(value for name, value in headers if name == b"accept")
    for choice in accepted.decode("latin-1").lower().split(","):
        kind, _, parameters = choice.partition(";")
        if kind.strip() == _PROBLEM and not _REFUSED.search(parameters):
            return True
    return False


def internal_error(request_id: str) -> InternalError:
    """500, with nothing of the inside but the id under which the log tells all."""
    return InternalError(
        "Something went wrong on the server; its log says what, under this request's id.",
        details={"requestId": request_id},
    )


def from_http_exception(request: Request, raised: HTTPException, routes: RouteTable) -> Response:
    """What Starlette raises (unknown route, wrong method, ...) in the contract's words."""
    path, method = request.url.path, request.method
    if raised.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = ", ".join(routes.methods_of(path))
        if method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allow})
        return render_error(
            request.scope,
            MethodNotAllowed(
                f"{method} is not a method of this path; {allow} are.", headers={"Allow": allow}
            ),
        )
    return render_error(request.scope, _translate(raised, method, path))


def _translate(raised: HTTPException, method: str, path: str) -> GridmillError:
    detail = str(raised.detail)
    if raised.status_code == HTTPStatus.NOT_FOUND:
        return NotFound(f"There is no route {method} {path[:200]}.")
    if raised.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return PayloadTooLarge(detail)
    if raised.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        return UnsupportedMediaType(detail)
    if raised.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return InternalError("Something went wrong on the server.")
    return BadRequest(detail)
