"""Which routes there are: the rooms' routers, mounted, and what may be asked of a path."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from re import Pattern
from typing import Any, cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import compile_path

from gridmill.kit.http import CallRoute, Operation
from gridmill.kit.http.operation import EXTENSION

API_PREFIX = "/api/v2"


@dataclass(frozen=True, slots=True)
class Mounted:
    """One route where it stands: its path from the root, and what it says of itself."""

    path: str
    methods: tuple[str, ...]
    pattern: Pattern[str]
    endpoint: object
    description: str
    operation: Operation | None


class RouteTable:
    """All routes of the app, in the order in which they are tried."""

    def __init__(self, routers: Sequence[tuple[str, APIRouter]]) -> None:
        self._routers = tuple(routers)
        self.routes = tuple(_list_routes(routers))
        self._by_endpoint = {route.endpoint: route.path for route in self.routes}

    def mount(self, app: FastAPI) -> None:
        """Put every router into `app` under its prefix."""
        for prefix, router in self._routers:
            app.include_router(router, prefix=prefix)

    def methods_of(self, path: str) -> list[str]:
        """The methods that `path` answers, HEAD and OPTIONS included.

        A route of this very path hides those that would take a part of it for an id, as in OpenAPI
        (3.1, "Path Templating Matching").
        """
        routes = [route for route in self.routes if route.pattern.match(path)]
        fewest = min((route.path.count("{") for route in routes), default=0)
        found = {m for route in routes if route.path.count("{") == fewest for m in route.methods}
        if "GET" in found:
            found.add("HEAD")
        return sorted(found | {"OPTIONS"})

    def template_of(self, endpoint: object) -> str | None:
        """The path of an endpoint with its parameters as names: what logs and metrics show."""
        return self._by_endpoint.get(endpoint)


def _list_routes(routers: Sequence[tuple[str, APIRouter]]) -> Iterator[Mounted]:
    for prefix, router in routers:
        # Routers may hold routers: this walks them all, with the paths that they end up at.
        for context in iter_route_contexts(router.routes):
            route = context.original_route
            if not isinstance(route, APIRoute):
                continue
            if route.openapi_extra and not isinstance(route, CallRoute):
                raise TypeError(f"{route.path}: make its router with kit.http.make_router()")
            path = f"{prefix}{context.path}"
            extra: dict[str, Any] = route.openapi_extra or {}
            yield Mounted(
                path=path,
                methods=tuple(sorted(route.methods or ())),
                pattern=compile_path(path)[0],
                endpoint=route.endpoint,
                description=route.description,
                operation=cast("Operation | None", extra.get(EXTENSION)),
            )
