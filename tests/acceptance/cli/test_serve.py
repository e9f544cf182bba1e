"""`gridmill serve` from start to stop, clean and not."""

import asyncio
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.acceptance.conftest import connect
from tests.support.serving import Served, is_running, list_children, run_command
from tests.support.waiting import eventually

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def _read_command_line(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def _find_worker(served: Served) -> int | None:
    for child in list_children(served.pid):
        if b"worker" in _read_command_line(child):
            return child
    return None


async def test_the_first_start_makes_a_key_for_its_owner_and_shows_it_once(
    make_server: Callable[..., Served],
) -> None:
    served = make_server("a folder")
    served.start()
    file = served.data_dir / "api-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert served.read_output().count(served.key) == 1
    assert f"$(cat '{file}')" in served.read_output()
    assert served.key not in served.read_log()
    async with connect(served) as client:
        assert (await client.get("/keys")).json()["keys"][0]["scopes"] == ["admin"]
    assert served.stop() == 0

    served.start()
    assert "gm_" not in served.read_output()
    async with connect(served) as client:
        assert (await client.get("/keys")).status_code == 200


async def test_a_second_server_on_the_folder_is_refused_with_a_clear_message(
    make_server: Callable[..., Served],
) -> None:
    served = make_server()
    if served.database_url is not None:
        pytest.skip("servers share a database of their own")
    served.start()
    done = run_command("serve", "--port", "0", "--data-dir", str(served.data_dir))
    assert done.returncode == 1
    assert f"is in use by process {served.pid}" in done.stderr
    assert "Traceback" not in done.stderr
    assert (await httpx2.AsyncClient().get(f"{served.url}/readyz")).status_code == 200


def test_a_taken_port_is_refused_with_a_clear_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_command("serve", "--port", str(port), "--data-dir", str(tmp_path / "d"))
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use" in done.stderr
    assert not (tmp_path / "d").exists()


@linux_only
async def test_sigterm_ends_everything_with_zero(make_server: Callable[..., Served]) -> None:
    served = make_server()
    served.start()
    await eventually(lambda: _find_worker(served))
    children = list_children(served.pid)
    started = time.monotonic()
    assert await served.stop_async() == 0
    assert time.monotonic() - started < 30
    await eventually(lambda: not any(is_running(child) for child in children))


async def test_sigterm_answers_what_hangs_and_ends_in_time(
    make_server: Callable[..., Served],
) -> None:
    served = make_server(arguments=("--no-worker",))
    served.start()
    place = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(
        b"POST /api/v2/keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 10\r\nAuthorization: Bearer " + served.key.encode() + b"\r\n\r\n{"
    )
    await writer.drain()
    # A second request on another connection, answered after the first was read.
    assert (await httpx2.AsyncClient().get(f"{served.url}/readyz")).status_code == 200
    assert await served.stop_async() == 0
    said = await reader.read()
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b'"SERVICE_UNAVAILABLE"' in said
    assert "Traceback" not in served.read_log()
    writer.close()


@linux_only
def test_sigterm_tells_half_sent_requests_and_logs_no_fault(
    make_server: Callable[..., Served],
) -> None:
    served = make_server()
    served.start()
    place = urlsplit(served.url)
    lines: list[socket.socket] = []
    for path in ("datasources", "nothing"):
        line = socket.create_connection((place.hostname, place.port or 0), timeout=30)
        line.sendall(
            f"POST /api/v2/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.key}\r\n"
            "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000\r\n\r\n--B".encode()
        )
        lines.append(line)
    # Answered after those before it were read.
    assert httpx2.get(f"{served.url}/readyz").status_code == 200
    assert served.stop() == 0
    assert [line.recv(12)[9:] for line in lines] == [b"503", b"404"]
    for line in lines:
        line.close()
    assert "Traceback" not in served.read_log()


def test_sigterm_during_the_start_ends_it_too(make_server: Callable[..., Served]) -> None:
    served = make_server()
    served.launch()
    deadline = time.monotonic() + 20
    while not served.data_dir.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert served.stop() == 0
    assert "Traceback" not in served.read_log()
    served.start()


@linux_only
async def test_a_killed_server_takes_its_worker_and_database_along_and_starts_again(
    make_server: Callable[..., Served],
) -> None:
    served = make_server()
    served.start()
    await eventually(lambda: _find_worker(served))
    children = list_children(served.pid)
    served.kill()
    await eventually(lambda: not any(is_running(child) for child in children), timeout=30)
    served.start()
    async with connect(served) as client:
        assert (await client.get("/keys")).status_code == 200


@linux_only
async def test_a_killed_worker_is_started_again_with_no_secret_on_its_command_line(
    make_server: Callable[..., Served],
) -> None:
    served = make_server(environment={"GRIDMILL_LLM_API_KEY": "sk-hidden-1"})
    served.start()
    worker = await eventually(lambda: _find_worker(served))
    assert worker is not None
    line = b" ".join(_read_command_line(worker))
    assert b"postgresql" not in line
    assert b"sk-hidden" not in line
    assert "sk-hidden" not in served.read_log() + served.read_output()
    os.kill(worker, signal.SIGKILL)
    await eventually(lambda: _find_worker(served) not in {None, worker}, timeout=20)


@linux_only
async def test_without_a_worker_there_is_none(make_server: Callable[..., Served]) -> None:
    served = make_server(arguments=("--no-worker",))
    served.start()
    assert _find_worker(served) is None
    assert (await httpx2.AsyncClient().get(f"{served.url}/readyz")).status_code == 200
