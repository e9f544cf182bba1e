"""Uploads under idempotency keys and against the workspace's quota of bytes."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest_asyncio

from gridmill.api.app import create_app
from gridmill.auth import service as auth
from gridmill.auth.model import Scope
from gridmill.bootstrap.parts import open_api
from gridmill.settings import load_settings
from tests.integration.datasources.conftest import BASE, Sources


def _form(boundary: str, content: str, name: str = "a.csv") -> tuple[bytes, dict[str, str]]:
    body = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: text/csv\r\n\r\n"
        f"{content}\r\n--{boundary}--\r\n"
    )
    return body.encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


async def _send(
    sources: Sources, key: str, boundary: str, content: str, name: str = "a.csv"
) -> httpx2.Response:
    body, headers = _form(boundary, content, name)
    headers["Idempotency-Key"] = key
    return await sources.call("POST", BASE, content=body, headers=headers)


async def test_an_upload_is_known_again_by_its_parts_whatever_the_boundary(
    sources: Sources,
) -> None:
    key = str(uuid4())
    first = await _send(sources, key, "one", "a\n1\n")
    again = await _send(sources, key, "another", "a\n1\n")
    assert first.status_code == again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == first.json()
    for content, name in (("a\n2\n", "a.csv"), ("a\n1\n", "b.csv")):
        other = await _send(sources, key, "one", content, name)
        assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_of_simultaneous_uploads_under_one_key_one_is_stored(sources: Sources) -> None:
    key = str(uuid4())
    replies = await asyncio.gather(*(_send(sources, key, "x", f"a\n{key}\n") for _ in range(6)))
    assert {reply.status_code for reply in replies} <= {201, 409}
    made = {reply.json()["datasourceId"] for reply in replies if reply.status_code == 201}
    assert len(made) == 1


async def test_a_key_is_made_once_and_its_repeat_shows_no_secret(sources: Sources) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    body = {"name": f"once {uuid4()}", "scopes": ["read"]}
    first = await sources.call("POST", "/api/v2/keys", json=body, headers=headers)
    again = await sources.call("POST", "/api/v2/keys", json=body, headers=headers)
    shown = first.json()
    secret = shown.pop("key")
    assert secret.startswith("gm_")
    assert again.status_code == 201
    assert again.json() == shown
    rotate = f"/api/v2/keys/{shown['keyId']}/rotate"
    headers = {"Idempotency-Key": str(uuid4())}
    turned = await sources.call("POST", rotate, headers=headers)
    repeat = await sources.call("POST", rotate, headers=headers)
    key = turned.json().pop("key")
    assert "key" not in repeat.json()
    kept = await sources.fetch("SELECT convert_from(body, 'UTF8') FROM kept_replies")
    assert not any(text in str(row) for row in kept for text in (secret, key))
    answer = await sources.http.get(BASE, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200


async def test_a_limited_key_sees_no_reply_that_its_workspace_was_given(
    sources: Sources, limited: Sources
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    body = {"type": "blank", "name": "theirs"}
    made = await sources.call("POST", "/api/v2/datasets", json=body, headers=headers)
    assert made.status_code == 201
    path = f"/api/v2/datasets/{made.json()['datasetId']}"
    headers = {"Idempotency-Key": str(uuid4())}
    await sources.call("PATCH", path, json={"name": "new"}, headers=headers)
    reply = await limited.call("PATCH", path, json={"name": "new"}, headers=headers)
    assert reply.status_code == 404


@pytest_asyncio.fixture
async def small(module_database_url: str, tmp_path: Path) -> AsyncGenerator[Sources]:
    """A workspace that may hold 100 bytes of files."""
    settings = load_settings(data_dir=tmp_path, quota_bytes=100)
    async with open_api(settings, module_database_url) as parts:
        async with parts.database.transaction() as tx:
            workspace_id = await auth.ensure_workspace(tx, f"small {uuid4()}")
            _, key = await auth.create_key(tx, workspace_id, "key", [Scope.ADMIN])
        transport = httpx2.ASGITransport(app=create_app(parts), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Sources(http, parts.database, {Scope.ADMIN: key})


async def test_simultaneous_uploads_do_not_pass_the_quota_of_bytes_together(
    small: Sources,
) -> None:
    content = "a\n" + "1" * 28  # 30 bytes
    replies = await asyncio.gather(*(small.upload(content) for _ in range(8)))
    assert sorted(reply.status_code for reply in replies) == [201] * 3 + [429] * 5
    refused = next(reply for reply in replies if reply.status_code == 429).json()
    assert refused["code"] == "QUOTA_EXCEEDED"
    assert refused["details"] == {"quota": "bytes", "limit": 100}
    made = next(reply for reply in replies if reply.status_code == 201).json()
    assert (await small.upload("a\n12345678")).status_code == 201  # 100 of 100
    assert (await small.upload("x")).status_code == 429
    await small.process(made["datasourceId"])
    await small.call("DELETE", f"{BASE}/{made['datasourceId']}")
    assert (await small.upload(content)).status_code == 201


async def test_files_that_come_with_a_dataset_count_too(small: Sources) -> None:
    files = [("files[]", (f"{n}.csv", "a\n" + "1" * 50, "text/csv")) for n in range(2)]
    fields = {"type": "data_enrichment", "name": "x"}
    reply = await small.call("POST", "/api/v2/datasets/upload", files=files, data=fields)
    assert (reply.status_code, reply.json()["details"]["quota"]) == (429, "bytes")
    listed = (await small.call("GET", BASE)).json()
    assert listed["dataSources"] == []


async def test_a_refused_upload_may_be_repeated_under_its_key_once_there_is_room(
    small: Sources,
) -> None:
    first = (await small.upload("a\n" + "1" * 90)).json()
    key = str(uuid4())
    assert (await _send(small, key, "x", "a\n" + "2" * 28)).status_code == 429
    await small.process(first["datasourceId"])
    await small.call("DELETE", f"{BASE}/{first['datasourceId']}")
    again = await _send(small, key, "x", "a\n" + "2" * 28)
    assert (again.status_code, "idempotent-replayed" in again.headers) == (201, False)
