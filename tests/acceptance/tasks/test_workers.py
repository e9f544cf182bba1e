"""Workers beside the server, as on other machines: they share the work and replace one another."""

import os
import signal
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from gridmill.storage.embedded.server import find_running
from tests.acceptance.conftest import connect
from tests.support.api import Json, end_of, make_dataset, read_grid, start_bulk
from tests.support.fake_model import CONCURRENCY, FakeModel
from tests.support.serving import Served, clean_environment, command
from tests.support.waiting import eventually

ROWS = 400
COLUMN: Json = {"name": "sector", "metadata": {"prompt": "The sector of {{company}}"}}


@pytest.fixture
def start_worker(tmp_path: Path) -> Generator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts `gridmill worker` processes on a database; their logs are in the test's folder."""
    started: list[subprocess.Popen[bytes]] = []

    def start(url: str, model: FakeModel) -> "subprocess.Popen[bytes]":
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                command("worker", "--database-url", url),
                env=clean_environment(model.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            assert process.wait(30) == 0


async def test_two_workers_share_a_task_within_one_limit_and_outlive_each_other(
    make_server: Callable[..., Served],
    make_model: Callable[..., FakeModel],
    start_worker: Callable[..., "subprocess.Popen[bytes]"],
) -> None:
    model = make_model("--latency", "0.3")
    served = make_server(environment=model.environment, arguments=("--no-worker",))
    served.start()
    url = served.database_url or await find_running(served.data_dir)
    assert url is not None
    first = start_worker(url, model)
    async with connect(served) as client:
        dataset = await make_dataset(
            client, "company\n" + "\n".join(map(str, range(ROWS))), [COLUMN]
        )
        task = await start_bulk(client, dataset)
        await eventually(lambda: model.counts()["calls"] >= CONCURRENCY, timeout=30)
        start_worker(url, model)
        await eventually(lambda: model.counts()["calls"] >= ROWS // 2, timeout=30)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
        ended = await end_of(client, task)
        assert ended["status"] == "completed", ended
        assert ended["results"]["cellsWritten"] == ROWS
        grid = await read_grid(client, dataset)
        assert all(row[1]["value"] is not None for row in grid["data"])
    counts = model.counts()
    assert counts["peak"] <= CONCURRENCY
    assert counts["calls"] <= ROWS + CONCURRENCY
