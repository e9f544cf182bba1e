"""A refusal reaches every client, also one that writes its whole body before it reads."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.serving import Served


def _send_whole(server: Served, head: str, chunks: Iterator[bytes]) -> tuple[int, bytes]:
    """Status and body of the reply to a request that is sent to its end before anything is read."""
    place = urlsplit(server.url)
    assert place.hostname is not None
    assert place.port is not None
    with socket.create_connection((place.hostname, place.port), timeout=60) as line:
        line.sendall(f"{head}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        for chunk in chunks:
            line.sendall(chunk)
        reply = b""
        while piece := line.recv(65_536):
            reply += piece
    top, _, body = reply.partition(b"\r\n\r\n")
    return int(top.split()[1]), body


@pytest.mark.parametrize(
    ("path", "kind", "mebibytes", "status", "code"),
    [
        ("/datasets", "application/json", 9, 413, "PAYLOAD_TOO_LARGE"),
        ("/datasources", "multipart/form-data; boundary=b", 120, 413, "FILE_TOO_LARGE"),
        ("/datasources/preview", "multipart/form-data; boundary=b", 120, 413, "FILE_TOO_LARGE"),
        ("/datasources", "text/csv", 20, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("/nothing", "application/json", 20, 404, "ROUTE_NOT_FOUND"),
    ],
)
async def test_a_body_refused_unread_does_not_break_the_line(  # noqa: PLR0917 (a table's columns)
    server: Served, path: str, kind: str, mebibytes: int, status: int, code: str
) -> None:
    head = (
        f"POST /api/v2{path} HTTP/1.1\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {mebibytes * 2**20}"
    )
    piece = b"x" * 2**20
    found, body = await asyncio.to_thread(
        _send_whole, server, head, (piece for _ in range(mebibytes))
    )
    assert found == status
    assert json.loads(body)["code"] == code


async def test_a_body_without_a_key_is_let_run_out(server: Served) -> None:
    head = f"POST /api/v2/datasets HTTP/1.1\r\nContent-Length: {9 * 2**20}"
    found, body = await asyncio.to_thread(_send_whole, server, head, iter([b"x" * (9 * 2**20)]))
    assert found == 401
    assert json.loads(body)["code"] == "UNAUTHORIZED"


async def test_nobody_waits_for_a_client_that_waits_for_leave_to_send(server: Served) -> None:
    head = f"POST /api/v2/datasets HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {9 * 2**20}"
    started = time.monotonic()
    found, _ = await asyncio.to_thread(_send_whole, server, head, iter([]))
    assert found == 401
    assert time.monotonic() - started < 1.5
