"""New rows: records of linked sources that are not in the dataset yet, then their cells."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gridmill.datasets import jobs as dataset_jobs
from gridmill.datasets.model import DatasetLimits, TaskType
from gridmill.datasources import jobs as datasource_jobs
from gridmill.kit.processes import ProcessPool
from gridmill.operations.model import Batch, BatchOutcome, CellError, CellOutcome, CellStatus
from tests.support.task_bench import Bench
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
FIELD = {"name": "sector", "metadata": {"prompt": "The sector of {{company}}"}}


@asynccontextmanager
async def working(bench: Bench) -> AsyncGenerator[None]:
    """A worker that imports too."""
    pool = ProcessPool(1, calls_per_child=1)
    more = {
        **datasource_jobs.handlers(bench.database, bench.engine, pool),
        **dataset_jobs.handlers(bench.database),
    }
    try:
        async with bench.working(more=more):
            yield
    finally:
        await pool.close()


async def upload(bench: Bench, text: str) -> str:
    """A finished data source."""
    files = {"file": ("table.csv", text.encode(), "text/csv")}
    source = await bench.call("POST", "/datasources", 201, files=files)
    path = f"/datasources/{source['datasourceId']}"

    async def completed() -> bool:
        return (await bench.call("GET", path, 200))["status"] == "completed"

    await eventually(completed, timeout=30)
    return source["datasourceId"]


async def make_dataset(bench: Bench, first: str, later: str) -> dict[str, Any]:
    """A dataset that has the rows of one source and is linked to another."""
    body = {
        "type": "enrichment",
        "name": "companies",
        "datasourceId": await upload(bench, first),
        "columns": [FIELD],
    }
    dataset = await bench.call("POST", "/datasets", 201, json=body)
    path = f"/datasets/{dataset['datasetId']}"

    async def completed() -> bool:
        return (await bench.call("GET", path, 200))["status"] == "completed"

    await eventually(completed, timeout=30)
    sources = {"datasourceIds": [await upload(bench, later)]}
    return await bench.call("PATCH", path, 200, json=sources)


async def read_rows(bench: Bench, dataset: Mapping[str, Any]) -> list[list[Any]]:
    path = f"/datasets/{dataset['datasetId']}/data"
    return (await bench.call("GET", path, 200, params={"cells": "values"}))["data"]


async def test_unread_records_become_rows_and_their_cells_are_filled(bench: Bench) -> None:
    async with working(bench):
        dataset = await make_dataset(bench, "company\nA\nB\n", "company\nC\nD\nE\n")
        path = f"/datasets/{dataset['datasetId']}/tasks"
        body = {"type": "new-rows", "rowCount": 2}
        found = await bench.call("POST", f"{path}/estimate", 200, json=body)
        assert (found["cells"], found["rows"], found["requests"]) == (2, 2, 2)
        task = await bench.call("POST", f"{path}/new-rows", 202, json={"rowCount": 2})
        assert (task["type"], task["progress"]["unit"]) == ("new-rows", "rows")
        done = await bench.wait_for(task)
        assert done["status"] == "completed"
        assert (done["progress"]["total"], done["progress"]["completed"]) == (2, 2)
        assert (done["results"]["rowsCreated"], done["results"]["cellsWritten"]) == (2, 2)
        assert await read_rows(bench, dataset) == [
            ["A", None],
            ["B", None],
            ["C", "sector/3"],
            ["D", "sector/4"],
        ]
        # The total shrinks to what exists, and then there is nothing left.
        more = await bench.wait_for(
            await bench.call("POST", f"{path}/new-rows", 202, json={"rowCount": 100})
        )
        assert more["progress"]["total"] == more["results"]["rowsCreated"] == 1
        reply = await bench.call("POST", f"{path}/new-rows", 422, json={"rowCount": 1})
        assert reply["code"] == "INVALID_TASK_FOR_DATASET"
        # Undoing takes the rows away; a record that was taken does not come back.
        revert = f"{path}/{done['taskId']}/revert"
        assert (await bench.call("POST", revert, 200))["rowsDeleted"] == 2
        assert [row[0] for row in await read_rows(bench, dataset)] == ["A", "B", "E"]


async def test_new_rows_stay_within_the_rows_that_a_workspace_may_hold(bench: Bench) -> None:
    async with working(bench):
        dataset = await make_dataset(bench, "company\nA\nB\n", "company\nC\nD\nE\n")
    path = f"/datasets/{dataset['datasetId']}/tasks/new-rows"
    bench.registry[DatasetLimits] = DatasetLimits(rows=4)
    reply = await bench.call("POST", path, 429, json={"rowCount": 3})
    assert reply["code"] == "QUOTA_EXCEEDED"
    assert reply["details"] == {"quota": "rows", "limit": 4}
    # Two more fit when the task is made, and no longer when it is planned.
    task = await bench.call("POST", path, 202, json={"rowCount": 2})
    other = await bench.make_dataset([], {"a": TaskType.NONE})
    rows = {"rows": [{"a": "x"}]}
    await bench.call("POST", f"/datasets/{other.dataset_id}/rows", 201, json=rows)
    async with bench.working():
        done = await bench.wait_for(task)
        assert (done["status"], done["error"]["code"]) == ("failed", "QUOTA_EXCEEDED")
        assert await read_rows(bench, dataset) == [["A", None], ["B", None]]
        # The dataset is free, and what fits is taken.
        more = await bench.wait_for(await bench.call("POST", path, 202, json={"rowCount": 1}))
    assert more["results"]["rowsCreated"] == 1
    assert [row[0] for row in await read_rows(bench, dataset)] == ["A", "B", "C"]


async def test_new_rows_are_read_as_at_an_import_or_not_taken(bench: Bench) -> None:
    async with working(bench):
        later = 'company,size\nC,"1,234"\nD,abc\n'
        dataset = await make_dataset(bench, "company,size\nA,1\n", later)
        path = f"/datasets/{dataset['datasetId']}"
        task = await bench.call("POST", f"{path}/tasks/new-rows", 202, json={"rowCount": 2})
        failed = await bench.wait_for(task)
        assert (failed["status"], failed["error"]["code"]) == ("failed", "VALUE_MISMATCH")
        assert "table.csv, record 2, column 'size': 'abc'" in failed["error"]["message"]
        assert failed["results"]["rowsCreated"] == 0
        assert await read_rows(bench, dataset) == [["A", 1, None]]
        task = await bench.call("POST", f"{path}/tasks/new-rows", 202, json={"rowCount": 1})
        assert (await bench.wait_for(task))["results"]["rowsCreated"] == 1
        assert (await read_rows(bench, dataset))[1][:2] == ["C", 1234]
        # A column by another name takes nothing, so that the rest can be had.
        columns = (await bench.call("GET", path, 200))["columns"]
        (size,) = [column["columnId"] for column in columns if column["name"] == "size"]
        await bench.call("PATCH", f"{path}/columns/{size}", 200, json={"name": "staff"})
        task = await bench.call("POST", f"{path}/tasks/new-rows", 202, json={"rowCount": 1})
        assert (await bench.wait_for(task))["results"]["rowsCreated"] == 1
        assert (await read_rows(bench, dataset))[2][0] == "D"


async def test_a_row_whose_cells_all_fail_counts_as_failed(bench: Bench) -> None:
    async def answer(batch: Batch) -> BatchOutcome:
        fault = CellError("PROVIDER_TIMEOUT", "too slow", retryable=True)
        return BatchOutcome(
            [
                CellOutcome(row.row_no, number, CellStatus.ERROR, error=fault)
                if row.values["company"] == "C"
                else CellOutcome(row.row_no, number, CellStatus.NEEDS_REVIEW, "x", 0.4)
                for row in batch.rows
                for number in row.wanted
            ]
        )

    bench.operation.answer = answer
    async with working(bench):
        dataset = await make_dataset(bench, "company\nA\n", "company\nC\nD\nE\n")
        path = f"/datasets/{dataset['datasetId']}/tasks/new-rows"
        done = await bench.wait_for(await bench.call("POST", path, 202, json={"rowCount": 9}))
    assert done["progress"] == {
        "unit": "rows",
        "total": 3,
        "completed": 2,
        "failed": 1,
        "skipped": 0,
        "needsReview": 2,
        "percentage": 100.0,
    }
    assert done["results"] == {
        "rowsCreated": 3,
        "cellsWritten": 2,
        "cellsFailed": 1,
        "cellsNeedingReview": 2,
        "cellsSkipped": 0,
    }
