"""The app: the rooms' routers under /api/v2, the operator's routes at the root, two layers around."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gridmill.api import docs
from gridmill.api.access import Access
from gridmill.api.downloads import make_router as make_downloads_router
from gridmill.api.edge import Edge
from gridmill.api.errors import from_http_exception, render_error
from gridmill.api.health import make_router as make_health_router
from gridmill.api.metrics import Metrics
from gridmill.api.openapi import write_openapi
from gridmill.api.rates import Rates
from gridmill.api.rooms import list_routers
from gridmill.api.routes import RouteTable
from gridmill.bootstrap.parts import ApiParts
from gridmill.kit.errors import GridmillError
from gridmill.kit.http import reply, to_json


def create_app(parts: ApiParts, routers: Sequence[tuple[str, APIRouter]] | None = None) -> FastAPI:
    """The ASGI app over what bootstrap built; `routers` (prefix, router) replace the rooms'.

    Outside in: `Edge` (request id, log, metrics, the last net for errors), `Access` (401, 429),
    the routes (403, 404, 422, 409).
    """
    metrics = Metrics(parts.read_gauges)
    described = [
        *(list_routers() if routers is None else routers),
        ("", make_downloads_router(parts.openers)),
    ]
    plain = [make_health_router(parts.readiness, metrics), _make_docs_router(RouteTable(described))]
    routes = RouteTable([*described, *(("", router) for router in plain)])
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = parts.services
    routes.mount(app)
    rates = Rates(parts.rate_limit)
    app.add_middleware(Access, database=parts.database, secret=parts.secret, rates=rates)
    app.add_middleware(Edge, routes=routes, metrics=metrics)

    async def answer_error(request: Request, error: Exception) -> Response:
        if isinstance(error, GridmillError):
            return render_error(request.scope, error)
        if isinstance(error, HTTPException):
            return from_http_exception(request, error, routes)
        raise error

    app.add_exception_handler(GridmillError, answer_error)
    app.add_exception_handler(HTTPException, answer_error)
    return app


def _make_docs_router(routes: RouteTable) -> APIRouter:
    document = write_openapi(routes.routes)
    written, page = to_json(document), docs.write_docs(document)
    router = APIRouter()

    @router.get("/openapi.json")
    async def show_openapi() -> Response:
        """The machine-readable description of this API."""
        return Response(written, media_type="application/json")

    @router.get("/docs")
    async def show_docs() -> Response:
        """The same for people."""
        return HTMLResponse(page, headers={"Content-Security-Policy": docs.POLICY})

    @router.get("/")
    async def show_root() -> Response:
        """Where to go from here."""
        return reply({"name": "Gridmill", "docs": "/docs", "api": "/api/v2", "ready": "/readyz"})

    return router
