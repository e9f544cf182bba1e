"""One request as an endpoint sees it: who calls, the body, the query, the transaction."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, TypeVar, cast

from fastapi import Depends, params
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from starlette.requests import Request

from gridmill.kit.errors import InsufficientScope, Unauthorized
from gridmill.kit.http.body import BODY_LIMIT, check_json_type, read_body
from gridmill.kit.http.query import parse_query
from gridmill.kit.http.wire import ModelT, validate_json
from gridmill.kit.json import parse_request

ServiceT = TypeVar("ServiceT")


class Caller(Protocol):
    """Whoever a key stands for; the auth room knows more of it (`auth.service.principal_of`)."""

    def allows(self, scope: str) -> bool:
        """Whether the key reaches `scope`."""
        ...


class Transactions(Protocol):
    """What a call needs of the database."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection[TupleRow]]:
        """A transaction: committed at exit, rolled back on any error."""
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

        Raises:
            Unavailable: the database is away.
        """
        if self._tx is None:
            self._tx = await self._stack.enter_async_context(self.services.database.transaction())
        return self._tx

    async def body(
        self, model: type[ModelT], *, optional: bool = False, limit: int = BODY_LIMIT
    ) -> ModelT:
        """The JSON body as `model`; with `optional` no body at all counts as `{}`.

        Call it after the checks of the path's objects (404) and before the effect (409).

        Raises:
            UnsupportedMediaType, PayloadTooLarge, InvalidJson, InvalidText, ValidationFailed.
        """
        if optional and self._is_bodiless():
            return validate_json(model, b"{}")
        check_json_type(self.request)
        raw = await read_body(self.request, limit)
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

    def _is_bodiless(self) -> bool:
        headers = self.request.headers
        return "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"


def find_caller(request: Request) -> Caller | None:
    """The caller that the edge put on the request, if it asked for a key."""
    return cast("Caller | None", request.scope.get("state", {}).get("caller"))


async def _open_call(request: Request) -> AsyncIterator[Call]:
    app: Any = request.app
    async with AsyncExitStack() as stack:
        yield Call(request, cast("Services", app.state.services), stack)


CallDep = Annotated[Call, Depends(_open_call, scope="function")]
"""The parameter type of every endpoint."""


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
