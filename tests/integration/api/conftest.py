"""A small app on the real edge: the rules of every request, without the rooms."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest_asyncio
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from gridmill.api.app import create_app
from gridmill.api.routes import API_PREFIX
from gridmill.auth import service as auth
from gridmill.auth.model import Scope
from gridmill.bootstrap.parts import open_api
from gridmill.kit.errors import Conflict, NotFound, Unavailable
from gridmill.kit.http import CallDep, ListQuery, WireModel, make_router, operation, reply
from gridmill.settings import load_settings


class ThingNotFound(NotFound):
    code = "THING_NOT_FOUND"


class ThingTaken(Conflict):
    code = "THING_TAKEN"


class Part(WireModel):
    part_name: str = Field(max_length=20)
    count: int = Field(default=0, ge=-1000, le=1000)


class ThingCreate(WireModel):
    name: str
    size: int = Field(default=1, ge=1, le=10)
    ratio: float = 1.0
    on: bool = False
    parts: list[Part] = Field(default_factory=list[Part])


class Nothing(WireModel):
    days: int = 1


router = make_router()
seen: list[object] = []


@router.post(
    "/things/{thing_id}",
    **operation("createThing", "Things", scope="write", body=ThingCreate, reply=ThingCreate),
)
async def create_thing(call: CallDep, thing_id: str) -> Response:
    """Make a thing."""
    if thing_id == "missing":
        raise ThingNotFound("There is no such thing.")
    body = await call.body(ThingCreate)
    tx = await call.tx()
    await tx.execute(
        "INSERT INTO workspaces (workspace_id, name) VALUES (gen_random_uuid(), %s)", (body.name,)
    )
    if thing_id == "taken":
        raise ThingTaken("Someone has it.")
    if thing_id == "broken":
        raise RuntimeError("a secret of the inside")
    return reply(body, 201)


@router.get("/things", **operation("listThings", "Things", scope="read", query=ListQuery))
async def list_things(call: CallDep) -> Response:
    """List things."""
    return reply({"page": call.query(ListQuery).page})


@router.post("/optional", **operation("optional", "Things", scope="write", body=Nothing))
async def take_nothing(call: CallDep) -> Response:
    """A body that may be left out."""
    return reply({"days": (await call.body(Nothing, optional=True)).days})


@router.get("/away", **operation("away", "Things", scope="read"))
async def be_away(call: CallDep) -> Response:
    """Something is away."""
    del call
    raise Unavailable("The database is away.", retry_after=3)


@router.get("/stream", **operation("stream", "Things", scope="read"))
async def stream(call: CallDep) -> Response:
    """A stream that never ends by itself."""
    del call

    async def tick() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            seen.append("ended")

    return StreamingResponse(tick())


@dataclass(frozen=True)
class Client:
    """A client of the app, and keys of each scope."""

    http: httpx2.AsyncClient
    keys: dict[Scope, str]

    def headers(
        self, scope: Scope = Scope.ADMIN, more: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[scope]}", **(more or {})}


@pytest_asyncio.fixture
async def client(module_database_url: str, tmp_path: Path) -> AsyncGenerator[Client]:
    settings = load_settings(data_dir=tmp_path)
    async with open_api(settings, module_database_url) as parts:
        app = create_app(parts, [(API_PREFIX, router)])
        keys: dict[Scope, str] = {}
        async with parts.database.transaction() as tx:
            workspace_id = await auth.ensure_workspace(tx)
            for scope in Scope:
                _, keys[scope] = await auth.create_key(tx, workspace_id, scope, [scope])
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Client(http, keys)
