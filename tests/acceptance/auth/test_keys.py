"""A key's life through the API."""

from collections.abc import AsyncGenerator

import httpx2
import pytest
import pytest_asyncio

from tests.acceptance.conftest import connect
from tests.support.serving import Served

MISSING = "01900000-0000-7000-8000-000000000000"


@pytest_asyncio.fixture
async def made(client: httpx2.AsyncClient) -> AsyncGenerator[dict[str, str]]:
    response = await client.post("/keys", json={"name": "made", "scopes": ["read"]})
    assert response.status_code == 201, response.text
    yield response.json()
    await client.delete(f"/keys/{response.json()['keyId']}")


async def _status(server: Served, key: str, path: str = "/nope") -> int:
    async with connect(server, key) as someone:
        return (await someone.get(path)).status_code


async def test_a_key_is_shown_once_and_works_at_once(
    server: Served, client: httpx2.AsyncClient, made: dict[str, str]
) -> None:
    assert made["key"].startswith("gm_")
    assert set(made) == {
        "keyId", "name", "hint", "scopes", "datasetIds", "createdAt", "expiresAt", "key"
    }  # fmt: skip
    assert await _status(server, made["key"]) == 404
    listed = (await client.get("/keys", params={"limit": 100})).json()
    item = next(key for key in listed["keys"] if key["keyId"] == made["keyId"])
    assert "key" not in item
    assert made["key"].startswith(item["hint"])
    assert listed["pagination"]["total"] == len(listed["keys"])


async def test_a_reader_may_not_touch_keys(server: Served, made: dict[str, str]) -> None:
    async with connect(server, made["key"]) as reader:
        for method, path in (
            ("GET", "/keys"),
            ("POST", "/keys"),
            ("DELETE", f"/keys/{made['keyId']}"),
            ("POST", f"/keys/{MISSING}/rotate"),
        ):
            response = await reader.request(method, path)
            assert response.status_code == 403
            assert response.json()["code"] == "INSUFFICIENT_SCOPE"


async def test_rotating_stops_the_old_key_and_keeps_the_rest(
    server: Served, client: httpx2.AsyncClient, made: dict[str, str]
) -> None:
    response = await client.post(f"/keys/{made['keyId']}/rotate")
    assert response.status_code == 200
    rotated = response.json()
    assert {**rotated, "key": "", "hint": ""} == {**made, "key": "", "hint": ""}
    assert await _status(server, made["key"]) == 401
    assert await _status(server, rotated["key"]) == 404


async def test_a_revoked_key_stops_at_once_and_is_gone(
    server: Served, client: httpx2.AsyncClient, made: dict[str, str]
) -> None:
    assert (await client.delete(f"/keys/{made['keyId']}")).status_code == 204
    assert await _status(server, made["key"]) == 401
    for method, path in (
        ("DELETE", f"/keys/{made['keyId']}"),
        ("POST", f"/keys/{made['keyId']}/rotate"),
    ):
        response = await client.request(method, path)
        assert (response.status_code, response.json()["code"]) == (404, "KEY_NOT_FOUND")


async def test_another_workspaces_key_answers_like_one_that_does_not_exist(
    other_client: httpx2.AsyncClient, made: dict[str, str]
) -> None:
    unknown = await other_client.delete(f"/keys/{MISSING}")
    for key_id in (made["keyId"], "nonsense", made["keyId"].upper()):
        foreign = await other_client.delete(f"/keys/{key_id}")
        assert (foreign.status_code, foreign.json()) == (404, unknown.json())
    listed = (await other_client.get("/keys")).json()["keys"]
    assert made["keyId"] not in {key["keyId"] for key in listed}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read"]}, "name"),
        ({"name": " ", "scopes": ["read"]}, "name"),
        ({"name": "n" * 201, "scopes": ["read"]}, "name"),
        ({"name": "n", "scopes": []}, "scopes"),
        ({"name": "n", "scopes": ["root"]}, "scopes.0"),
        ({"name": "n", "scopes": "read"}, "scopes"),
        ({"name": "n", "scopes": ["read"], "expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"name": "n", "scopes": ["read"], "expiresAt": "2099-01-01T00:00:00"}, "expiresAt"),
        ({"name": "n", "scopes": ["read"], "expiresAt": 4102444800}, "expiresAt"),
        ({"name": "n", "scopes": ["read"], "datasetIds": []}, "datasetIds"),
        ({"name": "n", "scopes": ["read"], "datasetIds": ["x"]}, "datasetIds"),
        ({"name": "n", "scopes": ["admin"], "datasetIds": [MISSING]}, ""),
        ({"name": "n", "scopes": ["read"], "workspaceId": MISSING}, "workspaceId"),
    ],
)
async def test_a_key_that_does_not_hold_is_refused_by_field(
    client: httpx2.AsyncClient, body: dict[str, object], field: str
) -> None:
    response = await client.post("/keys", json=body)
    assert response.status_code == 422, response.text
    details = response.json()["details"]
    assert [fault["field"] for fault in details["fields"]] == [field]
