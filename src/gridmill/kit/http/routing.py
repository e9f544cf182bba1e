"""The kind of route that every room's router makes: it keeps the replies of claimed calls."""

from collections.abc import Callable, Coroutine
from typing import Any, cast

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from gridmill.kit.errors import GridmillError
from gridmill.kit.http.call import Call
from gridmill.kit.http.idempotency import Replay
from gridmill.kit.http.operation import EXTENSION, Operation


class CallRoute(APIRoute):
    """A route whose endpoint takes a `Call`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's, inside the call's transaction: what is kept is committed with the effect."""
        handler = super().get_route_handler()
        described = cast("Operation | None", (self.openapi_extra or {}).get(EXTENSION))
        shown_once = () if described is None else described.shown_once

        async def handle(request: Request) -> Response:
            try:
                response = await handler(request)
                call = _find_call(request)
                if call is not None:
                    await call.keep_response(response, shown_once)
            except Replay as replay:
                return replay.response
            except GridmillError as error:
                call = _find_call(request)
                if call is not None:
                    await call.keep_error(error)
                raise
            return response

        return handle


def make_router() -> APIRouter:
    """A router for a room's endpoints."""
    return APIRouter(route_class=CallRoute)


def _find_call(request: Request) -> Call | None:
    return cast("Call | None", request.scope.get("state", {}).get("call"))
