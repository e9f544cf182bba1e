import asyncio
import json
import subprocess
import sys
import urllib.request

import pytest

from tests.support.models import WORKSPACE, ask_rows, open_gateway
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

PARENT = (
    "import subprocess, sys; p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE);"
    "print(p.pid, p.stdout.readline().decode(), flush=True); sys.stdin.read()"
)
FAKE = [sys.executable, "-m", "gridmill.providers.llm.fake"]


async def ask_ten(url: str) -> None:
    async with open_gateway(url) as gateway:
        await gateway.complete_many(ask_rows(10), workspace_id=WORKSPACE)


def test_the_fake_runs_as_a_process_and_is_told_what_to_do() -> None:
    process = subprocess.Popen([*FAKE, "--latency", "0.01"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        asyncio.run(ask_ten(url))
        control = url.removesuffix("/v1") + "/fake"
        with urllib.request.urlopen(control) as reply:
            assert json.load(reply)["calls"] == 10
        change = json.dumps({"latency": 0.5, "reset": True}).encode()
        with urllib.request.urlopen(control, change) as reply:
            state = json.load(reply)
        assert (state["calls"], state["behaviour"]["latency"]) == (0, 0.5)
    finally:
        process.terminate()
        assert process.wait(10) == 0
        if process.stdout is not None:
            process.stdout.close()


def test_the_fake_ends_with_its_parent() -> None:
    command = [sys.executable, "-c", PARENT, *FAKE]
    pipe = subprocess.PIPE
    parent = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert parent.stdout is not None
    url = parent.stdout.readline().split()[1]
    control = url.removesuffix("/v1") + "/fake"
    with urllib.request.urlopen(control) as reply:
        assert reply.status == 200
    parent.kill()
    parent.wait()

    def is_gone() -> bool:
        try:
            with urllib.request.urlopen(control, timeout=1):
                return False
        except OSError:
            return True

    asyncio.run(eventually(is_gone, timeout=10))
