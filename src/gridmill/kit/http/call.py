"""One request as an endpoint sees it: who calls, the body, the query, the transaction."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Protocol, TypeVar, cast
from uuid import UUID

from fastapi import Depends, params
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from starlette.requests import Request
from starlette.responses import Response

from gridmill.kit.errors import (
    GridmillError,
    InsufficientScope,
    InvalidText,
    Unauthorized,
    ValidationFailed,
)
from gridmill.kit.http import idempotency
from gridmill.kit.http.body import BODY_LIMIT, check_json_type, read_body
from gridmill.kit.http.query import parse_query
from gridmill.kit.http.wire import ModelT, WireModel, validate_json
from gridmill.kit.json import parse_request

ServiceT = TypeVar("ServiceT")
# No workspace has this id: a call without a key sees the rows of none.
_NOBODY = UUID(int=0)

# What is checked after the body, and so after the idempotency key.
_AFTER_BODY = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})


class _NoQuery(WireModel):
    """No parameter."""


class Caller(Protocol):
    """Whoever a key stands for; the auth room knows more of it (`auth.service.principal_of`)."""

    @property
    def workspace_id(self) -> UUID:
        """The workspace that owns whatever the caller may see."""
        ...

    @property
    def holder_id(self) -> UUID:
        """Whose idempotency keys these are: the workspace's, or those of a limited key."""
        ...

    def allows(self, scope: str) -> bool:
        """Whether the key reaches `scope`."""
        ...


class Transactions(Protocol):
    """What a call needs of the database."""

    def transaction(
        self, *, workspace_id: UUID | None = None
    ) -> AbstractAsyncContextManager[AsyncConnection[TupleRow]]:
        """A transaction: committed at exit, rolled back on any error; it sees one workspace."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What bootstrap built for the API, found by type: `call.service(Database)`."""

    database: Transactions
    registry: Mapping[type, object] = field(default_factory=dict[type, object])
    public_url: str | None = None


class Call:
    """A request under the contract's rules. Made by `CallDep`, one a request."""

    def __init__(self, request: Request, services: Services, stack: AsyncExitStack) -> None:
        self.request = request
        self.services = services
        self._stack = stack
        self._tx: AsyncConnection[TupleRow] | None = None
        self._raw: bytes | None = None
        self._payload_digest: bytes | None = None
        self._claim: idempotency.Claim | None = None
        self._effect = AsyncExitStack()
        self._key: str | None = None
        self._fault: GridmillError | None = None
        self._read_key()

    @property
    def caller(self) -> Caller:
        """Whose key came with the request; `auth.service.principal_of(call)` is the typed one.

        Raises:
            Unauthorized: on a route outside `/api/v2`, where nobody was asked for a key.
        """
        caller = find_caller(self.request)
        if caller is None:
            raise Unauthorized
        return caller

    def absolute_url(self, path: str) -> str:
        """`path` (from the root, `/…`) as a full URL: under the operator's public URL, if one is set."""
        base = self.services.public_url or str(self.request.base_url)
        return base.rstrip("/") + path

    def service(self, kind: type[ServiceT]) -> ServiceT:
        """What bootstrap registered under the type `kind` (a class or a protocol)."""
        return cast("ServiceT", self.services.registry[kind])

    async def tx(self) -> AsyncConnection[TupleRow]:
        """The request's one transaction, opened when first asked for.

        It is committed after the endpoint returned and before the reply goes out, and rolled back
        when the endpoint raises. Ask for it after a long upload was read, not before; a stream
        that outlives the endpoint opens its own through `call.service(Database)`.

        With an `Idempotency-Key`, the body is read first and the key claimed, so that a repeat
        ends here: it gets the reply that was kept.

        Raises:
            Unavailable: the database is away.
            IdempotencyInProgress, IdempotencyKeyReused.
        """
        if self._tx is None:
            digest = None if self._key is None else await self._digest_payload()
            caller = find_caller(self.request)
            workspace_id = _NOBODY if caller is None else caller.workspace_id
            self._tx = await self._stack.enter_async_context(
                self.services.database.transaction(workspace_id=workspace_id)
            )
            if self._key is not None and digest is not None:
                await self._take_claim(self._tx, self._key, digest)
        return self._tx

    def note_payload(self, digest: bytes) -> None:
        """Say what an upload that was received holds, before `tx` is first asked for."""
        self._payload_digest = digest

    async def _digest_payload(self) -> bytes:
        if self._payload_digest is None:
            self._payload_digest = hashlib.sha256(await self._read(BODY_LIMIT)).digest()
        return self._payload_digest

    async def _take_claim(self, tx: AsyncConnection[TupleRow], key: str, digest: bytes) -> None:
        claims = self.service(idempotency.Claims)
        fingerprint = idempotency.fingerprint(self.request, digest)
        claim = idempotency.Claim(self.caller.holder_id, key, fingerprint)
        kept = await claims.take(tx, claim)
        if kept is not None:
            raise idempotency.send_again(kept)
        self._claim = claim
        # The effect is undone alone when it is refused: the claim and the kept refusal stay.
        await self._stack.enter_async_context(self._effect)
        await self._effect.enter_async_context(tx.transaction())

    async def keep_response(self, response: Response, shown_once: Sequence[str]) -> None:
        """Keep a reply for repeats, in the transaction of its effect; only a claimed call's."""
        if self._fault is not None:
            raise self._fault  # it had no body that would have been refused; the effect is undone
        if self._key is not None and self._tx is None:
            await self.tx()
        claim, self._claim = self._claim, None
        if claim is not None and self._tx is not None:
            await self._effect.aclose()
            kept = idempotency.keep_response(response, shown_once)
            await self.service(idempotency.Claims).keep(self._tx, claim, kept)

    async def keep_error(self, error: GridmillError) -> None:
        """Undo the effect and keep its refusal for repeats; only a claimed call's.

        Raises:
            ValidationFailed, InvalidText: the key or the query is malformed, and that is to be
                said before this `error`.
        """
        if self._fault is not None and error.status in _AFTER_BODY:
            raise self._fault from None
        claim, self._claim = self._claim, None
        if claim is not None and self._tx is not None and idempotency.is_kept(error):
            await self._effect.__aexit__(type(error), error, error.__traceback__)
            kept = idempotency.keep_error(error)
            await self.service(idempotency.Claims).keep(self._tx, claim, kept)
            await self._stack.aclose()

    async def body(
        self, model: type[ModelT], *, optional: bool = False, limit: int = BODY_LIMIT
    ) -> ModelT:
        """The JSON body as `model`; with `optional` no body at all counts as `{}`.

        Call it after the checks of the path's objects (404) and before the effect (409).

        Raises:
            ValidationFailed: also for an `Idempotency-Key` that is malformed.
            UnsupportedMediaType, PayloadTooLarge, InvalidJson, InvalidText.
        """
        if self._fault is not None:
            raise self._fault
        if self._key is not None:
            await self.tx()  # a repeat ends here, whatever its body says
        if optional and self._is_bodiless():
            return validate_json(model, b"{}")
        check_json_type(self.request)
        raw = await self._read(limit)
        if optional and not raw:
            return validate_json(model, b"{}")
        parse_request(raw)
        return validate_json(model, raw)

    def query(self, model: type[ModelT]) -> ModelT:
        """The query string as `model`; unknown, repeated and malformed parameters are refused.

        Raises:
            ValidationFailed, InvalidText.
        """
        return parse_query(model, cast("bytes", self.request.scope.get("query_string", b"")))

    def refuse_query(self) -> None:
        """Refuse whatever stands in the query string: the operation has no parameters there.

        Raises:
            ValidationFailed, InvalidText: now or, where the path names something, after its 404.
        """
        try:
            self.query(_NoQuery)
        except (ValidationFailed, InvalidText) as error:
            self._tell_later(error)

    async def _read(self, limit: int) -> bytes:
        if self._raw is None:
            self._raw = await read_body(self.request, limit)
        return self._raw

    def _read_key(self) -> None:
        if self.request.method not in idempotency.METHODS:
            return
        try:
            self._key = idempotency.read_key(self.request.headers.getlist(idempotency.HEADER))
        except ValidationFailed as error:
            self._tell_later(error)

    def _tell_later(self, fault: GridmillError) -> None:
        """Where the path names something its 404 goes first, so that a 422 is told after it."""
        if not self.request.path_params:
            raise fault
        self._fault = self._fault or fault

    def _is_bodiless(self) -> bool:
        headers = self.request.headers
        return "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"


def find_caller(request: Request) -> Caller | None:
    """The caller that the edge put on the request, if it asked for a key."""
    return cast("Caller | None", request.scope.get("state", {}).get("caller"))


async def _open_call(request: Request) -> AsyncIterator[Call]:
    app: Any = request.app
    async with AsyncExitStack() as stack:
        call = Call(request, cast("Services", app.state.services), stack)
        request.scope.setdefault("state", {})["call"] = call
        yield call


CallDep = Annotated[Call, Depends(_open_call, scope="function")]
"""The parameter type of every endpoint."""


def _refuse_query(call: CallDep) -> None:
    call.refuse_query()


WITHOUT_QUERY = cast("params.Depends", Depends(_refuse_query))
"""A route dependency: 422 for any parameter in the query string."""


def require(scope: str) -> params.Depends:
    """A route dependency: 403 `INSUFFICIENT_SCOPE` unless the caller's key reaches `scope`."""

    def check(request: Request) -> None:
        caller = find_caller(request)
        if caller is None:
            raise Unauthorized
        if not caller.allows(scope):
            name = str(scope)
            raise InsufficientScope(
                f"This needs a key with the scope {name!r}.", details={"requiredScope": name}
            )

    return cast("params.Depends", Depends(check))
