"""One effect a key: over repeats, other calls, simultaneous calls and calls that broke off."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from starlette.types import ASGIApp, Message
from starlette.types import Scope as AsgiScope

from gridmill.api.app import create_app
from gridmill.api.routes import API_PREFIX
from gridmill.auth import service as auth
from gridmill.auth.model import Scope
from gridmill.bootstrap.parts import open_api
from gridmill.kit.http import CallDep, make_router, operation, reply
from gridmill.settings import load_settings
from gridmill.storage.database import Database
from tests.integration.api.conftest import Client

PATH = "/api/v2/things/"


def _name() -> str:
    return f"made {uuid4()}"


def _headers(client: Client, key: str, scope: Scope = Scope.WRITE) -> Mapping[str, str]:
    return client.headers(scope, {"Idempotency-Key": key})


async def _count(database: Database, name: str) -> int:
    async with database.transaction() as tx:
        cursor = await tx.execute("SELECT count(*) FROM workspaces WHERE name = %s", (name,))
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


async def _make(client: Client, name: str, key: str, path: str = "one") -> httpx2.Response:
    return await client.http.post(PATH + path, json={"name": name}, headers=_headers(client, key))


async def test_a_repeat_gets_the_first_reply_and_has_no_effect(
    client: Client, module_database: Database
) -> None:
    name, key = _name(), str(uuid4())
    first = await _make(client, name, key)
    # Without the claim this would be a 500: the name is unique.
    again = await _make(client, name, f'"{key}"')
    assert first.status_code == again.status_code == 201
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert again.content == first.content
    assert await _count(module_database, name) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "one", {"name": "another"}),
        ("POST", "two", None),
    ],
)
async def test_a_key_is_good_for_one_call(
    client: Client, method: str, path: str, body: dict[str, Any] | None
) -> None:
    name, key = _name(), str(uuid4())
    await _make(client, name, key)
    response = await client.http.request(
        method, PATH + path, json=body or {"name": name}, headers=_headers(client, key)
    )
    assert (response.status_code, response.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_refusal_of_the_effect_is_repeated_and_its_effect_undone(
    client: Client, module_database: Database
) -> None:
    name, key = _name(), str(uuid4())
    first = await _make(client, name, key, "taken")
    again = await _make(client, name, key, "taken")
    assert (first.status_code, first.json()["code"]) == (409, "THING_TAKEN")
    assert again.status_code == 409
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert await _count(module_database, name) == 0
    problem = await client.http.post(
        PATH + "taken",
        json={"name": name},
        headers={**_headers(client, key), "Accept": "application/problem+json"},
    )
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.headers["idempotent-replayed"] == "true"
    assert problem.json()["code"] == "THING_TAKEN"


async def test_what_was_not_tried_may_be_corrected_under_the_same_key(
    client: Client, module_database: Database
) -> None:
    name, key = _name(), str(uuid4())
    bad = await client.http.post(PATH + "one", json={"nme": 1}, headers=_headers(client, key))
    broken = await _make(client, name, key, "broken")
    forbidden = await client.http.post(
        PATH + "one", json={"name": name}, headers=_headers(client, key, Scope.READ)
    )
    assert [r.status_code for r in (bad, broken, forbidden)] == [422, 500, 403]
    assert await _count(module_database, name) == 0
    good = await _make(client, name, key)
    assert (good.status_code, "idempotent-replayed" in good.headers) == (201, False)
    assert await _count(module_database, name) == 1
    again = await client.http.post(
        PATH + "one", json={"name": name}, headers=_headers(client, key, Scope.READ)
    )
    assert again.status_code == 403


async def test_a_malformed_key_is_refused_and_nothing_happens(
    client: Client, module_database: Database
) -> None:
    name = _name()
    response = await _make(client, name, "k" * 256)
    assert (response.status_code, response.json()["code"]) == (422, "VALIDATION_ERROR")
    assert response.json()["details"]["fields"][0]["field"] == "Idempotency-Key"
    assert await _count(module_database, name) == 0


async def test_a_malformed_key_comes_after_404_and_before_409(
    client: Client, module_database: Database
) -> None:
    name = _name()
    missing = await _make(client, name, "k" * 256, "missing")
    taken = await _make(client, name, "k" * 256, "taken")
    assert (missing.status_code, missing.json()["code"]) == (404, "THING_NOT_FOUND")
    assert (taken.status_code, taken.json()["code"]) == (422, "VALIDATION_ERROR")
    assert await _count(module_database, name) == 0


async def test_a_malformed_key_undoes_a_call_that_has_no_body(
    client: Client, module_database: Database, module_database_url: str, tmp_path: Path
) -> None:
    name, gate = _name(), Gate()
    gate.opened.set()
    async with _open_process(module_database_url, tmp_path, gate) as http:
        path, headers = f"/api/v2/gated/{name}", _headers(client, "k" * 256)
        refused = await http.post(path, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "VALIDATION_ERROR")
    assert await _count(module_database, name) == 0


async def test_workspaces_do_not_share_keys(client: Client, module_database: Database) -> None:
    name, key = _name(), str(uuid4())
    await _make(client, name, key)
    async with module_database.transaction() as tx:
        elsewhere = await auth.ensure_workspace(tx, _name())
        _, text = await auth.create_key(tx, elsewhere, "other", [Scope.WRITE])
    response = await client.http.post(
        PATH + "missing",
        json={"name": name},
        headers={"Authorization": f"Bearer {text}", "Idempotency-Key": key},
    )
    assert response.status_code == 404


async def test_a_key_of_yesterday_is_forgotten(client: Client, module_database: Database) -> None:
    name, key = _name(), str(uuid4())
    await _make(client, name, key, "taken")
    async with module_database.transaction() as tx:
        await tx.execute(
            "UPDATE kept_replies SET kept_at = kept_at - interval '24 hours 1 s' WHERE key = %s",
            (key,),
        )
    response = await _make(client, name, key)
    assert (response.status_code, "idempotent-replayed" in response.headers) == (201, False)


class Gate:
    """Holds an effect until it is let go."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()


@asynccontextmanager
async def _open_app(url: str, folder: Path, gate: Gate) -> AsyncGenerator[ASGIApp]:
    """An API of its own on the database, as another process would have it."""
    router = make_router()

    @router.post("/gated/{name}", **operation("gated", "Things", scope="write"))
    async def pass_gate(call: CallDep, name: str) -> httpx2.Response:
        """Have an effect, then wait."""
        tx = await call.tx()
        await tx.execute(
            "INSERT INTO workspaces (workspace_id, name) VALUES (gen_random_uuid(), %s)", (name,)
        )
        gate.reached.set()
        await gate.opened.wait()
        return reply({"made": name}, 201)  # pyright: ignore[reportReturnType]

    async with open_api(load_settings(data_dir=folder), url) as parts:
        yield create_app(parts, [(API_PREFIX, router)])


@asynccontextmanager
async def _open_process(url: str, folder: Path, gate: Gate) -> AsyncGenerator[httpx2.AsyncClient]:
    async with _open_app(url, folder, gate) as app:
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            yield http


async def test_the_second_of_two_processes_is_told_that_the_call_is_running(
    client: Client, module_database: Database, module_database_url: str, tmp_path: Path
) -> None:
    name, gate = _name(), Gate()
    path, headers = f"/api/v2/gated/{name}", _headers(client, str(uuid4()))
    async with (
        _open_process(module_database_url, tmp_path, gate) as one,
        _open_process(module_database_url, tmp_path, gate) as other,
    ):
        first = asyncio.create_task(one.post(path, headers=headers))
        await gate.reached.wait()
        during = await other.post(path, headers=headers)
        gate.opened.set()
        made = await first
        after = await other.post(path, headers=headers)
    assert (during.status_code, during.json()["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert (made.status_code, after.status_code) == (201, 201)
    assert after.headers["idempotent-replayed"] == "true"
    assert await _count(module_database, name) == 1


async def test_of_many_simultaneous_calls_one_has_the_effect(
    client: Client, module_database: Database, module_database_url: str, tmp_path: Path
) -> None:
    name, gate = _name(), Gate()
    gate.opened.set()
    path, headers = f"/api/v2/gated/{name}", _headers(client, str(uuid4()))
    async with (
        _open_process(module_database_url, tmp_path, gate) as one,
        _open_process(module_database_url, tmp_path, gate) as other,
    ):
        replies = await asyncio.gather(
            *(http.post(path, headers=headers) for http in [one, other] * 10)
        )
    assert {r.status_code for r in replies} <= {201, 409}
    fresh = [r for r in replies if r.status_code == 201 and "idempotent-replayed" not in r.headers]
    assert len(fresh) == 1
    assert await _count(module_database, name) == 1


async def test_a_claim_dies_with_its_connection(
    client: Client, module_database: Database, module_database_url: str, tmp_path: Path
) -> None:
    name, gate = _name(), Gate()
    path, headers = f"/api/v2/gated/{name}", _headers(client, str(uuid4()))
    async with _open_process(module_database_url, tmp_path, gate) as one:
        first = asyncio.create_task(one.post(path, headers=headers))
        await gate.reached.wait()
        killer = await psycopg.AsyncConnection.connect(module_database_url, autocommit=True)
        async with killer:
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        gate.opened.set()
        broken = await first
        again = await one.post(path, headers=headers)
    assert (broken.status_code, broken.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "retry-after" in broken.headers
    assert (again.status_code, "idempotent-replayed" in again.headers) == (201, False)
    assert await _count(module_database, name) == 1


@pytest.mark.parametrize("lost", ["http.response.start", "http.response.body"])
async def test_a_reply_that_was_lost_on_its_way_is_there_for_the_repeat(
    client: Client,
    module_database: Database,
    module_database_url: str,
    tmp_path: Path,
    lost: str,
) -> None:
    name, gate = _name(), Gate()
    gate.opened.set()
    path, headers = f"/api/v2/gated/{name}", _headers(client, str(uuid4()))
    asked: AsgiScope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "scheme": "http",
        "server": ("test", 80),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == lost:
            raise OSError("the line is cut")

    async with _open_app(module_database_url, tmp_path, gate) as app:
        with contextlib.suppress(OSError):
            await app(asked, receive, send)
    assert await _count(module_database, name) == 1
    async with _open_process(module_database_url, tmp_path, gate) as other:
        again = await other.post(path, headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert again.json() == {"made": name}
    assert await _count(module_database, name) == 1
