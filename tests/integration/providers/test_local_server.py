import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from gridmill.providers.local.errors import BadWeights, NoRoom
from gridmill.providers.local.server import Address, LocalServer
from gridmill.providers.local.weights import choose_installed
from tests.support.gguf import make_gguf
from tests.support.serving import is_running
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

FOLDER = os.environ.get("GRIDMILL_TEST_MODELS_DIR")
needs_weights = pytest.mark.skipif(
    FOLDER is None, reason="GRIDMILL_TEST_MODELS_DIR names no folder with installed weights"
)


@pytest.fixture
def hollow(tmp_path: Path) -> Path:
    """A file with the head of a model and nothing behind it."""
    file = tmp_path / "hollow.gguf"
    file.write_bytes(make_gguf(body=4096))
    return file


async def test_too_little_memory_is_said_before_a_child_is_started(
    tmp_path: Path, hollow: Path
) -> None:
    server = LocalServer(hollow, tmp_path / "run", available=lambda: 2**20)
    with pytest.raises(NoRoom, match="MiB of memory"):
        await server.reach()
    assert not (tmp_path / "run" / "log").exists()


async def test_weights_that_llama_cannot_load_are_said_to_be_bad(
    tmp_path: Path, hollow: Path
) -> None:
    server = LocalServer(hollow, tmp_path / "run")
    with pytest.raises(BadWeights, match="cannot load"):
        await server.reach()
    await server.close()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[LocalServer]:
    model = choose_installed(Path(str(FOLDER))).path
    made = LocalServer(model, tmp_path / "run", idle_seconds=2.0)
    yield made
    await made.close()


@needs_weights
async def test_workers_of_one_machine_share_a_child_that_is_replaced_when_it_dies(
    tmp_path: Path, server: LocalServer
) -> None:
    other = LocalServer(server.model, tmp_path / "run")
    first, second = await asyncio.gather(server.reach(), other.reach())
    assert first == second
    os.kill(first.pid, signal.SIGKILL)

    async def find_another() -> Address | None:
        # What a call does that met nobody there; the kernel may close a dead child's socket late.
        server.forget(first)
        found = await server.reach()
        return found if found.pid != first.pid else None

    again = await eventually(find_another)
    assert is_running(again.pid)


@needs_weights
async def test_a_child_that_nobody_asks_ends_by_itself(server: LocalServer) -> None:
    address = await server.reach()
    await eventually(lambda: not is_running(address.pid), timeout=30)
