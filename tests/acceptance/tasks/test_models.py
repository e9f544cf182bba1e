"""The main job with a model: thrift, faults, refusals, and what a reply may not do."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.acceptance.conftest import connect
from tests.support.api import (
    Json,
    ask,
    column_id,
    end_of,
    make_dataset,
    read_grid,
    refuse,
    start_bulk,
)
from tests.support.fake_model import FakeModel
from tests.support.serving import Served

SECTOR: Json = {"name": "sector", "metadata": {"prompt": "The sector of {{company}}"}}


@pytest.fixture
def model(make_model: Callable[..., FakeModel]) -> FakeModel:
    return make_model()


@pytest_asyncio.fixture
async def asking(
    make_server: Callable[..., Served], model: FakeModel
) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of a server that asks the fake model."""
    served = make_server(environment=model.environment)
    served.start()
    async with connect(served) as opened:
        yield opened


def companies(count: int, distinct: int | None = None) -> str:
    names = (f"Company {number % (distinct or count)}\n" for number in range(count))
    return "company\n" + "".join(names)


async def run(client: httpx2.AsyncClient, dataset: Json, **body: Any) -> Json:
    return await end_of(client, await start_bulk(client, dataset, **body))


async def test_identical_rows_are_asked_once_and_again_only_on_request(
    asking: httpx2.AsyncClient, model: FakeModel
) -> None:
    dataset = await make_dataset(asking, companies(100, 10), [SECTOR])
    task = await run(asking, dataset)
    assert task["results"]["cellsWritten"] == 100
    assert model.counts()["calls"] <= 10
    assert task["usage"]["requests"] <= 10
    assert task["usage"]["promptTokens"] > 0
    path = f"/datasets/{dataset['datasetId']}"
    column = column_id(dataset, "sector")
    await ask(asking, "POST", f"{path}/tasks/{task['taskId']}/revert")
    cached = await run(asking, dataset)
    assert cached["results"]["cellsWritten"] == 100
    assert model.counts()["calls"] <= 10
    assert cached["usage"]["requests"] == 0
    await run(asking, dataset, columnIds=[column], processOnlyEmpty=False)
    assert 10 < model.counts()["calls"] <= 20


async def test_faulty_replies_lose_no_row_and_store_nothing_broken(
    asking: httpx2.AsyncClient, model: FakeModel
) -> None:
    model.behave(errors=0.05, limited=0.05, broken=0.05)
    dataset = await make_dataset(asking, companies(150), [SECTOR])
    task = await run(asking, dataset)
    assert task["status"] == "completed", task
    progress = task["progress"]
    assert progress["completed"] + progress["failed"] == 150
    grid = await read_grid(asking, dataset)
    for row in grid["data"]:
        value, metadata = row[1]["value"], row[1]["metadata"]
        if metadata["error"] is not None:
            assert value is None
        else:
            assert "{" not in value
    if progress["failed"]:
        model.behave(errors=0, limited=0, broken=0)
        path = f"/datasets/{dataset['datasetId']}/tasks/{task['taskId']}/retry"
        again = await end_of(asking, await ask(asking, "POST", path))
        assert again["progress"]["total"] == progress["failed"]
        assert again["progress"]["completed"] == progress["failed"]


async def test_a_refused_key_fails_the_task_and_frees_the_dataset(
    asking: httpx2.AsyncClient, model: FakeModel
) -> None:
    model.behave(refuse=401)
    dataset = await make_dataset(asking, companies(30), [SECTOR])
    task = await run(asking, dataset)
    assert task["status"] == "failed"
    assert task["error"]["code"]
    assert "fake-key" not in str(task)
    assert (await ask(asking, "GET", f"/datasets/{dataset['datasetId']}"))["locked"] is False
    assert model.counts()["calls"] <= 32


async def test_a_column_is_filled_after_the_one_it_reads_and_a_cycle_is_refused(
    asking: httpx2.AsyncClient,
) -> None:
    columns = [
        {"name": "slogan", "metadata": {"prompt": "A slogan for a {{sector}} company"}},
        SECTOR,
    ]
    dataset = await make_dataset(asking, companies(5), columns)
    task = await run(asking, dataset)
    assert task["progress"]["completed"] == 10
    path = f"/datasets/{dataset['datasetId']}/columns/{column_id(dataset, 'sector')}"
    details = await refuse(
        asking,
        "PATCH",
        path,
        422,
        "VALIDATION_ERROR",
        json={"metadata": {"prompt": "From {{slogan}}"}},
    )
    assert details["fields"]


async def test_a_budget_stops_cleanly_and_keeps_what_is_done(
    asking: httpx2.AsyncClient, model: FakeModel
) -> None:
    dataset = await make_dataset(asking, companies(120), [SECTOR])
    path = f"/datasets/{dataset['datasetId']}/tasks"
    unpriced: Json = {"budget": {"maxCostUsd": 1}}
    details = await refuse(asking, "POST", f"{path}/bulk", 422, "VALIDATION_ERROR", json=unpriced)
    assert details["fields"][0]["field"] == "budget.maxCostUsd"
    estimate = await ask(asking, "POST", f"{path}/estimate", json={"type": "bulk"})
    assert estimate["cells"] == 120
    assert estimate["requests"] > 0
    assert model.counts()["calls"] == 0
    limit = (estimate["promptTokens"] + estimate["completionTokens"]) // 3
    task = await run(asking, dataset, budget={"maxTokens": limit})
    assert task["status"] == "completed"
    assert task["results"]["stoppedBy"] == "budget"
    usage = task["usage"]
    assert usage["promptTokens"] + usage["completionTokens"] <= limit
    progress = task["progress"]
    assert progress["total"] == 120
    assert progress["completed"] + progress["failed"] + progress["skipped"] == 120
    assert progress["skipped"] > 0


async def test_numbers_and_options_hold_or_the_cell_keeps_its_value(
    asking: httpx2.AsyncClient,
) -> None:
    columns = [
        {
            "name": "size",
            "dataType": "enum",
            "metadata": {"options": ["small", "large"], "prompt": "How large?"},
        },
        {"name": "staff", "dataType": "integer", "metadata": {"minimum": 1, "maximum": 10}},
    ]
    dataset = await make_dataset(asking, companies(20), columns)
    await run(asking, dataset)
    grid = await read_grid(asking, dataset)
    for row in grid["data"]:
        assert row[1]["value"] in {"small", "large", None}
        assert row[2]["value"] is None or 1 <= row[2]["value"] <= 10
