"""Rows that batches make: written once or not at all, counted as they come, undone as a whole."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Dataset, DatasetLimits, DatasetType, TaskType
from gridmill.kit.ids import encode_row
from gridmill.operations.model import (
    Batch,
    BatchOutcome,
    CellError,
    CellOutcome,
    CellStatus,
    MadeRows,
    NewRow,
    Order,
)
from gridmill.providers.llm.errors import ProviderRefused
from gridmill.tasks import new_rows
from gridmill.tasks.model import BatchKey
from gridmill.tasks.planning import plan_task
from gridmill.tasks.run import BatchRunner
from tests.support.row_making import OrderingPlanner, ScriptedMaker, name_records
from tests.support.task_bench import Bench, fill_with_names

pytestmark = pytest.mark.integration


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> OrderingPlanner:
    made = OrderingPlanner()
    monkeypatch.setitem(new_rows.PLANNERS, DatasetType.MAP, made)
    return made


@pytest.fixture
def maker(bench: Bench, planner: OrderingPlanner) -> ScriptedMaker:
    made = ScriptedMaker()
    bench.operations = replace(bench.operations, makers={DatasetType.MAP: made})
    bench.registry[type(bench.operations)] = bench.operations
    return made


async def make_places(bench: Bench, **columns: TaskType) -> Dataset:
    return await bench.make_dataset([], columns or {"name": TaskType.MAP}, type=DatasetType.MAP)


async def start(bench: Bench, dataset: Dataset, rows: int, **body: Any) -> dict[str, Any]:
    path = f"/datasets/{dataset.dataset_id}/tasks/new-rows"
    return await bench.call("POST", path, 202, json={"rowCount": rows, **body})


async def plan(bench: Bench, dataset: Dataset, rows: int) -> tuple[dict[str, Any], list[BatchKey]]:
    """A planned task without a worker."""
    task = await start(bench, dataset, rows)
    task_id = UUID(task["taskId"])
    async with bench.database.transaction() as tx:
        await plan_task(tx, bench.engine, bench.operations, task_id)
    return task, [BatchKey(task_id, number + 1) for number in range(-(-rows // 2))]


async def read_origins(bench: Bench, dataset: Dataset, rows: int) -> dict[int, int]:
    async with bench.database.transaction() as tx:
        found = await datasets.find_records(tx, dataset, range(1, rows + 1))
    return {row_no: one.record for row_no, one in found.items()}


async def test_ordered_rows_are_made_and_known_by_their_records(
    bench: Bench, maker: ScriptedMaker
) -> None:
    dataset = await make_places(bench)
    async with bench.working(slots=1):
        done = await bench.wait_for(await start(bench, dataset, 5))
    assert done["status"] == "completed"
    assert done["progress"]["total"] == done["progress"]["completed"] == 5
    assert (done["results"]["rowsCreated"], done["results"]["cellsWritten"]) == (5, 5)
    assert done["usage"]["requests"] == 3
    assert "message" not in done["results"]
    values = await bench.values(dataset, 1)
    assert list(values) == [1, 2, 3, 4, 5]
    assert sorted(filter(None, values.values())) == [f"record {number}" for number in range(1, 6)]
    origins = await read_origins(bench, dataset, 5)
    assert {row: f"record {record}" for row, record in origins.items()} == values
    metadata = await bench.metadata(dataset, 1, 1)
    assert (metadata["status"], metadata["taskId"]) == ("ok", done["taskId"])
    assert metadata["operation"] == "map_extraction"
    assert await bench.count_history(dataset) == 5
    assert {len(order.items) for order in maker.orders} == {1, 2}


async def test_what_is_not_the_makers_is_filled_by_the_columns_operation(
    bench: Bench, maker: ScriptedMaker
) -> None:
    async def answer(batch: Batch) -> BatchOutcome:
        found = await fill_with_names(batch)
        cited = {row.row_no: {"kind": "dataset", "rowIds": [row.row_id]} for row in batch.rows}
        return replace(
            found, cells=[replace(cell, sources=[cited[cell.row_no]]) for cell in found.cells]
        )

    bench.operation.answer = answer
    dataset = await make_places(bench, name=TaskType.MAP, kind=TaskType.ENRICHMENT)
    async with bench.working():
        done = await bench.wait_for(await start(bench, dataset, 3))
    assert done["results"]["cellsWritten"] == 6
    assert {order.wanted for order in maker.orders} == {(1,)}
    assert {row.values["name"] for batch in bench.operation.batches for row in batch.rows} == {
        "record 1",
        "record 2",
        "record 3",
    }
    kinds = await bench.values(dataset, 2)
    assert all(kind and kind.startswith("kind/-") for kind in kinds.values())
    metadata = await bench.metadata(dataset, 2, 2)
    assert metadata["operation"] == "data_enrichment"
    # What cites the row itself names it as it is known from now on.
    assert metadata["sources"][0]["rowIds"] == [encode_row(dataset.key, 2)]


async def test_the_total_shrinks_to_what_exists_and_the_reason_is_told_once(
    bench: Bench, maker: ScriptedMaker, planner: OrderingPlanner
) -> None:
    planner.message = "One source was passed over."

    def answer(order: Order) -> MadeRows:
        whole = name_records(order)
        return MadeRows(whole.rows[:1], whole.usage, message="There are no more.")

    maker.answer = answer
    dataset = await make_places(bench)
    async with bench.working():
        done = await bench.wait_for(await start(bench, dataset, 6))
    assert done["progress"]["total"] == done["results"]["rowsCreated"] == 3
    assert done["progress"]["percentage"] == 100.0
    assert done["results"]["message"] == "One source was passed over. There are no more."
    assert list(await bench.values(dataset, 1)) == [1, 2, 3]


async def test_a_task_that_makes_no_row_at_all_completes_with_nothing(
    bench: Bench, maker: ScriptedMaker
) -> None:
    maker.answer = lambda _: MadeRows((), message="Nothing is known here.")
    dataset = await make_places(bench)
    async with bench.working():
        done = await bench.wait_for(await start(bench, dataset, 4))
    assert (done["status"], done["progress"]["total"]) == ("completed", 0)
    assert done["results"]["message"] == "Nothing is known here."
    assert await bench.holder(dataset) is None


async def test_a_making_batch_that_runs_twice_at_once_is_written_once(
    bench: Bench, maker: ScriptedMaker
) -> None:
    both = asyncio.Barrier(2)
    maker.before = both.wait
    dataset = await make_places(bench)
    _, (key,) = await plan(bench, dataset, 2)
    runners = [BatchRunner(bench.database, bench.engine, bench.operations) for _ in range(2)]
    await asyncio.gather(*(runner.run(key) for runner in runners))
    assert len(maker.orders) == 2
    assert list(await bench.values(dataset, 1)) == [1, 2]
    assert await bench.count_history(dataset) == 2
    # Done is done: nothing is made again.
    await runners[0].run(key)
    assert len(maker.orders) == 2


async def test_rows_that_come_after_the_cancel_are_refused(
    bench: Bench, maker: ScriptedMaker
) -> None:
    dataset = await make_places(bench)
    task, keys = await plan(bench, dataset, 4)
    runner = BatchRunner(bench.database, bench.engine, bench.operations)
    await runner.run(keys[0])
    path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}"

    async def cancel() -> None:
        await bench.call("POST", f"{path}/cancel", 200)

    maker.before = cancel
    await runner.run(keys[1])
    done = await bench.read_task(task)
    assert (done["status"], done["results"]["rowsCreated"]) == ("cancelled", 2)
    assert (done["progress"]["completed"], done["progress"]["skipped"]) == (2, 2)
    # What is there stays, until it is undone.
    assert list(await bench.values(dataset, 1)) == [1, 2]
    reverted = await bench.call("POST", f"{path}/revert", 200)
    assert reverted["rowsDeleted"] == 2
    assert await bench.values(dataset, 1) == {}


async def test_batches_that_end_at_once_take_numbers_without_gaps(
    bench: Bench, maker: ScriptedMaker
) -> None:
    ready = asyncio.Barrier(10)
    maker.before = ready.wait
    dataset = await make_places(bench)
    task, keys = await plan(bench, dataset, 20)
    runner = BatchRunner(bench.database, bench.engine, bench.operations)
    await asyncio.gather(*(runner.run(key) for key in keys))
    done = await bench.read_task(task)
    assert (done["status"], done["results"]["rowsCreated"]) == ("completed", 20)
    values = await bench.values(dataset, 1)
    assert list(values) == list(range(1, 21))
    assert len(set(values.values())) == 20
    origins = await read_origins(bench, dataset, 20)
    assert {row: f"record {record}" for row, record in origins.items()} == values


async def test_a_batch_that_is_given_up_leaves_rows_whose_cells_can_be_tried_again(
    bench: Bench, maker: ScriptedMaker, planner: OrderingPlanner
) -> None:
    dataset = await make_places(bench, name=TaskType.ENRICHMENT)
    task, (key, other) = await plan(bench, dataset, 4)
    runner = BatchRunner(bench.database, bench.engine, bench.operations)
    await runner.give_up(key, "it never worked")
    await runner.run(other)
    done = await bench.read_task(task)
    assert (done["status"], done["progress"]["failed"]) == ("completed", 2)
    assert (await bench.metadata(dataset, 1, 1))["error"]["code"] == "INTERNAL_ERROR"
    assert await read_origins(bench, dataset, 2) == {1: 1, 2: 2}
    path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}/retry"
    async with bench.working():
        again = await bench.wait_for(await bench.call("POST", path, 202))
    assert again["progress"]["completed"] == 2
    assert (await bench.values(dataset, 1))[1] == "name/1"
    # Of what is no record nothing can be kept: its rows just failed.
    planner.of_records = False
    task, (key,) = await plan(bench, dataset, 2)
    await runner.give_up(key, "it never worked")
    done = await bench.read_task(task)
    assert (done["status"], done["error"]["code"]) == ("failed", "INTERNAL_ERROR")
    assert (done["progress"]["failed"], done["results"]["rowsCreated"]) == (2, 0)
    assert len(await bench.values(dataset, 1)) == 4


async def test_a_refused_provider_and_a_full_workspace_end_the_task_and_keep_its_rows(
    bench: Bench, maker: ScriptedMaker
) -> None:
    dataset = await make_places(bench)
    task, keys = await plan(bench, dataset, 6)
    limits = DatasetLimits(rows=3)
    runner = BatchRunner(bench.database, bench.engine, bench.operations, limits)
    await runner.run(keys[0])
    await runner.run(keys[1])
    done = await bench.read_task(task)
    assert (done["status"], done["error"]["code"]) == ("failed", "QUOTA_EXCEEDED")
    assert (done["results"]["rowsCreated"], done["usage"]["requests"]) == (2, 2)
    assert await bench.holder(dataset) is None

    def refuse(_: Order) -> MadeRows:
        raise ProviderRefused("The key is not known.")

    maker.answer = refuse
    task, keys = await plan(bench, dataset, 2)
    await runner.run(keys[0])
    done = await bench.read_task(task)
    assert (done["status"], done["error"]["code"]) == ("failed", "PROVIDER_REFUSED")
    assert list(await bench.values(dataset, 1)) == [1, 2]


async def test_a_budget_stops_the_making_and_says_what_it_left(
    bench: Bench, maker: ScriptedMaker
) -> None:
    def answer(order: Order) -> MadeRows:
        whole = name_records(order)
        skipped = NewRow([CellOutcome(0, 1, CellStatus.SKIPPED)], whole.rows[1].origin)
        return MadeRows([whole.rows[0], skipped], whole.usage, stopped_by="budget")

    maker.answer = answer
    dataset = await make_places(bench, name=TaskType.MAP, kind=TaskType.ENRICHMENT)
    task = await start(bench, dataset, 6, budget={"maxTokens": 5})
    async with bench.working():
        done = await bench.wait_for(task)
    assert (done["status"], done["results"]["stoppedBy"]) == ("completed", "budget")
    assert (done["progress"]["total"], done["progress"]["completed"]) == (6, 1)
    assert done["progress"]["skipped"] == 5
    assert len(maker.orders) == 1
    assert await bench.values(dataset, 2) == {1: None}


async def test_batches_of_a_plan_that_says_so_run_one_by_one(
    bench: Bench, maker: ScriptedMaker, planner: OrderingPlanner
) -> None:
    planner.one_by_one = True
    planner.of_records = False
    running: list[int] = []

    async def watch() -> None:
        running.append(1)
        assert len(running) == 1
        await asyncio.sleep(0)
        running.pop()

    def answer(order: Order) -> MadeRows:
        (item,) = order.items
        numbers = range(item["first"], item["last"] + 1)
        return MadeRows(
            [NewRow([CellOutcome(0, 1, CellStatus.OK, str(number), 0.9)]) for number in numbers]
        )

    maker.before, maker.answer = watch, answer
    dataset = await make_places(bench)
    async with bench.working():
        await bench.wait_for(await start(bench, dataset, 9))
    assert list((await bench.values(dataset, 1)).values()) == [str(n) for n in range(1, 10)]
    assert await read_origins(bench, dataset, 9) == {}


async def test_rows_with_failed_cells_are_there_and_stray_cells_are_not(
    bench: Bench, maker: ScriptedMaker
) -> None:
    fault = CellError("NOT_FOUND", "It is not on the map.")

    def answer(order: Order) -> MadeRows:
        stray = CellOutcome(0, 77, CellStatus.OK, "stray")
        failed = CellOutcome(0, 1, CellStatus.ERROR, error=fault)
        return MadeRows([NewRow([failed, stray], item) for item in order.items] * 2)

    maker.answer = answer
    dataset = await make_places(bench, name=TaskType.MAP, note=TaskType.NONE)
    async with bench.working():
        done = await bench.wait_for(await start(bench, dataset, 2))
    # No more rows than were ordered, however many come.
    assert (done["results"]["rowsCreated"], done["results"]["cellsFailed"]) == (2, 2)
    assert (done["status"], done["error"]["code"]) == ("failed", "NOT_FOUND")
    assert (await bench.metadata(dataset, 2, 1))["error"]["code"] == "NOT_FOUND"
    assert await bench.values(dataset, 2) == {1: None, 2: None}


async def test_an_estimate_of_ordered_rows_asks_the_operation(
    bench: Bench, maker: ScriptedMaker
) -> None:
    dataset = await make_places(bench, name=TaskType.ENRICHMENT)
    path = f"/datasets/{dataset.dataset_id}/tasks/estimate"
    body = {"type": "new-rows", "rowCount": 40}
    found = await bench.call("POST", path, 200, json=body)
    assert (found["rows"], found["cells"], found["requests"]) == (40, 40, 40)
    assert maker.orders == []


async def test_a_type_of_dataset_that_nothing_makes_rows_of_is_refused(bench: Bench) -> None:
    dataset = await make_places(bench)
    path = f"/datasets/{dataset.dataset_id}/tasks/new-rows"
    reply = await bench.call("POST", path, 422, json={"rowCount": 1})
    assert reply["code"] == "INVALID_TASK_FOR_DATASET"
