"""The data sources behind the real edge, with their job run when a test asks for it."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest_asyncio

from gridmill.api.app import create_app
from gridmill.auth import service as auth
from gridmill.auth.model import Scope
from gridmill.bootstrap.parts import open_api
from gridmill.datasources.jobs import handlers, process_source
from gridmill.datasources.parsing.files import parse_file
from gridmill.datasources.parsing.model import Parsed, ParseOptions
from gridmill.engine.port import JobContext
from gridmill.engine.procrastinate_engine import ProcrastinateEngine
from gridmill.kit.processes import ProcessPool
from gridmill.settings import load_settings
from gridmill.storage.database import Database

BASE = "/api/v2/datasources"


async def parse_here(path: str, spool: str, content_type: str, options: ParseOptions) -> Parsed:
    """The parser without its process: what most tests need."""
    return parse_file(path, spool, content_type, options)


@dataclass(frozen=True)
class Sources:
    """A client of the app with a key of one workspace."""

    http: httpx2.AsyncClient
    database: Database
    keys: Mapping[Scope, str]

    async def call(
        self, method: str, path: str, *, scope: Scope = Scope.ADMIN, **more: Any
    ) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.keys[scope]}", **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)

    async def upload(
        self, raw: bytes | str, name: str = "data.csv", kind: str = "", **fields: str
    ) -> httpx2.Response:
        content = raw.encode() if isinstance(raw, str) else raw
        file = (name, content, kind or "application/octet-stream")
        return await self.call("POST", BASE, files={"file": file}, data=fields or None)

    async def process(self, datasource_id: str) -> None:
        await process_source(self.database, ProcrastinateEngine(), parse_here, UUID(datasource_id))

    async def process_in_child(self, datasource_id: str) -> None:
        pool = ProcessPool(1, memory_bytes=2 * 2**30)
        try:
            spec = handlers(self.database, ProcrastinateEngine(), pool)["datasources.process"]
            await spec.run({"datasourceId": datasource_id}, JobContext(1, 1, False))
        finally:
            await pool.close()

    async def add(self, raw: bytes | str, name: str = "data.csv", **fields: str) -> dict[str, Any]:
        """Upload and process; what the API says of the source then."""
        response = await self.upload(raw, name, **fields)
        assert response.status_code == 201, response.text
        datasource_id = response.json()["datasourceId"]
        await self.process(datasource_id)
        return (await self.call("GET", f"{BASE}/{datasource_id}")).json()

    async def fetch(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as tx:
            cursor = await tx.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []


@pytest_asyncio.fixture
async def sources(module_database_url: str, tmp_path: Path) -> AsyncGenerator[Sources]:
    """The sources of the default workspace."""
    async with open_api(load_settings(data_dir=tmp_path), module_database_url) as parts:
        keys: dict[Scope, str] = {}
        async with parts.database.transaction() as tx:
            workspace_id = await auth.ensure_workspace(tx)
            for scope in Scope:
                _, keys[scope] = await auth.create_key(tx, workspace_id, scope, [scope])
        transport = httpx2.ASGITransport(app=create_app(parts), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Sources(http, parts.database, keys)


@pytest_asyncio.fixture
async def strangers(sources: Sources) -> Sources:
    """The same server with the key of another workspace."""
    async with sources.database.transaction() as tx:
        workspace_id = await auth.ensure_workspace(tx, "strangers")
        _, key = await auth.create_key(tx, workspace_id, "key", [Scope.ADMIN])
    return Sources(sources.http, sources.database, {Scope.ADMIN: key})


@pytest_asyncio.fixture
async def limited(sources: Sources) -> Sources:
    """The default workspace with a key that writes, limited to one dataset."""
    async with sources.database.transaction() as tx:
        workspace_id = await auth.ensure_workspace(tx)
        _, key = await auth.create_key(
            tx, workspace_id, "limited", [Scope.WRITE], dataset_ids=[uuid4()]
        )
    return Sources(sources.http, sources.database, {Scope.ADMIN: key})
