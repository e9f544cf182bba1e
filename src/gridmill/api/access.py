"""Who calls, and how often: asked before the route is looked for and before the body is read."""

from starlette.types import ASGIApp, Receive, Scope, Send

from gridmill.api.rates import Rates
from gridmill.api.routes import API_PREFIX
from gridmill.auth import service
from gridmill.kit.errors import Unauthorized
from gridmill.storage.database import Database


class Access:
    """Everything under `/api/v2`, routes that do not exist included, needs a valid key."""

    def __init__(self, app: ASGIApp, *, database: Database, secret: bytes, rates: Rates) -> None:
        self._app = app
        self._database = database
        self._secret = secret
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the caller into the request's state, or raise `Unauthorized` or `RateLimited`."""
        if scope["type"] == "http" and is_guarded(scope["path"]):
            state = scope.setdefault("state", {})
            state["window"] = self._rates.untouched()
            key = service.read_bearer(_authorization(scope))
            async with self._database.transaction(read_only=self._rates.limit is None) as tx:
                caller = await service.authenticate(tx, self._secret, key)
                window = await self._rates.count(tx, caller.key_id)
            state["caller"], state["window"] = caller, window
            self._rates.check(window)
        await self._app(scope, receive, send)


def is_guarded(path: str) -> bool:
    """Whether a path belongs to the API proper."""
    return path == API_PREFIX or path.startswith(f"{API_PREFIX}/")


def _authorization(scope: Scope) -> str | None:
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) > 1:
        raise Unauthorized
    return found[0].decode("latin-1") if found else None
