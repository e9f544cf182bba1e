"""Bulk tasks from creation to their end."""

import asyncio
import json

import pytest

from gridmill.datasets import service as datasets
from gridmill.datasets.model import ColumnMetadata, TaskType
from gridmill.operations.model import Batch, BatchOutcome, CellError, CellOutcome, CellStatus
from gridmill.providers.llm.errors import ProviderRefused
from gridmill.providers.llm.model import Usage
from tests.support.task_bench import Bench, fill_with_names
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


async def test_a_task_fills_every_empty_cell_and_frees_its_dataset(bench: Bench) -> None:
    dataset = await bench.companies(25)
    async with bench.working():
        task = await bench.start_bulk(dataset)
        assert task["status"] == "queued"
        assert task["progress"]["unit"] == "cells"
        done = await bench.wait_for(task)
    assert done["status"] == "completed"
    assert done["progress"] == {
        "unit": "cells",
        "total": 25,
        "completed": 25,
        "failed": 0,
        "skipped": 0,
        "needsReview": 0,
        "percentage": 100.0,
    }
    assert done["results"]["cellsWritten"] == 25
    assert done["usage"] == {
        "requests": 25,
        "cachedRequests": 0,
        "promptTokens": 250,
        "completionTokens": 25,
        "costUsd": 0.025,
    }
    assert done["durationMs"] >= 0
    assert await bench.values(dataset, 2) == {n: f"sector/{n}" for n in range(1, 26)}
    assert await bench.holder(dataset) is None
    assert len(bench.operation.batches) == 3


async def test_a_cell_says_where_its_value_comes_from(bench: Bench) -> None:
    dataset = await bench.companies(1)
    async with bench.working():
        task = await bench.wait_for(await bench.start_bulk(dataset))
    metadata = dict(await bench.metadata(dataset, 1, 2))
    assert metadata.pop("generatedAt").endswith("Z")
    assert metadata == {
        "status": "ok",
        "confidence": 0.9,
        "confidenceFactors": None,
        "sources": [],
        "provider": "fake",
        "model": "fake-1",
        "operation": "data_enrichment",
        "taskId": task["taskId"],
        "error": None,
        "hiddenText": None,
    }


async def test_a_task_with_nothing_to_do_completes_with_total_0(bench: Bench) -> None:
    dataset = await bench.make_dataset(
        [{"company": "A", "sector": "known"}],
        {"company": TaskType.NONE, "sector": TaskType.ENRICHMENT},
    )
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset))
    assert done["status"] == "completed"
    assert done["progress"]["total"] == 0
    assert done["progress"]["percentage"] == 100.0
    assert bench.operation.batches == []


async def test_filled_cells_that_are_named_count_as_skipped(bench: Bench) -> None:
    dataset = await bench.make_dataset(
        [{"company": "A", "sector": "known"}, {"company": "B"}, {"company": "C", "sector": " "}],
        {"company": TaskType.NONE, "sector": TaskType.ENRICHMENT},
    )
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset, columnIds=[f"{dataset.key}c2"]))
    assert done["progress"]["total"] == 3
    assert done["progress"]["completed"] == 2
    assert done["progress"]["skipped"] == 1
    assert (await bench.values(dataset, 2))[1] == "known"


async def test_asking_again_for_every_cell_refreshes_filled_ones(bench: Bench) -> None:
    dataset = await bench.make_dataset(
        [{"company": "A", "sector": "known"}, {"company": "B"}],
        {"company": TaskType.NONE, "sector": TaskType.ENRICHMENT},
    )
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset, processOnlyEmpty=False))
    assert done["progress"]["completed"] == 2
    assert bench.operation.batches[0].refresh
    assert await bench.values(dataset, 2) == {1: "sector/1", 2: "sector/2"}


async def test_cells_that_fail_keep_their_value_and_do_not_fail_the_task(bench: Bench) -> None:
    async def answer(batch: Batch) -> BatchOutcome:
        found = await fill_with_names(batch)
        cells = list(found.cells)
        fault = CellError("INVALID_REPLY", "no JSON", retryable=True)
        unknown = CellError("MODEL_REQUIRED", "no model")
        cells[0] = CellOutcome(1, 2, CellStatus.ERROR, error=fault)
        cells[1] = CellOutcome(2, 2, CellStatus.ERROR, error=unknown)
        cells[2] = CellOutcome(3, 2, CellStatus.NEEDS_REVIEW, value="maybe", confidence=0.4)
        return BatchOutcome(cells, found.usage)

    bench.operation.answer = answer
    dataset = await bench.make_dataset(
        [{"company": "A", "sector": "old"}, *({"company": name} for name in "BCD")],
        {"company": TaskType.NONE, "sector": TaskType.ENRICHMENT},
    )
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset, processOnlyEmpty=False))
    assert done["status"] == "completed"
    assert done["results"] == {
        "rowsCreated": 0,
        "cellsWritten": 2,
        "cellsFailed": 1,
        "cellsNeedingReview": 1,
        "cellsSkipped": 1,
    }
    assert await bench.values(dataset, 2) == {1: "old", 2: None, 3: "maybe", 4: "sector/4"}
    error = (await bench.metadata(dataset, 1, 2))["error"]
    assert error == {"code": "INVALID_REPLY", "message": "no JSON", "retryable": True}


async def test_a_task_without_any_success_fails_and_says_why(bench: Bench) -> None:
    async def answer(batch: Batch) -> BatchOutcome:
        fault = CellError("PROVIDER_TIMEOUT", "too slow", retryable=True)
        return BatchOutcome(
            [CellOutcome(row.row_no, 2, CellStatus.ERROR, error=fault) for row in batch.rows]
        )

    bench.operation.answer = answer
    dataset = await bench.companies(12)
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset))
    assert done["status"] == "failed"
    assert done["error"] == {"code": "PROVIDER_TIMEOUT", "message": "too slow"}
    assert done["progress"]["failed"] == 12
    assert await bench.holder(dataset) is None


async def test_a_refused_key_fails_the_whole_task_at_once(bench: Bench) -> None:
    async def answer(batch: Batch) -> BatchOutcome:
        raise ProviderRefused("The key was refused.", usage=Usage(requests=1))

    bench.operation.answer = answer
    dataset = await bench.companies(100)
    async with bench.working(slots=1):
        done = await bench.wait_for(await bench.start_bulk(dataset))
        assert done["status"] == "failed"
        assert done["error"] == {"code": "PROVIDER_REFUSED", "message": "The key was refused."}
        progress = done["progress"]
        assert progress["failed"] == 10
        assert progress["total"] == progress["failed"] + progress["skipped"] == 100
        assert await bench.holder(dataset) is None
        assert len(bench.operation.batches) == 1
        # With a key that works, a retry does what the first one never came to.
        bench.operation.answer = fill_with_names
        path = f"/datasets/{dataset.dataset_id}/tasks/{done['taskId']}/retry"
        again = await bench.wait_for(await bench.call("POST", path, 202))
    assert again["status"] == "completed"
    assert again["progress"]["completed"] == 100


async def test_columns_without_an_operation_get_an_error_and_the_others_are_filled(
    bench: Bench,
) -> None:
    dataset = await bench.make_dataset(
        [{"company": "A"}],
        {
            "company": TaskType.NONE,
            "sector": TaskType.ENRICHMENT,
            "passage": TaskType.EXTRACTION,
        },
    )
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset))
    assert done["status"] == "completed"
    assert (done["progress"]["completed"], done["progress"]["failed"]) == (1, 1)
    assert (await bench.metadata(dataset, 1, 3))["error"]["code"] == "OPERATION_UNAVAILABLE"


async def test_a_batch_that_never_succeeds_gives_its_cells_an_error_and_the_task_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmill.tasks.jobs.MAX_ATTEMPTS", 2)

    async def answer(batch: Batch) -> BatchOutcome:
        if batch.rows[0].row_no == 1:
            raise RuntimeError("a fault of ours")
        return await fill_with_names(batch)

    bench.operation.answer = answer
    dataset = await bench.companies(20)
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset))
    assert done["status"] == "completed"
    assert (done["progress"]["completed"], done["progress"]["failed"]) == (10, 10)
    error = (await bench.metadata(dataset, 1, 2))["error"]
    assert (error["code"], error["retryable"]) == ("INTERNAL_ERROR", True)
    assert "fault of ours" not in error["message"]


async def test_a_budget_stops_cleanly_and_keeps_what_is_done(bench: Bench) -> None:
    async def answer(batch: Batch) -> BatchOutcome:
        assert batch.budget is not None
        found = await fill_with_names(batch)
        if batch.rows[0].row_no < 11:
            return found
        cells = [CellOutcome(row.row_no, 2, CellStatus.SKIPPED) for row in batch.rows[1:]] + list(
            found.cells[:1]
        )
        return BatchOutcome(cells, found.usage, stopped_by="budget")

    bench.operation.answer = answer
    dataset = await bench.companies(50)
    async with bench.working():
        done = await bench.wait_for(
            await bench.start_bulk(dataset, budget={"maxTokens": 1000, "maxCostUsd": 1.5})
        )
    assert done["status"] == "completed"
    assert done["results"]["stoppedBy"] == "budget"
    assert done["progress"]["completed"] == 11
    assert done["progress"]["skipped"] == 39
    # 10 of the first batch and one of the second; what the stop left is skipped, and not done.
    assert done["progress"]["percentage"] == 22.0
    path = f"/datasets/{dataset.dataset_id}/tasks/{done['taskId']}/events"
    lines = (await bench.http.get(path)).text.splitlines()
    told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [one["percentage"] for one in told[:-1]] == [0.0, 0.0, 20.0, 22.0]
    assert told[-1]["progress"]["percentage"] == 22.0
    assert await bench.holder(dataset) is None


async def test_batches_of_a_task_with_a_budget_run_one_after_another(bench: Bench) -> None:
    running = 0

    async def answer(batch: Batch) -> BatchOutcome:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.02)
        running -= 1
        return await fill_with_names(batch)

    bench.operation.answer = answer
    dataset = await bench.companies(50)
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset, budget={"maxTokens": 10**9}))
    assert done["progress"]["completed"] == 50


async def test_several_batches_of_a_task_run_at_once(bench: Bench) -> None:
    together = asyncio.Barrier(4)

    async def answer(batch: Batch) -> BatchOutcome:
        await together.wait()
        return await fill_with_names(batch)

    bench.operation.answer = answer
    dataset = await bench.companies(40)
    async with bench.working(slots=4):
        done = await bench.wait_for(await bench.start_bulk(dataset))
    assert done["progress"]["completed"] == 40


async def test_read_only_columns_are_left_alone_unless_they_are_named(bench: Bench) -> None:
    dataset = await bench.make_dataset(
        [{"company": "A"}],
        {"company": TaskType.ENRICHMENT, "sector": TaskType.ENRICHMENT},
        metadata={"sector": ColumnMetadata(read_only=True)},
    )
    path = f"/datasets/{dataset.dataset_id}/tasks/bulk"
    reply = await bench.call("POST", path, 422, json={"columnIds": [f"{dataset.key}c2"]})
    assert reply["code"] == "INVALID_SELECTION"
    reply = await bench.call("POST", path, 422, json={"cellIds": [f"{dataset.key}r1c2"]})
    assert reply["code"] == "INVALID_SELECTION"
    async with bench.working():
        done = await bench.wait_for(await bench.start_bulk(dataset, rowIds=[f"{dataset.key}r1"]))
    assert done["progress"]["total"] == 1
    assert done["progress"]["skipped"] == 1


async def test_every_batch_gets_the_same_examples_with_vouched_rows_first(bench: Bench) -> None:
    dataset = await bench.make_dataset(
        [{"company": "A", "sector": "x" * 5_000}, *({"company": f"C{n}"} for n in range(30))],
        {"company": TaskType.NONE, "sector": TaskType.ENRICHMENT},
    )
    async with bench.database.transaction() as tx:
        await datasets.edit_cell(tx, bench.principal, dataset, f"{dataset.key}r9c2", "mine")
    async with bench.working():
        await bench.wait_for(await bench.start_bulk(dataset))
    given = [batch.examples for batch in bench.operation.batches]
    assert len(given) == 3
    assert given[0] == given[1] == given[2]
    assert [(row.row_no, row.values["sector"]) for row in given[0]] == [
        (9, "mine"),
        (1, "x" * 2_000),
    ]
    assert given[0][0].vouched == {"sector"}


async def test_a_queued_task_waits_for_a_worker(bench: Bench) -> None:
    dataset = await bench.companies(1)
    task = await bench.start_bulk(dataset)
    assert (await bench.read_task(task))["status"] == "queued"
    async with bench.working():
        await eventually(lambda: bench.operation.batches)
        await bench.wait_for(task)
