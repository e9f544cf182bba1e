"""`GET /downloads/{token}`: what a signed link opens, without a key."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import Response

from gridmill.auth import service as auth
from gridmill.auth.errors import LinkExpired, LinkInvalid
from gridmill.bootstrap.parts import Opener
from gridmill.kit.http import CallDep, CallRoute, operation, send_download
from gridmill.storage.database import Database


def make_router(openers: Mapping[str, Opener]) -> APIRouter:
    """The route, over the rooms' openers by kind of link."""
    router = APIRouter(route_class=CallRoute)

    @router.get(
        "/downloads/{token}",
        **operation(
            "download",
            "Downloads",
            scope=None,
            reply_types=("application/octet-stream",),
            errors=(LinkInvalid, LinkExpired),
            reply_headers={"Content-Disposition": "The file's name"},
        ),
    )
    async def download(call: CallDep, token: str) -> Response:
        """Fetch the file behind a signed link. The link is the permission: no key is asked for."""
        if call.request.scope.get("query_string"):
            raise LinkInvalid  # nothing that we signed
        link = await auth.verify_link(await call.tx(), token)
        opener = openers.get(link.kind)
        if opener is None:
            raise LinkInvalid
        return send_download(await opener(call.service(Database), link))

    return router
