"""Documents in, rows with their evidence out, as a newcomer does it: no key and no network."""

import csv
import io
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2

from tests.acceptance.conftest import connect
from tests.acceptance.tasks.test_crashes import find_child
from tests.support.api import Json, ask, end_of, read_events, read_grid, refuse, upload
from tests.support.fake_model import FakeModel
from tests.support.serving import Served
from tests.support.waiting import eventually

COLUMNS: Sequence[Json] = (
    {"name": "invoice number", "dataType": "text"},
    {"name": "date", "dataType": "date"},
    {"name": "total", "dataType": "number"},
    {"name": "email", "dataType": "email"},
)


def write_invoice(number: int) -> str:
    return (
        f"INVOICE\n\nInvoice number: INV-{number:04}\nDate: {number + 1} March 2024\n"
        f"E-mail: billing{number}@example.org\n\nTotal: EUR 1,{number:03}.50\n"
    )


async def read_all(client: httpx2.AsyncClient, dataset: Json) -> Json:
    """The dataset once none of its documents is being read any more."""

    async def read() -> Json | None:
        waiting = await ask(client, "GET", "/datasources", params={"status": "processing"})
        return None if waiting["pagination"]["total"] else dataset

    return await eventually(read, timeout=90)


async def upload_invoices(client: httpx2.AsyncClient, count: int) -> Json:
    """A dataset made of files at once, its columns added afterwards."""
    files = [
        ("files[]", (f"invoice-{number}.txt", write_invoice(number).encode()))
        for number in range(count)
    ]
    fields = {"type": "data_extraction", "name": "invoices"}
    made = await ask(client, "POST", "/datasets/upload", data=fields, files=files)
    for column in COLUMNS:
        await ask(client, "POST", f"/datasets/{made['datasetId']}/columns", json=column)
    dataset = await ask(client, "GET", f"/datasets/{made['datasetId']}")
    return await read_all(client, dataset)


async def start(client: httpx2.AsyncClient, dataset: Json, rows: int) -> Json:
    path = f"/datasets/{dataset['datasetId']}/tasks/new-rows"
    return await ask(client, "POST", path, json={"rowCount": rows})


async def check_quotes(client: httpx2.AsyncClient, grid: Mapping[str, Any]) -> int:
    """Each value's quote stands in the page that its source names; how many there are."""
    pages: dict[str, list[str]] = {}
    found = 0
    for cell in (cell for row in grid["data"] for cell in row if cell["value"] is not None):
        for source in cell["metadata"]["sources"]:
            name = source["datasourceId"]
            if name not in pages:
                read = await ask(client, "GET", f"/datasources/{name}/data")
                pages[name] = [text for _, text in read["data"]]
            page = pages[name][source["page"] - 1]
            assert page[source["start"] : source["end"]] == source["quote"]
            found += 1
    return found


async def test_files_become_rows_whose_values_stand_where_they_say(
    client: httpx2.AsyncClient,
) -> None:
    dataset = await upload_invoices(client, 5)
    path = f"/datasets/{dataset['datasetId']}"
    estimate = {"type": "new-rows", "rowCount": 3}
    expected = await ask(client, "POST", f"{path}/tasks/estimate", json=estimate)
    assert (expected["rows"], expected["cells"], expected["costUsd"]) == (3, 12, 0.0)
    task = await start(client, dataset, 3)
    events = [event async for event in read_events(client, task, cells=True)]
    assert [kind for _, kind, _ in events].count("cell") == 12
    assert events[-1][1] == "completed"
    done = await end_of(client, task)
    assert (done["operation"], done["progress"]["total"]) == ("data_extraction", 3)
    grid = await read_grid(client, dataset)
    values = [[cell["value"] for cell in row] for row in grid["data"]]
    assert values[1] == ["INV-0001", "2024-03-02", 1001.5, "billing1@example.org"]
    assert await check_quotes(client, grid) >= 12
    assert {cell["metadata"]["status"] for row in grid["data"] for cell in row} <= {
        "ok",
        "needs_review",
    }
    # The rest, and then there is nothing left.
    more = await end_of(client, await start(client, dataset, 10_000))
    assert more["progress"]["total"] == more["results"]["rowsCreated"] == 2
    body = {"rowCount": 1}
    await refuse(
        client, "POST", f"{path}/tasks/new-rows", 422, "INVALID_TASK_FOR_DATASET", json=body
    )
    # Undone, its documents come again.
    undone = await ask(client, "POST", f"{path}/tasks/{more['taskId']}/revert")
    assert (undone["rowsDeleted"], undone["cellsLeft"]) == (2, 0)
    again = await end_of(client, await start(client, dataset, 10))
    assert again["results"]["rowsCreated"] == 2
    export = await ask(client, "POST", f"{path}/export", json={"format": "csv"})
    async with httpx2.AsyncClient() as stranger:
        download = await stranger.get(export["downloadUrl"])
    rows = list(csv.DictReader(io.StringIO(download.text)))
    assert [row["invoice number"] for row in rows] == [f"INV-{n:04}" for n in range(5)]


async def test_a_persons_word_is_extracted_over_only_when_asked_for(
    client: httpx2.AsyncClient,
) -> None:
    dataset = await upload_invoices(client, 2)
    path = f"/datasets/{dataset['datasetId']}"
    await end_of(client, await start(client, dataset, 2))
    grid = await read_grid(client, dataset)
    cell, other = grid["data"][0][0], grid["data"][1][0]
    await ask(client, "PATCH", f"{path}/cells/{cell['cellId']}", json={"value": "mine"})
    await ask(client, "PATCH", f"{path}/cells/{other['cellId']}", json={"value": None})
    bulk = f"{path}/tasks/bulk"
    task = await end_of(client, await ask(client, "POST", bulk, json={}))
    assert task["progress"]["completed"] == task["progress"]["total"] == 1
    grid = await read_grid(client, dataset)
    assert [row[0]["value"] for row in grid["data"]] == ["mine", "INV-0001"]
    named: Json = {"cellIds": [cell["cellId"]], "processOnlyEmpty": False}
    await end_of(client, await ask(client, "POST", bulk, json=named))
    grid = await read_grid(client, dataset)
    assert grid["data"][0][0]["value"] == "INV-0000"
    assert await check_quotes(client, grid) >= 8


async def make_lines(client: httpx2.AsyncClient, count: int) -> Json:
    """A dataset linked to one document, a table of `count` lines."""
    lines = "".join(
        f"<tr><td>Tea {number}</td><td>{number}</td><td>{number}.50</td></tr>"
        for number in range(1, count + 1)
    )
    head = "<tr><th>Item</th><th>Quantity</th><th>Price</th></tr>"
    page = f"<html><body><table>{head}{lines}</table></body></html>"
    source = await upload(client, page, "lines.html")
    assert source["status"] == "completed", source
    body = {
        "type": "data_extraction",
        "name": "lines",
        "datasourceId": source["datasourceId"],
        "columns": [
            {"name": "item"},
            {"name": "quantity", "dataType": "integer"},
            {"name": "price", "dataType": "number"},
        ],
    }
    return await ask(client, "POST", "/datasets", json=body)


async def test_lines_of_a_table_become_rows_of_their_own(client: httpx2.AsyncClient) -> None:
    dataset = await make_lines(client, 3)
    done = await end_of(client, await start(client, dataset, 50))
    assert done["results"]["rowsCreated"] == 3, done
    grid = await read_grid(client, dataset)
    assert [[cell["value"] for cell in row] for row in grid["data"]] == [
        [f"Tea {number}", number, number + 0.5] for number in range(1, 4)
    ]
    assert await check_quotes(client, grid) == 9


async def test_a_worker_that_is_killed_makes_every_row_once_all_the_same(
    make_server: Callable[..., Served], make_model: Callable[..., FakeModel]
) -> None:
    count = 100
    model = make_model("--latency", "0.3")
    served = make_server(environment=model.environment)
    served.start()
    async with connect(served) as client:
        dataset = await make_lines(client, count)
        path = f"/datasets/{dataset['datasetId']}"
        # No heading names it, so that the model is asked about every line.
        column = {"name": "origin", "metadata": {"prompt": "The country that it comes from"}}
        await ask(client, "POST", f"{path}/columns", json=column)
        task = await start(client, dataset, 1_000)
        await eventually(lambda: model.counts()["calls"] >= count // 2, timeout=60)
        await refuse(client, "DELETE", path, 409, "DATASET_LOCKED")
        os.kill(find_child(served, "gridmill worker"), signal.SIGKILL)
        done = await end_of(client, task)
        assert done["status"] == "completed", done
        assert done["progress"]["total"] == done["results"]["rowsCreated"] == count
        grid = await read_grid(client, dataset)
        assert len(grid["data"]) == count
        # Each line once: as many rows as lines, and none of these is left.
        body = {"rowCount": 1}
        tasks = f"{path}/tasks/new-rows"
        await refuse(client, "POST", tasks, 422, "INVALID_TASK_FOR_DATASET", json=body)
        for row in grid["data"][::10]:
            history = f"{path}/cells/{row[0]['cellId']}/history"
            writes = (await ask(client, "GET", history))["history"]
            assert sum(write["writtenBy"]["kind"] == "task" for write in writes) == 1
