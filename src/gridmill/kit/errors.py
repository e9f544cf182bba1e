"""The drawn tree of errors that reach a client.

Every error carries the contract's code and status; rooms add their own leaves in
`<room>/errors.py`. What is not a `GridmillError` becomes `INTERNAL_ERROR` at the edge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class GridmillError(Exception):
    """An error with a place in the contract's table.

    `code` and `status` belong to the class; `message` is for people, `details` for programs,
    `headers` go out with the reply.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, object] = dict(details or {})
        self.headers: dict[str, str] = dict(headers or {})

    def to_wire(self) -> dict[str, object]:
        """The body of the reply: `{error, code, details}`."""
        return {"error": self.message, "code": self.code, "details": self.details}


class InternalError(GridmillError):
    """500: our fault; says nothing of the inside."""


class NotFound(GridmillError):
    """404: also what another workspace's object answers."""

    code = "ROUTE_NOT_FOUND"
    status = 404


class Conflict(GridmillError):
    """409: the request is fine, the state of things is not."""

    code = "CONFLICT"
    status = 409


class Unprocessable(GridmillError):
    """422: understood, and refused for what it says."""

    code = "VALIDATION_ERROR"
    status = 422


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of a body or query that does not hold: its dotted path and what to do."""

    field: str
    message: str


class ValidationFailed(Unprocessable):
    """422 with every field that is at fault in `details.fields`."""

    code = "VALIDATION_ERROR"

    def __init__(self, fields: Sequence[FieldError], message: str | None = None) -> None:
        if message is None:
            first = fields[0]
            message = f"{first.field}: {first.message}" if first.field else first.message
        super().__init__(
            message,
            details={"fields": [{"field": f.field, "message": f.message} for f in fields]},
        )
        self.fields = tuple(fields)

    @classmethod
    def of(cls, field: str, message: str) -> "ValidationFailed":
        """The common case of a single field."""
        return cls([FieldError(field, message)])


class InvalidText(Unprocessable):
    """422: a NUL character or a lone surrogate, which no store can keep."""

    code = "INVALID_TEXT"


class InvalidFilter(Unprocessable):
    """422: a filter expression that does not parse; `details.position` is a 0-based offset."""

    code = "INVALID_FILTER"

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, details={"position": position})
        self.position = position


class InvalidSelection(Unprocessable):
    """422: ids that do not go together or are not of this dataset."""

    code = "INVALID_SELECTION"


class InvalidJson(GridmillError):
    """400: the body is no JSON."""

    code = "INVALID_JSON"
    status = 400


class Unauthorized(GridmillError):
    """401: no key, or one that does not count."""

    code = "UNAUTHORIZED"
    status = 401

    def __init__(
        self, message: str = "A valid API key is needed: Authorization: Bearer KEY."
    ) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class InsufficientScope(GridmillError):
    """403: a valid key without the scope that the route needs."""

    code = "INSUFFICIENT_SCOPE"
    status = 403


class MethodNotAllowed(GridmillError):
    """405, with `Allow`."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class PayloadTooLarge(GridmillError):
    """413: the body is over its limit."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413


class UnsupportedMediaType(GridmillError):
    """415: the body is of a type that the route does not read."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class Unavailable(GridmillError):
    """503: something Gridmill stands on is away for now."""

    code = "SERVICE_UNAVAILABLE"
    status = 503

    def __init__(self, message: str, *, retry_after: int = 2) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)})
        self.retry_after = retry_after
