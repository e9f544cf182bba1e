"""What the running server answers before any room is asked."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.serving import Served
from tests.support.waiting import eventually


async def test_an_unknown_key_of_the_right_shape_is_unauthorized(server: Served) -> None:
    from gridmill.auth.model import make_key

    async with httpx2.AsyncClient(base_url=server.url) as anyone:
        for header in (f"Bearer {make_key()}", f"Bearer {server.key}x", f"Basic {server.key}"):
            response = await anyone.get("/api/v2/keys", headers={"Authorization": header})
            assert response.status_code == 401
            assert response.json()["code"] == "UNAUTHORIZED"


async def test_a_large_upload_without_a_key_is_refused_before_it_is_sent(server: Served) -> None:
    place = urlsplit(server.url)
    assert place.hostname is not None
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(
        b"POST /api/v2/datasources HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    await writer.drain()
    async with asyncio.timeout(5):
        status = await reader.readline()
    assert status.startswith(b"HTTP/1.1 401 ")
    writer.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "ROUTE_NOT_FOUND"),
        ("PUT", "/keys", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/keys?page=1&page=2", 422, "VALIDATION_ERROR"),
        ("GET", "/keys?cursor=nonsense", 422, "VALIDATION_ERROR"),
        ("GET", "/keys/%00/rotate", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/keys/%00/rotate", 404, "KEY_NOT_FOUND"),
        ("POST", "/keys/%ED%A0%80/rotate", 404, "KEY_NOT_FOUND"),
        ("DELETE", "/keys/..%2f..%2fetc", 404, "ROUTE_NOT_FOUND"),
    ],
)
async def test_every_refusal_has_the_one_shape(
    client: httpx2.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert set(response.json()) == {"error", "code", "details"}


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "INVALID_JSON"),
        (b'{"name": NaN}', "application/json", 400, "INVALID_JSON"),
        (rb'{"name": "\u0000"}', "application/json", 422, "INVALID_TEXT"),
        (b"name=x", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b" " * (8 * 2**20 + 1), "application/json", 413, "PAYLOAD_TOO_LARGE"),
        (b"[]", "application/json", 422, "VALIDATION_ERROR"),
    ],
)
async def test_a_body_that_does_not_hold_is_refused(
    client: httpx2.AsyncClient, content: bytes, kind: str, status: int, code: str
) -> None:
    response = await client.post("/keys", content=content, headers={"Content-Type": kind})
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


async def test_a_forged_link_opens_nothing(server: Served) -> None:
    async with httpx2.AsyncClient(base_url=server.url) as anyone:
        response = await anyone.get("/downloads/W10.AAAA")
        assert (response.status_code, response.json()["code"]) == (403, "LINK_INVALID")


async def test_the_description_is_whole_and_its_ids_are_unique(server: Served) -> None:
    async with httpx2.AsyncClient(base_url=server.url) as anyone:
        document = (await anyone.get("/openapi.json")).json()
        assert (await anyone.get("/docs")).status_code == 200
    operations = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert all(operation["description"] and operation["tags"] for operation in operations)


async def test_the_log_has_the_request_id_and_no_key(
    server: Served, client: httpx2.AsyncClient
) -> None:
    await client.get("/keys", headers={"X-Request-Id": "find-me-1"})
    # The line is written once the reply is out, which the client may have before.
    await eventually(lambda: '"request_id":"find-me-1"' in server.read_log())
    assert server.key not in server.read_log()


def test_what_is_no_http_does_no_harm(server: Served) -> None:
    place = urlsplit(server.url)
    for raw in (b"\x16\x03\x01\x00\xa5", b"GET / HTTP/9.9\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n"):
        with socket.create_connection((place.hostname, place.port or 0), timeout=5) as raw_client:
            raw_client.sendall(raw)
            raw_client.shutdown(socket.SHUT_WR)
            assert b" 500 " not in raw_client.recv(200)
    assert httpx2.get(f"{server.url}/healthz").status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 300_000,
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_one_shape(server: Served, raw: bytes) -> None:
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port or 0), timeout=5) as raw_client:
        raw_client.sendall(raw)
        reply = b""
        while piece := raw_client.recv(65_536):
            reply += piece
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-request-id: " in head
    assert json.loads(body) == {
        "error": "Invalid HTTP request received.",
        "code": "BAD_REQUEST",
        "details": {},
    }


async def test_a_long_filter_fits_into_the_url(client: httpx2.AsyncClient) -> None:
    response = await client.get("/datasources", params={"contentType": "é" * 10_000})
    assert (response.status_code, response.json()["code"]) == (422, "VALIDATION_ERROR")
