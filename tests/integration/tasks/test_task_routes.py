"""The routes of tasks: what they refuse, list, estimate, retry, undo and report."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from gridmill.datasets import service as datasets
from gridmill.datasets.model import DatasetType, TaskType
from gridmill.operations.model import Batch, BatchOutcome, CellError, CellOutcome, CellStatus
from gridmill.tasks.model import TaskLimits
from tests.support.task_bench import Bench, fill_with_names

pytestmark = pytest.mark.integration


async def fail_odd_rows(batch: Batch) -> BatchOutcome:
    fault = CellError("PROVIDER_TIMEOUT", "too slow", retryable=True)
    found = await fill_with_names(batch)
    cells = [
        CellOutcome(cell.row_no, cell.column_no, CellStatus.ERROR, error=fault)
        if cell.row_no % 2
        else cell
        for cell in found.cells
    ]
    return BatchOutcome(cells, found.usage)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"cellIds": []}, 422, "INVALID_SELECTION"),
        ({"rowIds": ["nonsense"]}, 422, "INVALID_SELECTION"),
        ({"rowIds": ["{key}r4"]}, 422, "INVALID_SELECTION"),
        ({"cellIds": ["{key}r4c2"]}, 422, "INVALID_SELECTION"),
        ({"cellIds": ["{key}r1c2"], "rowIds": ["{key}r1"]}, 422, "INVALID_SELECTION"),
        ({"columnIds": ["{key}c1"]}, 422, "INVALID_SELECTION"),
        ({"webhookId": "any"}, 404, "WEBHOOK_NOT_FOUND"),
        ({"webhookId": 1}, 422, "VALIDATION_ERROR"),
        ({"unknown": 1}, 422, "VALIDATION_ERROR"),
        ({"processOnlyEmpty": "true"}, 422, "VALIDATION_ERROR"),
        ({"rowIds": [1]}, 422, "VALIDATION_ERROR"),
        ({"rowIds": "x"}, 422, "VALIDATION_ERROR"),
        ({"model": "no-provider"}, 422, "VALIDATION_ERROR"),
        ({"budget": {"maxTokens": 1.5}}, 422, "VALIDATION_ERROR"),
        ({"budget": {"maxTokens": True}}, 422, "VALIDATION_ERROR"),
        ({"budget": {"maxCostUsd": -1}}, 422, "VALIDATION_ERROR"),
        ({"budget": {"other": 1}}, 422, "VALIDATION_ERROR"),
    ],
)
async def test_a_bulk_body_is_refused_for_what_it_says(
    bench: Bench, body: dict[str, Any], status: int, code: str
) -> None:
    dataset = await bench.companies(3)
    asked = {
        name: [str(i).replace("{key}", dataset.key) if isinstance(i, str) else i for i in said]
        if isinstance(said, list)
        else said
        for name, said in body.items()
    }
    path = f"/datasets/{dataset.dataset_id}/tasks/bulk"
    reply = await bench.call("POST", path, status, json=asked)
    assert reply["code"] == code
    # A refused body never takes the lock.
    assert await bench.holder(dataset) is None
    # 404 and 422 come before 409.
    await bench.start_bulk(dataset)
    assert (await bench.call("POST", path, status, json=asked))["code"] == code
    path = f"/datasets/{uuid4()}/tasks/bulk"
    assert (await bench.call("POST", path, 404, json=asked))["code"] == "DATASET_NOT_FOUND"


async def test_null_fields_count_as_omitted(bench: Bench) -> None:
    dataset = await bench.companies(3)
    body = dict.fromkeys(
        ["cellIds", "columnIds", "rowIds", "processOnlyEmpty", "webhookId", "budget", "model"]
    )
    reply = await bench.http.post(f"/datasets/{dataset.dataset_id}/tasks/bulk", json=body)
    assert reply.status_code == 202
    task = reply.json()
    expected = f"/api/v2/datasets/{dataset.dataset_id}/tasks/{task['taskId']}"
    assert reply.headers["location"] == expected
    assert task["request"] == {"processOnlyEmpty": True}


async def test_a_bulk_call_without_a_body_asks_for_every_empty_cell(bench: Bench) -> None:
    dataset = await bench.companies(3)
    path = f"/datasets/{dataset.dataset_id}/tasks"
    task = await bench.call("POST", f"{path}/bulk", 202)
    assert task["request"] == {"processOnlyEmpty": True}
    # Only no body at all: a type or a text that is none of JSON's is still refused.
    for content, kind in ((b"x", "application/json"), (b"{}", "text/plain")):
        headers = {"Content-Type": kind}
        reply = await bench.http.post(f"{path}/bulk", content=content, headers=headers)
        assert reply.status_code in {400, 415, 422}
    assert (await bench.http.post(f"{path}/new-rows")).status_code in {415, 422}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "VALIDATION_ERROR"),
        ({"rowCount": 0}, 422, "VALIDATION_ERROR"),
        ({"rowCount": 10_001}, 422, "VALIDATION_ERROR"),
        ({"rowCount": "5"}, 422, "VALIDATION_ERROR"),
        ({"rowCount": 5, "webhookId": "x"}, 404, "WEBHOOK_NOT_FOUND"),
        ({"rowCount": 5}, 422, "INVALID_TASK_FOR_DATASET"),
        ({"rowCount": 5, "allowGenerated": False}, 422, "INVALID_TASK_FOR_DATASET"),
    ],
)
async def test_new_rows_need_something_to_be_made_from(
    bench: Bench, body: dict[str, Any], status: int, code: str
) -> None:
    dataset = await bench.companies(1)
    path = f"/datasets/{dataset.dataset_id}/tasks/new-rows"
    assert (await bench.call("POST", path, status, json=body))["code"] == code


@pytest.mark.parametrize("kind", [DatasetType.EXTRACTION, DatasetType.MAP, DatasetType.GENERATION])
async def test_a_dataset_whose_operation_is_missing_takes_no_task(
    bench: Bench, kind: DatasetType
) -> None:
    dataset = await bench.make_dataset([], {"a": TaskType(kind.value)}, type=kind)
    for body, form in (({}, "bulk"), ({"rowCount": 1}, "new-rows")):
        path = f"/datasets/{dataset.dataset_id}/tasks/{form}"
        reply = await bench.call("POST", path, 422, json=body)
        assert reply["code"] == "INVALID_TASK_FOR_DATASET"


@pytest.mark.parametrize("kind", [DatasetType.EXTRACTION, DatasetType.MAP, DatasetType.GENERATION])
async def test_a_bulk_task_goes_by_the_columns_of_a_dataset(
    bench: Bench, kind: DatasetType
) -> None:
    columns = {"name": TaskType.NONE, "sector": TaskType.ENRICHMENT}
    dataset = await bench.make_dataset([{"name": "a"}], columns, type=kind)
    async with bench.working():
        task = await bench.wait_for(await bench.start_bulk(dataset))
    assert (task["operation"], task["results"]["cellsWritten"]) == (kind.value, 1)


async def test_a_workspace_may_have_so_many_open_tasks(bench: Bench) -> None:
    bench.registry[TaskLimits] = TaskLimits(open_tasks=2)
    made = [await bench.companies(1) for _ in range(8)]
    paths = [f"/datasets/{dataset.dataset_id}/tasks/bulk" for dataset in made]
    replies = await asyncio.gather(*(bench.call("POST", path, json={}) for path in paths))
    assert sorted(reply["_status"] for reply in replies) == [202] * 2 + [429] * 6
    refused = next(reply for reply in replies if reply["_status"] == 429)
    assert refused["code"] == "QUOTA_EXCEEDED"
    assert refused["details"] == {"quota": "openTasks", "limit": 2}
    assert len([None for dataset in made if await bench.holder(dataset)]) == 2


async def test_a_workspace_may_spend_so_many_tokens_a_month(bench: Bench) -> None:
    dataset = await bench.companies(10)
    async with bench.working():
        await bench.wait_for(await bench.start_bulk(dataset))
    bench.registry[TaskLimits] = TaskLimits(tokens_per_month=110)
    path = f"/datasets/{dataset.dataset_id}/tasks/bulk"
    reply = await bench.call("POST", path, 429, json={})
    assert reply["details"] == {"quota": "tokensPerMonth", "limit": 110}


async def test_tasks_are_listed_newest_first_and_filtered(bench: Bench) -> None:
    dataset, other = await bench.companies(2), await bench.companies(2)
    async with bench.working():
        first = await bench.wait_for(await bench.start_bulk(dataset))
        second = await bench.wait_for(await bench.start_bulk(dataset))
        third = await bench.wait_for(await bench.start_bulk(other))
    ids = [task["taskId"] for task in (third, second, first)]
    found = await bench.call("GET", "/tasks", 200)
    assert [task["taskId"] for task in found["tasks"]] == ids
    path = f"/datasets/{dataset.dataset_id}/tasks"
    found = await bench.call("GET", path, 200, params={"limit": 1})
    assert [task["taskId"] for task in found["tasks"]] == ids[1:2]
    assert found["pagination"]["total"] == 2
    cursor = found["pagination"]["nextCursor"]
    found = await bench.call("GET", path, 200, params={"limit": 1, "cursor": cursor})
    assert [task["taskId"] for task in found["tasks"]] == ids[2:]
    assert found["pagination"]["nextCursor"] is None
    for query, count in (("status=completed", 3), ("status=failed", 0), ("type=new-rows", 0)):
        assert (await bench.call("GET", f"/tasks?{query}", 200))["pagination"]["total"] == count
    for query in ("status=odd", "type=x", "page=0", "limit=101", "cursor=x", "page=1&page=2"):
        assert (await bench.call("GET", f"/tasks?{query}", 422))["code"] == "VALIDATION_ERROR"


async def test_a_task_is_found_under_its_own_dataset_only(bench: Bench) -> None:
    dataset, other = await bench.companies(1), await bench.companies(1)
    task = await bench.start_bulk(dataset)
    base = f"/datasets/{other.dataset_id}/tasks"
    for task_id in (task["taskId"], str(uuid4()), "x"):
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("POST", "/revert"),
            ("GET", "/report"),
            ("GET", "/events"),
        ):
            reply = await bench.call(method, f"{base}/{task_id}{path}", 404)
            assert reply["code"] == "TASK_NOT_FOUND"


async def test_a_retry_takes_just_the_cells_that_failed(bench: Bench) -> None:
    bench.operation.answer = fail_odd_rows
    dataset = await bench.companies(20)
    async with bench.working():
        first = await bench.wait_for(await bench.start_bulk(dataset))
        assert first["results"]["cellsFailed"] == 10
        path = f"/datasets/{dataset.dataset_id}/tasks/{first['taskId']}/retry"
        bench.operation.answer = fill_with_names
        bench.operation.batches.clear()
        second = await bench.wait_for(await bench.call("POST", path, 202))
        assert second["status"] == "completed"
        assert second["progress"]["total"] == second["progress"]["completed"] == 10
        asked = {row.row_no for batch in bench.operation.batches for row in batch.rows}
        assert asked == set(range(1, 21, 2))
    values = await bench.values(dataset, 2)
    assert values == {n: f"sector/{n}" for n in range(1, 21)}


async def test_a_retry_with_nothing_failed_has_nothing_to_do(bench: Bench) -> None:
    dataset = await bench.companies(2)
    async with bench.working():
        first = await bench.wait_for(await bench.start_bulk(dataset))
        path = f"/datasets/{dataset.dataset_id}/tasks/{first['taskId']}/retry"
        second = await bench.wait_for(await bench.call("POST", path, 202))
    assert (second["status"], second["progress"]["total"]) == ("completed", 0)
    assert await bench.holder(dataset) is None


async def test_a_retry_of_an_open_task_answers_that_the_dataset_is_locked(bench: Bench) -> None:
    dataset = await bench.companies(1)
    task = await bench.start_bulk(dataset)
    base = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}"
    for path in ("/retry", "/revert"):
        reply = await bench.call("POST", base + path, 409)
        assert reply["code"] == "DATASET_LOCKED"
        assert reply["details"] == {"taskId": task["taskId"]}


async def test_a_revert_undoes_a_task_but_for_what_was_written_since(bench: Bench) -> None:
    dataset = await bench.companies(4)
    async with bench.working():
        task = await bench.wait_for(await bench.start_bulk(dataset))
    async with bench.database.transaction() as tx:
        await datasets.edit_cell(tx, bench.principal, dataset, f"{dataset.key}r2c2", "mine")
    path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}/revert"
    reply = await bench.call("POST", path, 200)
    assert {n: v for n, v in reply.items() if n != "_status"} == {
        "cellsReverted": 3,
        "rowsDeleted": 0,
        "cellsLeft": 1,
    }
    values = {1: None, 2: "mine", 3: None, 4: None}
    assert await bench.values(dataset, 2) == values
    # A second one finds nothing to do, and does not take its own doing for someone else's.
    for edit, left in ((None, 1), ("r3", 1), ("reset", 1)):
        async with bench.database.transaction() as tx:
            if edit == "r3":
                cell = f"{dataset.key}r3c2"
                await datasets.edit_cell(tx, bench.principal, dataset, cell, "later")
            elif edit == "reset":
                column = f"{dataset.key}c2"
                await datasets.reset_task_type(
                    tx, bench.principal, dataset, column, task_type=TaskType.ENRICHMENT
                )
        again = await bench.call("POST", path, 200)
        counts = (again["cellsReverted"], again["rowsDeleted"], again["cellsLeft"])
        assert counts == (0, 0, left)
    assert set((await bench.values(dataset, 2)).values()) == {None}


async def test_a_report_counts_cells_by_status_error_and_confidence(bench: Bench) -> None:
    bench.operation.answer = fail_odd_rows
    dataset = await bench.companies(10)
    async with bench.working():
        task = await bench.wait_for(await bench.start_bulk(dataset))
    path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}/report"
    report = await bench.call("GET", path, 200)
    assert report["cellsByStatus"] == {"ok": 5, "needs_review": 0, "error": 5}
    assert report["cellsByError"] == {"PROVIDER_TIMEOUT": 5}
    assert report["confidence"]["cells"] == 5
    assert report["confidence"]["mean"] == 0.9
    bins = {one["from"]: one["cells"] for one in report["confidence"]["histogram"]}
    assert bins[0.9] == 5
    assert sum(bins.values()) == 5


async def test_usage_is_told_by_day(bench: Bench) -> None:
    dataset = await bench.companies(10)
    async with bench.working():
        task = await bench.wait_for(await bench.start_bulk(dataset))
    usage = await bench.call("GET", "/usage", 200)
    day = {
        "date": task["createdAt"][:10],
        "tasks": 1,
        "cells": 10,
        "requests": 10,
        "cachedRequests": 0,
        "promptTokens": 100,
        "completionTokens": 10,
        "costUsd": 0.01,
    }
    assert usage["days"] == [day]
    assert usage["total"] == {name: value for name, value in day.items() if name != "date"}
    found = await bench.call("GET", "/usage?from=2001-01-01&to=2001-12-31", 200)
    assert found["days"] == []
    for query in ("from=2026-02-30", "from=x", "from=2026-01-02&to=2026-01-01", "days=1"):
        assert (await bench.call("GET", f"/usage?{query}", 422))["code"] == "VALIDATION_ERROR"


async def test_a_cost_that_is_not_known_is_null_in_the_task_its_day_and_the_total(
    bench: Bench,
) -> None:
    priced, unpriced = await bench.companies(10), await bench.companies(30)
    async with bench.working():
        known = await bench.wait_for(await bench.start_bulk(priced))

        async def lose_one_price(batch: Batch) -> BatchOutcome:
            filled = await fill_with_names(batch)
            cost = None if batch.rows[0].row_no == 1 else filled.usage.cost_usd
            return replace(filled, usage=replace(filled.usage, cost_usd=cost))

        bench.operation.answer = lose_one_price
        unknown = await bench.wait_for(await bench.start_bulk(unpriced))
    assert known["usage"]["costUsd"] == 0.01
    assert unknown["usage"]["requests"] == 30
    assert unknown["usage"]["costUsd"] is None
    usage = await bench.call("GET", "/usage", 200)
    assert usage["total"]["requests"] == 40
    assert usage["total"]["costUsd"] is None
    days = {day["date"]: day["costUsd"] for day in usage["days"]}
    assert days[unknown["createdAt"][:10]] is None


@pytest.mark.parametrize(
    ("body", "cells", "rows"),
    [
        ({}, 99, 99),
        ({"processOnlyEmpty": False}, 100, 100),
        ({"columnIds": ["{key}c2"]}, 99, 99),
        ({"rowIds": ["{key}r2", "{key}r9"]}, 2, 2),
        ({"cellIds": ["{key}r1c2", "{key}r2c2"]}, 1, 1),
    ],
)
async def test_an_estimate_counts_cells_and_scales_a_sample(
    bench: Bench, body: dict[str, Any], cells: int, rows: int
) -> None:
    dataset = await bench.make_dataset(
        [{"company": "A", "sector": "known"}, *({"company": f"C{n}"} for n in range(99))],
        {"company": TaskType.NONE, "sector": TaskType.ENRICHMENT},
    )
    asked = {
        name: [text.replace("{key}", dataset.key) for text in said]
        if isinstance(said, list)
        else said
        for name, said in body.items()
    }
    path = f"/datasets/{dataset.dataset_id}/tasks/estimate"
    found = await bench.call("POST", path, 200, json={"type": "bulk", **asked})
    assert {name: value for name, value in found.items() if name != "_status"} == {
        "cells": cells,
        "rows": rows,
        "requests": cells,
        "promptTokens": 100 * cells,
        "completionTokens": 10 * cells,
        "costUsd": pytest.approx(0.01 * cells),
    }
    assert await bench.holder(dataset) is None
    assert bench.operation.batches == []


async def test_an_estimate_works_while_a_task_holds_the_dataset(bench: Bench) -> None:
    dataset = await bench.companies(3)
    await bench.start_bulk(dataset)
    path = f"/datasets/{dataset.dataset_id}/tasks/estimate"
    assert (await bench.call("POST", path, 200, json={"type": "bulk"}))["cells"] == 3


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "VALIDATION_ERROR"),
        ({"type": "odd"}, "VALIDATION_ERROR"),
        ({"type": "bulk", "rowCount": 3}, "VALIDATION_ERROR"),
        ({"type": "new-rows"}, "VALIDATION_ERROR"),
        ({"type": "new-rows", "rowCount": 3, "rowIds": ["x"]}, "VALIDATION_ERROR"),
        ({"type": "new-rows", "rowCount": 3}, "INVALID_TASK_FOR_DATASET"),
        ({"type": "bulk", "rowIds": []}, "INVALID_SELECTION"),
    ],
)
async def test_an_estimate_refuses_what_the_task_would(
    bench: Bench, body: dict[str, Any], code: str
) -> None:
    dataset = await bench.companies(1)
    path = f"/datasets/{dataset.dataset_id}/tasks/estimate"
    assert (await bench.call("POST", path, 422, json=body))["code"] == code
