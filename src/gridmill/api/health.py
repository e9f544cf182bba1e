"""Routes for those who run Gridmill: is it up, is it ready, how busy is it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from fastapi import APIRouter
from starlette.responses import Response

from gridmill.api import metrics as exposition
from gridmill.kit.errors import Unavailable
from gridmill.kit.http import reply

Readiness: TypeAlias = Callable[[], Awaitable[Mapping[str, bool]]]
"""Asks every part whether it can work: part's name to answer."""


def make_router(readiness: Readiness, metrics: exposition.Metrics) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`; none of them asks for a key."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> Response:
        """The process is up."""
        return reply({"status": "ok"})

    @router.get("/readyz")
    async def readyz() -> Response:
        """The database and the engine can do their work."""
        parts = await readiness()
        away = sorted(name for name, is_ready in parts.items() if not is_ready)
        if away:
            raise Unavailable(f"Not ready: {', '.join(away)}.")
        return reply({"status": "ready", "parts": dict.fromkeys(parts, "ok")})

    @router.get("/metrics")
    async def show_metrics() -> Response:
        """Prometheus text."""
        return Response(await metrics.render(), media_type=exposition.CONTENT_TYPE)

    return router
