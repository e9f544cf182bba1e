"""Requests a minute and key, counted once for all API processes, and told on every reply."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from gridmill.api.app import create_app
from gridmill.api.rates import CEILING
from gridmill.api.routes import API_PREFIX
from gridmill.auth import service as auth
from gridmill.auth.model import Scope
from gridmill.bootstrap.parts import open_api
from gridmill.settings import load_settings
from gridmill.storage.database import Database
from tests.integration.api.conftest import Client, router

FIGURES = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def _read(response: httpx2.Response) -> tuple[int, int, int]:
    limit, remaining, reset = (int(response.headers[name]) for name in FIGURES)
    return limit, remaining, reset


@pytest_asyncio.fixture
async def processes(
    module_database_url: str, tmp_path: Path
) -> AsyncGenerator[list[httpx2.AsyncClient]]:
    """Two APIs with a limit of 4, each with a pool and a memory of its own."""
    settings = load_settings(data_dir=tmp_path, rate_limit=4)
    async with AsyncExitStack() as stack:
        opened: list[httpx2.AsyncClient] = []
        for _ in range(2):
            parts = await stack.enter_async_context(open_api(settings, module_database_url))
            app = create_app(parts, [(API_PREFIX, router)])
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            client = httpx2.AsyncClient(transport=transport, base_url="http://test/api/v2")
            opened.append(await stack.enter_async_context(client))
        yield opened


async def _make_key(database: Database) -> dict[str, str]:
    async with database.transaction() as tx:
        workspace_id = await auth.ensure_workspace(tx)
        _, text = await auth.create_key(tx, workspace_id, "limited", [Scope.READ])
    return {"Authorization": f"Bearer {text}"}


async def test_two_processes_count_a_key_together(
    processes: list[httpx2.AsyncClient], module_database: Database
) -> None:
    headers, other = await _make_key(module_database), await _make_key(module_database)
    replies = [await processes[n % 2].get("/things", headers=headers) for n in range(6)]
    assert [r.status_code for r in replies] == [200, 200, 200, 200, 429, 429]
    assert [_read(r)[:2] for r in replies] == [(4, 3), (4, 2), (4, 1), (4, 0), (4, 0), (4, 0)]
    assert len({_read(r)[2] for r in replies}) == 1
    refused = replies[-1]
    assert refused.json()["code"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await processes[0].get("/things", headers=other)).status_code == 200


async def test_a_minute_later_the_key_may_go_on(
    processes: list[httpx2.AsyncClient], module_database: Database
) -> None:
    headers = await _make_key(module_database)
    replies = [await processes[0].get("/things", headers=headers) for _ in range(5)]
    assert replies[-1].status_code == 429
    async with module_database.transaction() as tx:
        await tx.execute("UPDATE rate_windows SET started_at = started_at - interval '60 s'")
    response = await processes[1].get("/things", headers=headers)
    assert (response.status_code, _read(response)[1]) == (200, 3)


async def test_errors_carry_the_headers_and_count(
    processes: list[httpx2.AsyncClient], module_database: Database
) -> None:
    headers = await _make_key(module_database)
    calls = [("GET", "/nope", 404), ("POST", "/things/one", 403), ("PUT", "/things", 405)]
    for used, (method, path, status) in enumerate(calls, start=1):
        response = await processes[0].request(method, path, headers=headers)
        assert (response.status_code, _read(response)[:2]) == (status, (4, 4 - used))


async def test_a_call_without_a_key_counts_against_none(
    processes: list[httpx2.AsyncClient],
) -> None:
    for _ in range(6):
        response = await processes[0].get("/things")
        assert (response.status_code, _read(response)[:2]) == (401, (4, 4))


@pytest.mark.parametrize(("path", "status"), [("/api/v2/things", 200), ("/api/v2/away", 503)])
async def test_without_a_limit_the_headers_tell_the_servers_ceiling(
    client: Client, path: str, status: int
) -> None:
    first = await client.http.get(path, headers=client.headers(Scope.READ))
    second = await client.http.get(path, headers=client.headers(Scope.READ))
    assert first.status_code == second.status_code == status
    assert _read(first)[:2] == (CEILING, CEILING - 1)
    assert _read(second)[:2] == (CEILING, CEILING - 2)


async def test_routes_outside_the_api_are_not_limited(client: Client) -> None:
    response = await client.http.get("/healthz")
    assert not any(name in response.headers for name in FIGURES)
