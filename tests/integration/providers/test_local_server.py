"""The local model's child: found, shared, refused and gone when it should be. A real llama.cpp."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from gridmill.providers.llm.errors import ProviderRefused, UnknownModel
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import LOCAL, Access, Frame, ModelRef, ModelRequest
from gridmill.providers.local.errors import BadWeights, NoRoom, ServerDown
from gridmill.providers.local.server import Address, LocalServer
from gridmill.providers.local.transport import LocalTransport
from tests.support.tiny_llama import write_tiny_llama
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

SCHEMA = {
    "type": "object",
    "properties": {"value": {"enum": ["red", "green"]}},
    "required": ["value"],
    "additionalProperties": False,
}
FRAME = Frame("Which colour?", SCHEMA, max_tokens=60)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("weights") / "tiny.gguf")


@pytest_asyncio.fixture
async def server(weights: Path, tmp_path: Path) -> AsyncGenerator[LocalServer]:
    opened = LocalServer(weights, tmp_path / "run")
    yield opened
    await opened.close()


def open_gateway(server: LocalServer) -> Gateway:
    return Gateway(
        [Access(LOCAL, base_url="http://here/v1", models=("tiny",))],
        default=ModelRef(LOCAL, "tiny"),
        transports={LOCAL: LocalTransport(server)},
    )


def is_alive(pid: int) -> bool:
    try:
        # A zombie still has an id: its command line is what is gone.
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


async def read_status(address: Address, key: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{address.url}/v1/chat/completions",
            json={"messages": [{"role": "user", "content": "x"}], "max_tokens": 1},
            headers={"Authorization": f"Bearer {key}"},
        ) as reply,
    ):
        return reply.status


async def test_the_gateway_starts_it_and_its_answers_keep_to_the_schema(
    server: LocalServer,
) -> None:
    async with open_gateway(server) as gateway:
        said = await gateway.complete(ModelRequest(FRAME, "a leaf"), workspace_id=uuid4())
        assert said.data["value"] in {"red", "green"}
        assert (said.provider, said.model) == (LOCAL, "tiny")
        assert said.usage.completion_tokens > 0


async def test_it_answers_only_to_its_own_key(server: LocalServer) -> None:
    address = await server.reach()
    assert address.url.startswith("http://127.0.0.1:")
    assert await read_status(address, "wrong") == 401
    assert await read_status(address, address.key) == 200
    assert address.key not in repr(address)
    assert address.key not in Path(f"/proc/{address.pid}/cmdline").read_text()


async def test_two_workers_share_one_child_whose_address_is_for_this_user_alone(
    server: LocalServer, weights: Path, tmp_path: Path
) -> None:
    other = LocalServer(weights, tmp_path / "run")
    first, second = await asyncio.gather(server.reach(), other.reach())
    assert first == second
    assert (tmp_path / "run" / "address").stat().st_mode & 0o077 == 0
    await other.close()
    await server.close()
    assert not is_alive(first.pid)


async def test_a_killed_child_is_started_again_by_the_next_call(server: LocalServer) -> None:
    async with open_gateway(server) as gateway:
        await gateway.complete(ModelRequest(FRAME, "a leaf"), workspace_id=uuid4())
        address = await server.reach()
        os.kill(address.pid, signal.SIGKILL)
        await eventually(lambda: not is_alive(address.pid))
        said = await gateway.complete(ModelRequest(FRAME, "a rose"), workspace_id=uuid4())
        assert said.data["value"] in {"red", "green"}
        assert (await server.reach()).pid != address.pid


async def test_a_child_dies_with_the_process_that_started_it(weights: Path, tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from gridmill.providers.local.server import LocalServer\n"
        "async def main():\n"
        "    server = LocalServer(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "    print((await server.reach()).pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        str(weights),
        str(tmp_path / "run"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not is_alive(child))
    # The address that it left behind leads nobody astray.
    heir = LocalServer(weights, tmp_path / "run")
    assert (await heir.reach()).pid != child
    await heir.close()


async def test_a_child_that_nobody_asks_ends_by_itself(weights: Path, tmp_path: Path) -> None:
    server = LocalServer(weights, tmp_path / "run", idle_seconds=0.4)
    address = await server.reach()
    await eventually(lambda: not is_alive(address.pid))
    server.forget(address)
    assert (await server.reach()).pid != address.pid
    await server.close()


async def test_without_memory_for_it_nothing_is_started(weights: Path, tmp_path: Path) -> None:
    server = LocalServer(weights, tmp_path / "run", available=lambda: 2**20)
    with pytest.raises(NoRoom, match="memory"):
        await server.reach()
    assert not (tmp_path / "run" / "log").exists()
    async with open_gateway(server) as gateway:
        with pytest.raises(ProviderRefused, match="choose a smaller model"):
            await gateway.complete(ModelRequest(FRAME, "a leaf"), workspace_id=uuid4())


async def test_what_is_no_model_is_named_and_not_tried_again_at_once(
    weights: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.gguf"
    text.write_bytes(b"GGUF is what this file only claims to be")
    with pytest.raises(BadWeights, match="no whole GGUF"):
        await LocalServer(text, tmp_path / "run").reach()
    # Its head is whole, so only llama.cpp can tell.
    strange = tmp_path / "strange.gguf"
    strange.write_bytes(weights.read_bytes().replace(b"blk.0.attn_q", b"blk.0.attn_z"))
    server = LocalServer(strange, tmp_path / "run")
    with pytest.raises(BadWeights, match=r"cannot load .*strange.gguf"):
        await server.reach()
    with pytest.raises(ServerDown) as caught:
        await server.reach()
    assert caught.value.wait > 0


async def test_a_model_that_is_not_installed_is_unknown(server: LocalServer) -> None:
    async with open_gateway(server) as gateway:
        assert gateway.resolve("local/tiny") == gateway.resolve(None)
        with pytest.raises(UnknownModel, match="this server has local/tiny"):
            gateway.resolve("local/other")
