"""The contract's errors on every route that the running server describes, in the order of its checks."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from gridmill.kit.errors import GridmillError
from tests.acceptance.conftest import connect
from tests.support.api import ask, upload
from tests.support.serving import Served
from tools.openapi import write

Json = dict[str, Any]

PATHS: Json = write()["paths"]
ROUTES: list[tuple[str, str, Json]] = [
    (path, method, said)
    for path, methods in PATHS.items()
    for method, said in methods.items()
    if path.startswith("/api/v2")
]
METHODS = {"get", "post", "put", "patch", "delete"}


def _codes() -> Iterator[tuple[str, int]]:
    waiting: list[type[GridmillError]] = [GridmillError]
    while waiting:
        kind = waiting.pop()
        yield kind.code, kind.status
        waiting += kind.__subclasses__()


STATUS = dict(_codes())


@pytest_asyncio.fixture
async def reader(client: httpx2.AsyncClient, server: Served) -> AsyncIterator[httpx2.AsyncClient]:
    """A client whose key may only read."""
    made = await ask(client, "POST", "/keys", json={"name": "reader", "scopes": ["read"]})
    async with connect(server, made["key"]) as opened:
        yield opened


@pytest_asyncio.fixture
async def ids(client: httpx2.AsyncClient) -> dict[str, str]:
    """An object of each kind that is there, by the name of its path parameter; rows apart."""
    source = await upload(client, "a\n1\n")
    dataset = await ask(client, "POST", "/datasets", json={"type": "blank", "name": "errors"})
    place = f"/datasets/{dataset['datasetId']}"
    column = await ask(client, "POST", f"{place}/columns", json={"name": "a"})
    rows = await ask(client, "POST", f"{place}/rows", json={"rows": [{"a": "1"}]})
    data = await ask(client, "GET", f"{place}/data")
    task = await ask(client, "POST", f"{place}/tasks/bulk", json={})
    hook = {"name": "w", "url": "https://nobody.invalid/", "secret": "s" * 16, "events": []}
    webhook = await ask(client, "POST", "/webhooks", json={**hook, "events": ["dataset.created"]})
    delivery = await ask(client, "POST", f"/webhooks/{webhook['webhookId']}/test")
    key = await ask(client, "POST", "/keys", json={"name": "k", "scopes": ["read"]})
    return {
        "datasource_id": source["datasourceId"],
        "dataset_id": dataset["datasetId"],
        "column_id": column["columnId"],
        "row_id": rows["rowIds"][0],
        "cell_id": data["data"][0][0]["cellId"],
        "task_id": task["taskId"],
        "webhook_id": webhook["webhookId"],
        "delivery_id": delivery["deliveryId"],
        "key_id": key["keyId"],
    }


def check(response: httpx2.Response, said: Json, code: str) -> None:
    """A refusal in the one shape, with its status and headers, that the description knows."""
    assert (response.status_code, response.json()["code"]) == (STATUS[code], code), response.text
    assert set(response.json()) == {"error", "code", "details"}
    assert response.headers["content-type"] == "application/json"
    told = said["responses"][str(STATUS[code])]
    shape = told["content"]["application/json"]["schema"]
    assert code in shape["properties"]["code"]["enum"]
    # Only a repeat is marked as one.
    for name in told["headers"].keys() - {"Idempotent-Replayed", "Retry-After"}:
        assert name in response.headers, name


def _fill(path: str, ids: dict[str, str]) -> str:
    return path.removeprefix("/api/v2").format_map(ids)


@pytest.mark.parametrize("kind", ["errors", "problem"])
async def test_without_a_key_every_route_is_401_whatever_else_is_wrong(
    server: Served, kind: str
) -> None:
    async with httpx2.AsyncClient(base_url=server.url) as anyone:
        for path, method, said in ROUTES:
            headers = {"Accept": "application/problem+json"} if kind == "problem" else {}
            response = await anyone.request(
                method, f"{path}?nonsense=1", content=b"{", headers=headers
            )
            assert response.headers["www-authenticate"] == "Bearer"
            if kind == "errors":
                check(response, said, "UNAUTHORIZED")
                continue
            assert response.headers["content-type"] == "application/problem+json"
            body = response.json()
            assert set(body) == {"type", "title", "status", "detail", "code", "details"}, path
            assert (body["status"], body["code"]) == (401, "UNAUTHORIZED")


async def test_a_key_that_may_only_read_is_403_before_its_path_and_body_are_looked_at(
    reader: httpx2.AsyncClient,
) -> None:
    names = {name for path in PATHS for name in re.findall(r"{(\w+)}", path)}
    unknown = dict.fromkeys(names, "nope")
    seen = 0
    for path, method, said in ROUTES:
        if said["x-required-scope"] != "read":
            seen += 1
            response = await reader.request(method, _fill(path, unknown), content=b"{")
            check(response, said, "INSUFFICIENT_SCOPE")
    assert seen > 25


async def test_an_unknown_id_is_404_before_the_body_is_looked_at(
    client: httpx2.AsyncClient, ids: dict[str, str]
) -> None:
    seen = 0
    for path, method, said in ROUTES:
        for name in ids:
            if f"{{{name}}}" not in path:
                continue
            for unknown in (str(uuid4()), "nope", "%00", "é", "9" * 300):
                seen += 1
                place = _fill(path, {**ids, name: unknown})
                options: Json = {"content": b"{"} if method != "get" else {}
                code = f"{name.removesuffix('_id').upper()}_NOT_FOUND"
                check(await client.request(method, place, **options), said, code)
    assert seen > 200


async def test_a_body_of_another_type_is_415_and_one_that_does_not_parse_400(
    client: httpx2.AsyncClient, ids: dict[str, str]
) -> None:
    for path, method, said in ROUTES:
        kinds = said.get("requestBody", {}).get("content", {})
        place = _fill(path, ids)
        if kinds:
            response = await client.request(
                method, place, content=b"x", headers={"Content-Type": "image/png"}
            )
            check(response, said, "UNSUPPORTED_MEDIA_TYPE")
        if "application/json" in kinds:
            for text in (b"{", b'{"a": NaN}', b"\xff", b'{"a": 1, "a": 2}'):
                response = await client.request(
                    method, place, content=text, headers={"Content-Type": "application/json"}
                )
                check(response, said, "INVALID_JSON")


async def test_a_body_or_query_with_wrong_types_or_unknown_fields_is_422(
    client: httpx2.AsyncClient, ids: dict[str, str]
) -> None:
    for path, method, said in ROUTES:
        place = _fill(path, ids)
        if "application/json" in said.get("requestBody", {}).get("content", {}):
            for body in ([], "x", 1, {"nonsense": 1}):
                check(await client.request(method, place, json=body), said, "VALIDATION_ERROR")
            for text in (b'{"name": "\\u0000"}', b'{"name": "\\ud800"}'):
                response = await client.request(
                    method, place, content=text, headers={"Content-Type": "application/json"}
                )
                check(response, said, "INVALID_TEXT")
        for one in said.get("parameters", []):
            if one["in"] == "query":
                twice = f"{place}?{one['name']}=1&{one['name']}=1"
                check(await client.request(method, twice), said, "VALIDATION_ERROR")


async def test_an_unknown_parameter_is_422_everywhere_and_nothing_was_done(
    client: httpx2.AsyncClient, ids: dict[str, str]
) -> None:
    for path, method, said in ROUTES:
        place = _fill(path, ids)
        check(await client.request(method, f"{place}?nonsense=1"), said, "VALIDATION_ERROR")
        check(await client.request(method, f"{place}?nonsense=%00"), said, "INVALID_TEXT")
    for kind in ("datasets", "webhooks", "datasources"):
        found = ids[f"{kind.removesuffix('s')}_id"]
        assert (await client.get(f"/{kind}/{found}")).status_code == 200
    keys = (await client.get("/keys")).json()["keys"]
    assert ids["key_id"] in {key["keyId"] for key in keys}


async def test_a_method_that_a_path_does_not_answer_is_405_with_those_that_it_does(
    client: httpx2.AsyncClient, ids: dict[str, str]
) -> None:
    for path, methods in PATHS.items():
        if not path.startswith("/api/v2"):
            continue
        template = path.rpartition("/")
        hidden = {
            method
            for other, theirs in PATHS.items()
            if other.rpartition("/")[0] == template[0] and other.rpartition("/")[2][:1] == "{"
            for method in theirs
        }
        for method in METHODS - methods.keys() - hidden:
            response = await client.request(method, _fill(path, ids))
            assert (response.status_code, response.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
            allowed = {one.strip().lower() for one in response.headers["allow"].split(",")}
            assert allowed - {"options", "head"} == set(methods), path
