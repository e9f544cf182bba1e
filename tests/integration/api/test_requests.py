"""The rules that hold for every request, whatever the room."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmill.auth.model import Scope
from gridmill.storage.database import Database
from tests.integration.api.conftest import Client

THING = "/api/v2/things/one"


def _check_error(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error", "code", "details"}
    assert body["code"] == code
    assert isinstance(body["error"], str)
    assert body["error"]
    assert isinstance(body["details"], dict)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    return body["details"]


async def _count_workspaces(database: Database, name: str) -> int:
    async with database.transaction() as tx:
        cursor = await tx.execute("SELECT count(*) FROM workspaces WHERE name = %s", (name,))
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v2/things"),
        ("POST", THING),
        ("PUT", "/api/v2/things"),
        ("GET", "/api/v2/no/such/route"),
        ("GET", "/api/v2"),
        ("GET", "/api/v2/"),
        ("OPTIONS", "/api/v2/things"),
        ("BREW", "/api/v2/things"),
    ],
)
async def test_without_a_key_everything_is_unauthorized(
    client: Client, method: str, path: str
) -> None:
    response = await client.http.request(method, path)
    _check_error(response, 401, "UNAUTHORIZED")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_key_is_asked_for_before_the_body_is_read(client: Client) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    response = await client.http.post(THING, content=body())
    _check_error(response, 401, "UNAUTHORIZED")


async def test_two_authorization_headers_are_one_too_many(client: Client) -> None:
    value = client.headers()["Authorization"]
    response = await client.http.get(
        "/api/v2/things", headers=[("Authorization", value), ("Authorization", value)]
    )
    _check_error(response, 401, "UNAUTHORIZED")


async def test_the_scope_is_checked_before_the_object_and_the_object_before_the_body(
    client: Client, module_database: Database
) -> None:
    missing = "/api/v2/things/missing"
    http = client.http
    response = await http.post(missing, content=b"{", headers=client.headers(Scope.READ))
    details = _check_error(response, 403, "INSUFFICIENT_SCOPE")
    assert details == {"requiredScope": "write"}
    response = await http.post(missing, content=b"{", headers=client.headers(Scope.WRITE))
    _check_error(response, 404, "THING_NOT_FOUND")
    taken = "/api/v2/things/taken"
    _check_error(
        await http.post(taken, json={"name": 1}, headers=client.headers()), 422, "VALIDATION_ERROR"
    )
    _check_error(
        await http.post(taken, json={"name": "t"}, headers=client.headers()), 409, "THING_TAKEN"
    )
    assert await _count_workspaces(module_database, "t") == 0


async def test_the_transaction_is_committed_before_the_reply(
    client: Client, module_database: Database
) -> None:
    response = await client.http.post(
        THING,
        json={"name": "made", "parts": [{"partName": "a"}]},
        headers=client.headers(Scope.WRITE),
    )
    assert response.status_code == 201
    assert response.json() == {
        "name": "made",
        "size": 1,
        "ratio": 1.0,
        "on": False,
        "parts": [{"partName": "a", "count": 0}],
    }
    assert await _count_workspaces(module_database, "made") == 1


async def test_a_fault_of_ours_says_nothing_of_the_inside_and_leaves_nothing_behind(
    client: Client, module_database: Database
) -> None:
    response = await client.http.post(
        "/api/v2/things/broken",
        json={"name": "half"},
        headers=client.headers(more={"X-Request-Id": "mine-1"}),
    )
    details = _check_error(response, 500, "INTERNAL_ERROR")
    assert details == {"requestId": "mine-1"}
    assert "secret" not in response.text
    assert await _count_workspaces(module_database, "half") == 0


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name"]),
        ({"name": 5}, ["name"]),
        ({"name": "n", "size": "1"}, ["size"]),
        ({"name": "n", "size": 1.5}, ["size"]),
        ({"name": "n", "size": 1.0}, ["size"]),
        ({"name": "n", "size": True}, ["size"]),
        ({"name": "n", "size": 11}, ["size"]),
        ({"name": "n", "size": None}, ["size"]),
        ({"name": "n", "ratio": "1"}, ["ratio"]),
        ({"name": "n", "ratio": True}, ["ratio"]),
        ({"name": "n", "on": 1}, ["on"]),
        ({"name": "n", "on": "true"}, ["on"]),
        ({"name": "n", "extra": 1}, ["extra"]),
        ({"name": "n", "parts": {}}, ["parts"]),
        ({"name": "n", "parts": [{"part_name": "a"}]}, ["parts.0.partName", "parts.0.part_name"]),
        ({"name": "n", "parts": [{"partName": "a"}, {"partName": "b" * 21}]}, ["parts.1.partName"]),
    ],
)
async def test_every_field_at_fault_is_named(client: Client, body: Any, fields: list[str]) -> None:
    response = await client.http.post(THING, json=body, headers=client.headers())
    details = _check_error(response, 422, "VALIDATION_ERROR")
    assert [field["field"] for field in details["fields"]] == fields
    assert all(field["message"].endswith(".") for field in details["fields"])


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"5"])
async def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    headers = client.headers(more={"Content-Type": "application/json"})
    response = await client.http.post(THING, content=body, headers=headers)
    _check_error(response, 422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'name': 1}",
        b'{"name": NaN}',
        b'{"ratio": Infinity}',
        b'{"ratio": 1e999}',
        b'{"name": "a", "name": "b"}',
        '{"name": "x"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"name": "x"}',
        b'{"name": "\xff"}',
        b"[" * 101 + b"]" * 101,
    ],
)
async def test_what_is_no_json_is_invalid_json(client: Client, body: bytes) -> None:
    headers = client.headers(more={"Content-Type": "application/json"})
    response = await client.http.post(THING, content=body, headers=headers)
    _check_error(response, 400, "INVALID_JSON")


@pytest.mark.parametrize(
    "body", [rb'{"name": "a\u0000"}', rb'{"name": "\ud800"}', rb'{"a\u0000": 1}']
)
async def test_text_that_no_store_keeps_is_invalid_text(client: Client, body: bytes) -> None:
    headers = client.headers(more={"Content-Type": "application/json"})
    response = await client.http.post(THING, content=body, headers=headers)
    _check_error(response, 422, "INVALID_TEXT")


@pytest.mark.parametrize(
    "kind",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"],
)
async def test_a_body_of_another_type_is_unsupported(client: Client, kind: str | None) -> None:
    more = {} if kind is None else {"Content-Type": kind}
    response = await client.http.post(THING, content=b"{}", headers=client.headers(more=more))
    _check_error(response, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_over_eight_mebibytes_is_too_large_declared_or_not(client: Client) -> None:
    headers = client.headers(more={"Content-Type": "application/json"})
    large = b'{"name": "' + b"a" * (8 * 2**20) + b'"}'
    response = await client.http.post(THING, content=large, headers=headers)
    _check_error(response, 413, "PAYLOAD_TOO_LARGE")

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 2**16):
            yield large[start : start + 2**16]

    response = await client.http.post(THING, content=chunks(), headers=headers)
    _check_error(response, 413, "PAYLOAD_TOO_LARGE")


async def test_an_optional_body_may_be_left_out_and_is_checked_when_it_is_there(
    client: Client,
) -> None:
    response = await client.http.post("/api/v2/optional", headers=client.headers())
    assert response.json() == {"days": 1}
    typed = client.headers(more={"Content-Type": "application/json"})
    response = await client.http.post("/api/v2/optional", headers=typed)
    assert response.json() == {"days": 1}

    async def send_nothing() -> AsyncIterator[bytes]:
        yield b""

    response = await client.http.post("/api/v2/optional", content=send_nothing(), headers=typed)
    assert response.json() == {"days": 1}
    response = await client.http.post(
        "/api/v2/optional", json={"days": 3}, headers=client.headers()
    )
    assert response.json() == {"days": 3}
    response = await client.http.post(
        "/api/v2/optional", json={"daze": 3}, headers=client.headers()
    )
    _check_error(response, 422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "query", ["page=1&page=2", "page=1_000", "page=%201", "page=0", "limit=101", "pge=1", "limit="]
)
async def test_a_query_that_does_not_hold_is_refused(client: Client, query: str) -> None:
    response = await client.http.get(f"/api/v2/things?{query}", headers=client.headers())
    _check_error(response, 422, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", ["/api/v2/nope", "/api/v2/things/", "/api/v2/THINGS", "/nope"])
async def test_an_unknown_route_is_not_found(client: Client, path: str) -> None:
    response = await client.http.get(path, headers=client.headers())
    _check_error(response, 404, "ROUTE_NOT_FOUND")


async def test_a_wrong_method_is_told_the_right_ones(client: Client) -> None:
    response = await client.http.delete("/api/v2/things", headers=client.headers())
    _check_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    response = await client.http.options(THING, headers=client.headers())
    assert (response.status_code, response.headers["allow"]) == (204, "OPTIONS, POST")


async def test_something_away_is_unavailable_for_a_while(client: Client) -> None:
    response = await client.http.get("/api/v2/away", headers=client.headers())
    _check_error(response, 503, "SERVICE_UNAVAILABLE")
    assert response.headers["retry-after"] == "3"


async def test_a_head_is_a_get_without_the_body(client: Client) -> None:
    get = await client.http.get("/api/v2/things", headers=client.headers())
    head = await client.http.head("/api/v2/things", headers=client.headers())
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_a_head_of_a_stream_ends_it(client: Client) -> None:
    response = await client.http.head("/api/v2/stream", headers=client.headers())
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("Application/Problem+JSON; charset=utf-8", "application/problem+json"),
        ("application/json;q=0.5, application/problem+json;q=0.9", "application/problem+json"),
        ("application/json, application/problem+json;q=0", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_problem_documents_are_for_those_who_accept_them(
    client: Client, accept: str, kind: str
) -> None:
    headers = client.headers(more={"Accept": accept})
    response = await client.http.get("/api/v2/nope", headers=headers)
    assert response.headers["content-type"] == kind


async def test_a_client_that_asks_for_problem_documents_gets_them(client: Client) -> None:
    headers = client.headers(more={"Accept": "application/problem+json"})
    response = await client.http.get("/api/v2/nope", headers=headers)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no route GET /api/v2/nope.",
        "code": "ROUTE_NOT_FOUND",
        "details": {},
    }


@pytest.mark.parametrize(
    ("sent", "kept"), [("abc-123", True), ("a" * 128, True), ("a" * 129, False), ("a b", False)]
)
async def test_a_valid_request_id_comes_back(client: Client, sent: str, *, kept: bool) -> None:
    response = await client.http.get("/healthz", headers={"X-Request-Id": sent})
    if kept:
        assert response.headers["x-request-id"] == sent
    else:
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_the_operators_routes_ask_for_no_key(client: Client) -> None:
    assert (await client.http.get("/healthz")).json() == {"status": "ok"}
    assert (await client.http.get("/readyz")).json()["status"] == "ready"
    await client.http.get("/api/v2/things", headers=client.headers())
    metrics = (await client.http.get("/metrics")).text
    assert 'method="GET",route="/api/v2/things",status="200"' in metrics


async def test_the_description_names_every_route_body_and_error(client: Client) -> None:
    document = (await client.http.get("/openapi.json")).json()
    operation = document["paths"]["/api/v2/things/{thing_id}"]["post"]
    assert operation["operationId"] == "createThing"
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].startswith(
        "#/components/schemas/ThingCreate"
    )
    assert {"200", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"} == set(
        operation["responses"]
    )
    parameters = document["paths"]["/api/v2/things"]["get"]["parameters"]
    assert {"page", "limit", "cursor"} == {parameter["name"] for parameter in parameters}
    references = set(re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', str(document)))
    assert references <= set(document["components"]["schemas"])


async def test_the_page_for_people_loads_nothing_from_elsewhere(client: Client) -> None:
    response = await client.http.get("/docs")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", response.text)
    assert "<script" not in response.text
    assert "/api/v2/things/{thing_id}" in response.text


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    )
    | st.binary(max_size=50)
)
async def test_no_body_makes_a_500(client: Client, body: Any) -> None:
    import json

    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = client.headers(more={"Content-Type": "application/json"})
    response = await client.http.post(THING, content=raw, headers=headers)
    assert response.status_code in {400, 422}
