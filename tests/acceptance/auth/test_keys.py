"""A key's life through the API."""

from collections.abc import AsyncGenerator

import httpx2
import pytest
import pytest_asyncio

from tests.acceptance.conftest import connect
from tests.support.serving import Served

MISSING = "01900000-0000-7000-8000-000000000000"
JSON = {"Content-Type": "application/json"}


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


@pytest.mark.parametrize("dataset_id", [MISSING, "nonsense", ""])
async def test_a_key_is_limited_to_datasets_that_exist(
    client: httpx2.AsyncClient, other_client: httpx2.AsyncClient, dataset_id: str
) -> None:
    body = {"name": "limited", "scopes": ["read"], "datasetIds": [dataset_id]}
    refused = await client.post("/keys", json=body)
    assert (refused.status_code, refused.json()["code"]) == (404, "DATASET_NOT_FOUND")
    mine = await client.post("/datasets", json={"type": "blank", "name": "mine"})
    body["datasetIds"] = [mine.json()["datasetId"]]
    stranger = await other_client.post("/keys", json=body)
    assert (stranger.status_code, stranger.json()) == (404, refused.json())
    made = await client.post("/keys", json=body)
    assert made.status_code == 201
    assert made.json()["datasetIds"] == body["datasetIds"]


@pytest.mark.parametrize("moment", ["1900000000", "2030-01-01 00:00:00Z", "2030-01-01T00:00:00"])
async def test_an_expiry_is_iso_8601_with_a_zone(client: httpx2.AsyncClient, moment: str) -> None:
    body = {"name": "made", "scopes": ["read"], "expiresAt": moment}
    response = await client.post("/keys", json=body)
    assert response.status_code == 422
    assert [field["field"] for field in response.json()["details"]["fields"]] == ["expiresAt"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01T00:00:00.123456+02:00", "2029-12-31T22:00:00.123Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
        (None, None),
    ],
)
async def test_an_expiry_comes_back_in_utc(
    client: httpx2.AsyncClient, sent: str | None, kept: str | None
) -> None:
    body = {"name": "made", "scopes": ["read"], "expiresAt": sent}
    response = await client.post("/keys", json=body)
    assert (response.status_code, response.json().get("expiresAt")) == (201, kept), response.text


@pytest.mark.parametrize(
    "moment",
    ["2030-02-30T00:00:00Z", "2030-01-01T00:00:00+99:99", "9999-12-31T23:59:59-14:00", 1, True],
)
async def test_an_expiry_that_is_no_moment_is_refused(
    client: httpx2.AsyncClient, moment: object
) -> None:
    body = {"name": "made", "scopes": ["read"], "expiresAt": moment}
    assert (await client.post("/keys", json=body)).status_code == 422


async def test_rotating_takes_no_fields(
    server: Served, client: httpx2.AsyncClient, made: dict[str, str]
) -> None:
    path = f"/keys/{made['keyId']}/rotate"
    assert (await client.post(path, json={"name": "x"})).status_code == 422
    assert (await client.post(path, content=b"{", headers=JSON)).status_code == 400
    assert await _status(server, made["key"]) == 404
    assert (await client.post(path, json={})).status_code == 200
    assert await _status(server, made["key"]) == 401
