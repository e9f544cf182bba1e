"""The biggest file that is allowed, through the running server."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.serving import Served
from tests.support.waiting import eventually

LIMIT = 100 * 2**20
_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.csv"\r\n\r\n'
_TAIL = b"\r\n--b--\r\n"


def _read_memory(pid: int, name: str) -> int:
    """A figure of `/proc/<pid>/status` in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def _make_rows(size: int) -> AsyncIterator[bytes]:
    """A table of exactly `size` bytes, 105 a row and so under a million rows."""

    async def write() -> AsyncIterator[bytes]:
        left = size
        yield (head := b"id,code,name,note\n")
        left -= len(head)
        number = 0
        while left > 0:
            block = bytearray()
            while len(block) < 2**16 and left - len(block) > 0:
                block += f"{number:09},{number},name {number:09},{'x' * 72}\n".encode()
                number += 1
            yield bytes(block[:left])
            left -= len(block)

    return write()


async def _upload(client: httpx2.AsyncClient, size: int) -> httpx2.Response:
    async def body() -> AsyncIterator[bytes]:
        yield _HEAD
        async for block in _make_rows(size):
            yield block
        yield _TAIL

    headers = {
        "Content-Type": "multipart/form-data; boundary=b",
        "Content-Length": str(len(_HEAD) + size + len(_TAIL)),
    }
    return await client.post("/datasources", content=body(), headers=headers, timeout=120)


@pytest.mark.timeout(400)
async def test_a_hundred_megabytes_go_in_with_little_memory_and_come_out(
    server: Served, client: httpx2.AsyncClient
) -> None:
    await client.get("/datasources")
    # Starts the peak anew.
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    before = _read_memory(server.pid, "VmRSS")
    response = await _upload(client, LIMIT)
    assert response.status_code == 201, response.text
    assert response.json()["fileSize"] == LIMIT
    peak = _read_memory(server.pid, "VmHWM")
    assert peak - before < 50 * 2**20
    assert peak < 150 * 2**20
    path = f"/datasources/{response.json()['datasourceId']}"

    async def read() -> dict[str, Any]:
        found = (await client.get(path)).json()
        return found if found["status"] != "processing" else {}

    found = await eventually(read, timeout=300)
    assert found["status"] == "completed", found
    assert found["rowCount"] > 990_000
    assert [column["dataType"] for column in found["columns"]] == [
        "text",
        "integer",
        "text",
        "text",
    ]
    started = time.monotonic()
    page = await client.get(f"{path}/data", params={"page": 900_001, "limit": 1})
    assert page.json()["data"][0][1] == 900_000
    assert time.monotonic() - started < 2
    assert (await client.delete(path)).status_code == 204


async def test_one_byte_more_is_refused_and_the_connection_survives(
    server: Served, client: httpx2.AsyncClient
) -> None:
    response = await _upload(client, LIMIT + 1)
    assert (response.status_code, response.json()["code"]) == (413, "FILE_TOO_LARGE")
    assert (await client.get("/datasources")).status_code == 200
    assert not [path for path in Path("/tmp").glob("gridmill-upload-*") if _is_of(path, server)]


def _is_of(path: Path, server: Served) -> bool:
    """Whether a temporary folder was made since the server started."""
    started = Path(f"/proc/{server.pid}").stat().st_mtime
    return path.exists() and path.stat().st_mtime >= started
