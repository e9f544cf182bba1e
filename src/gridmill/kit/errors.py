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


class PreconditionFailed(GridmillError):
    """412: `If-Match` names another state than the present one, whose tag is in `details.etag`."""

    code = "PRECONDITION_FAILED"
    status = 412

    def __init__(self, etag: str) -> None:
        super().__init__(
            "This was changed since you read it: read it again and repeat the change.",
            details={"etag": etag},
        )


class IdempotencyKeyReused(Unprocessable):
    """422: the idempotency key came with another method, path or payload before."""

    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another call in the last 24 hours; take a new one."
        )


class IdempotencyInProgress(Conflict):
    """409: the first call with this idempotency key is still running."""

    code = "IDEMPOTENCY_IN_PROGRESS"

    def __init__(self) -> None:
        super().__init__(
            "The first call with this Idempotency-Key is still running; ask again in a moment.",
            headers={"Retry-After": "1"},
        )


class RateLimited(GridmillError):
    """429: the key has made its requests of this minute; `retry_after` in seconds."""

    code = "RATE_LIMITED"
    status = 429

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(
            f"The key may make {limit} requests a minute; wait {retry_after} s.",
            details={"limit": limit, "retryAfter": retry_after},
            headers={"Retry-After": str(retry_after)},
        )


class QuotaExceeded(GridmillError):
    """429: the workspace has reached a limit of the operator's; `details.quota` names it."""

    code = "QUOTA_EXCEEDED"
    status = 429

    def __init__(self, quota: str, limit: int, message: str) -> None:
        super().__init__(message, details={"quota": quota, "limit": limit})


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
