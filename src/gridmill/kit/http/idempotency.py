"""`Idempotency-Key`: what a key may look like, what is kept of a reply, and the port that keeps it.

Shape of the header: draft-ietf-httpapi-idempotency-key-header, whose structured-field string may
also come without its quotes.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Protocol
from uuid import UUID

import orjson
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from starlette.requests import Request
from starlette.responses import Response

from gridmill.kit.errors import GridmillError, ValidationFailed

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
KEPT_BYTES = 8 * 2**20
"""A longer reply is kept without its body; its repeat says `null`."""

_BARE = re.compile(r"[ -~]{1,255}", re.ASCII)
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', re.ASCII)
_ESCAPE = re.compile(r'\\(["\\])')
_KEPT_HEADERS = ("content-type", "location", "etag")
# Answers of the effect that could not be had; all others say that the call was not tried.
_KEPT_ERRORS = frozenset(
    {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.GONE,
        HTTPStatus.PRECONDITION_FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One call under an idempotency key: `holder` is whose keys these are, `fingerprint` 32 bytes."""

    holder: UUID
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class KeptReply:
    """What is kept of a reply; an error's body is its JSON form."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Claims(Protocol):
    """Keeps claims and replies; `storage.idempotency` does it in PostgreSQL."""

    async def take(self, tx: AsyncConnection[TupleRow], claim: Claim) -> KeptReply | None:
        """Claim the key until the transaction ends; the reply to repeat if there is one.

        Raises:
            IdempotencyInProgress, IdempotencyKeyReused.
        """
        ...

    async def keep(self, tx: AsyncConnection[TupleRow], claim: Claim, reply: KeptReply) -> None:
        """Keep the reply to a claimed call."""
        ...


class Replay(Exception):
    """Ends a call whose reply was kept; caught by the route, which sends it again."""

    def __init__(self, response: Response) -> None:
        super().__init__("a kept reply")
        self.response = response


def read_key(values: Sequence[str]) -> str | None:
    """The key in the header's values, without quotes; `None` when there is no header.

    Raises:
        ValidationFailed: two headers, or anything but 1 to 255 printable ASCII characters.
    """
    if not values:
        return None
    text = values[0].strip()
    if text.startswith('"'):
        match = _QUOTED.fullmatch(text)
        text = "" if match is None else _ESCAPE.sub(r"\1", match[1])
    if len(values) > 1 or not _BARE.fullmatch(text):
        raise ValidationFailed.of(
            HEADER, "Send one key of 1 to 255 printable ASCII characters, bare or quoted."
        )
    return text


def fingerprint(request: Request, payload_digest: bytes) -> bytes:
    """SHA-256 over method, path, query and the payload's digest."""
    target = b"?".join((request.url.path.encode(), request.scope.get("query_string", b"")))
    found = hashlib.sha256()
    for part in (request.method.encode(), target, payload_digest):
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()


def is_kept(error: GridmillError) -> bool:
    """Whether an error is the effect's own answer, which a repeat gets again."""
    return error.status in _KEPT_ERRORS


def keep_response(response: Response, shown_once: Sequence[str] = ()) -> KeptReply:
    """What to keep of a reply: without the top-level fields that are shown once, bounded."""
    body = bytes(response.body)
    if body and shown_once:
        fields = orjson.loads(body)
        body = orjson.dumps({k: v for k, v in fields.items() if k not in shown_once})
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    if shown_once:
        headers.pop("etag", None)
    return KeptReply(response.status_code, headers, body if len(body) <= KEPT_BYTES else None)


def keep_error(error: GridmillError) -> KeptReply:
    """What to keep of an error."""
    return KeptReply(error.status, error.headers, orjson.dumps(error.to_wire(), default=str))


def send_again(kept: KeptReply) -> Replay | GridmillError:
    """What to raise for a repeat: an error is written anew, as the repeat asks for it."""
    marked = {**kept.headers, REPLAYED: "true"}
    if kept.status >= HTTPStatus.BAD_REQUEST and kept.body is not None:
        said = orjson.loads(kept.body)

        class Repeated(GridmillError):
            code: ClassVar[str] = said["code"]
            status: ClassVar[int] = kept.status

        return Repeated(said["error"], details=said["details"], headers=marked)
    body = b"null" if kept.body is None else kept.body
    return Replay(Response(body, kept.status, marked))
