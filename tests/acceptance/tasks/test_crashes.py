"""Whatever is killed in the middle of a task, it goes on, and every cell is written once."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.conftest import connect
from tests.support.api import Json, ask, end_of, make_dataset, read_grid, read_task, start_bulk
from tests.support.fake_model import CONCURRENCY, FakeModel
from tests.support.serving import Served, list_children
from tests.support.waiting import eventually

ROWS = 200
COLUMN: Json = {"name": "sector", "metadata": {"prompt": "The sector of {{company}}"}}


def companies(count: int = ROWS) -> str:
    return "company\n" + "".join(f"Company {number} Ltd\n" for number in range(count))


def find_child(served: Served, word: str) -> int:
    """The process id of the server's child whose command line holds `word`."""
    for pid in list_children(served.pid):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if word in line:
            return pid
    raise AssertionError(f"no child with {word!r}")


async def check_every_cell_was_written_once(client: httpx2.AsyncClient, dataset: Json) -> None:
    grid = await read_grid(client, dataset)
    assert len(grid["data"]) == ROWS
    path = f"/datasets/{dataset['datasetId']}/cells"
    for row in grid["data"]:
        assert row[1]["value"] is not None
    for row in grid["data"][::10]:
        history = await ask(client, "GET", f"{path}/{row[1]['cellId']}/history")
        writes = [write for write in history["history"] if write["writtenBy"]["kind"] == "task"]
        assert len(writes) == 1


async def wait_until_half_is_asked(model: FakeModel) -> None:
    await eventually(lambda: model.counts()["calls"] >= ROWS // 2, timeout=60)


@pytest.mark.parametrize("victim", ["gridmill worker", "postgres"])
async def test_a_killed_child_is_replaced_and_the_task_goes_on(
    make_server: Callable[..., Served], make_model: Callable[..., FakeModel], victim: str
) -> None:
    model = make_model("--latency", "0.2")
    served = make_server(environment=model.environment)
    if served.database_url is not None and victim == "postgres":
        pytest.skip("this run's database is not ours to kill")
    served.start()
    async with connect(served) as client:
        dataset = await make_dataset(client, companies(), [COLUMN])
        task = await start_bulk(client, dataset)
        await wait_until_half_is_asked(model)
        os.kill(find_child(served, victim), signal.SIGKILL)
        ended = await end_of(client, task)
        assert ended["status"] == "completed", ended
        assert ended["progress"]["completed"] == ROWS
        assert model.counts()["calls"] <= ROWS + CONCURRENCY
        await check_every_cell_was_written_once(client, dataset)
        assert (await ask(client, "GET", f"/datasets/{dataset['datasetId']}"))["locked"] is False


async def test_a_killed_server_goes_on_after_its_restart(
    make_server: Callable[..., Served], make_model: Callable[..., FakeModel]
) -> None:
    model = make_model("--latency", "0.2")
    served = make_server(environment=model.environment)
    served.start()
    async with connect(served) as client:
        dataset = await make_dataset(client, companies(), [COLUMN])
        task = await start_bulk(client, dataset)
        await wait_until_half_is_asked(model)
    served.kill()
    served.start()
    async with connect(served) as client:
        ended = await end_of(client, task)
        assert ended["status"] == "completed", ended
        assert ended["results"]["cellsWritten"] == ROWS
        assert model.counts()["calls"] <= ROWS + CONCURRENCY
        await check_every_cell_was_written_once(client, dataset)


async def test_cancel_frees_the_lock_at_once_and_late_writes_are_refused(
    make_server: Callable[..., Served], make_model: Callable[..., FakeModel]
) -> None:
    model = make_model("--latency", "1.0")
    served = make_server(environment=model.environment)
    served.start()
    async with connect(served) as client:
        dataset = await make_dataset(client, companies(), [COLUMN])
        path = f"/datasets/{dataset['datasetId']}"
        task = await start_bulk(client, dataset)
        await eventually(lambda: model.counts()["in_flight"] > 0, timeout=30)
        cancelled = await ask(client, "POST", f"{path}/tasks/{task['taskId']}/cancel")
        assert cancelled["status"] == "cancelled"
        assert (await ask(client, "GET", path))["locked"] is False
        seen = await read_grid(client, dataset)
        await eventually(lambda: model.counts()["in_flight"] == 0, timeout=2)
        calls = model.counts()["calls"]
        assert await read_grid(client, dataset) == seen
        again = await client.post(f"{path}/tasks/{task['taskId']}/cancel")
        assert again.status_code == 409
        assert again.json()["code"] == "TASK_NOT_CANCELLABLE"
        assert (await read_task(client, task))["status"] == "cancelled"
        assert model.counts()["calls"] == calls
