"""A batch is written once or not at all, whoever repeats it, is late, or comes at the same time."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from gridmill.datasets.model import Dataset
from gridmill.operations.model import Batch, BatchOutcome
from gridmill.storage.grids import pages
from gridmill.tasks import jobs
from gridmill.tasks.model import BatchKey
from gridmill.tasks.planning import plan_task
from gridmill.tasks.run import BatchRunner
from tests.support.task_bench import Bench, fill_with_names
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


async def plan(
    bench: Bench, dataset: Dataset, **body: Any
) -> tuple[dict[str, Any], list[BatchKey]]:
    """A planned task without a worker: its batches run when the test runs them."""
    task = await bench.start_bulk(dataset, **body)
    task_id = UUID(task["taskId"])
    async with bench.database.transaction() as tx:
        await plan_task(tx, bench.engine, bench.operations, task_id)
    planned = await bench.read_task(task)
    count = -(-planned["progress"]["total"] // bench.operation.rows_per_batch)
    return planned, [BatchKey(task_id, number) for number in range(1, count + 1)]


def make_runner(bench: Bench) -> BatchRunner:
    return BatchRunner(bench.database, bench.engine, bench.operations)


async def test_the_watch_goes_on_after_any_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def fail_first(*_: Any) -> list[UUID]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("a fault of ours")
        return []

    async def looked_again() -> bool:
        assert not watch.done()
        return calls > 1

    monkeypatch.setattr(jobs, "rescue_lost", fail_first)
    monkeypatch.setattr(jobs, "_WATCH_SECONDS", 0.01)
    watch = asyncio.create_task(jobs.watch(bench.database, bench.engine))
    await eventually(looked_again)
    watch.cancel()


async def count_lines(bench: Bench, sql: str, task: Mapping[str, Any]) -> tuple[Any, ...]:
    async with bench.database.transaction() as tx:
        cursor = await tx.execute(sql.encode(), [task["taskId"]])
        row = await cursor.fetchone()
    assert row is not None
    return row


async def test_the_end_of_a_task_leaves_no_marks_of_its_writes(bench: Bench) -> None:
    bench.operation.rows_per_batch = 2
    dataset = await bench.companies(20)
    task, keys = await plan(bench, dataset)
    for key in keys:
        await make_runner(bench).run(key)
    assert (await bench.read_task(task))["status"] == "completed"
    async with bench.database.transaction() as tx:
        cursor = await tx.execute(
            "SELECT count(*) FROM grid_writes WHERE grid_no = %s", [dataset.grid_no]
        )
        assert await cursor.fetchone() == (0,)


async def test_an_order_by_what_a_task_writes_lags_only_while_it_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_order() -> list[str]:
        path = f"/datasets/{dataset.dataset_id}/data?sort=sector&order=desc&cells=values"
        return [row[0][-1] for row in (await bench.call("GET", path, 200))["data"]]

    monkeypatch.setattr(pages, "_ROWS_A_SECOND", 0.01)
    bench.operation.rows_per_batch = 2
    dataset = await bench.companies(6)
    assert await read_order() == list("123456")
    task, keys = await plan(bench, dataset)
    await make_runner(bench).run(keys[0])
    # What was taken down before the task is not used: a user's last edit may be missing in it.
    assert await read_order() == list("213456")
    await make_runner(bench).run(keys[1])
    assert await read_order() == list("213456")
    await bench.call("POST", f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}/cancel", 200)
    assert await read_order() == list("432156")


async def test_a_batch_that_runs_twice_at_once_is_written_once(bench: Bench) -> None:
    both_claimed = asyncio.Barrier(2)

    async def answer(batch: Batch) -> BatchOutcome:
        await both_claimed.wait()
        return await fill_with_names(batch)

    bench.operation.answer = answer
    dataset = await bench.companies(10)
    task, (key,) = await plan(bench, dataset)
    await asyncio.gather(make_runner(bench).run(key), make_runner(bench).run(key))
    done = await bench.read_task(task)
    assert done["status"] == "completed"
    assert done["progress"]["completed"] == done["progress"]["total"] == 10
    assert done["usage"]["requests"] == 10
    assert await bench.count_history(dataset) == 10


async def test_a_batch_that_is_done_is_not_done_again(bench: Bench) -> None:
    dataset = await bench.companies(20)
    task, keys = await plan(bench, dataset)
    runner = make_runner(bench)
    for _ in range(3):
        await runner.run(keys[0])
    assert (await bench.read_task(task))["progress"]["completed"] == 10
    assert len(bench.operation.batches) == 1


async def test_a_write_that_comes_after_the_cancel_is_refused(bench: Bench) -> None:
    started, released = asyncio.Event(), asyncio.Event()

    async def answer(batch: Batch) -> BatchOutcome:
        started.set()
        await released.wait()
        return await fill_with_names(batch)

    bench.operation.answer = answer
    dataset = await bench.companies(20)
    task, keys = await plan(bench, dataset)
    running = asyncio.create_task(make_runner(bench).run(keys[0]))
    await asyncio.wait_for(started.wait(), 10)
    path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}/cancel"
    cancelled = await bench.call("POST", path, 200)
    assert cancelled["status"] == "cancelled"
    assert await bench.holder(dataset) is None
    # Another task may have the dataset by now.
    other = await bench.start_bulk(dataset)
    released.set()
    await asyncio.wait_for(running, 10)
    assert set((await bench.values(dataset, 2)).values()) == {None}
    assert await bench.count_history(dataset) == 0
    assert await bench.holder(dataset) == UUID(other["taskId"])
    assert (await bench.read_task(task))["progress"]["completed"] == 0


async def test_cancelling_in_the_middle_of_writes_leaves_whole_batches_only(bench: Bench) -> None:
    bench.operation.rows_per_batch = 2
    for pause in (0.0, 0.01, 0.03, 0.06):
        dataset = await bench.companies(40)
        task, keys = await plan(bench, dataset)
        runners = [asyncio.create_task(make_runner(bench).run(key)) for key in keys]
        await asyncio.sleep(pause)
        path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}/cancel"
        reply = await bench.call("POST", path)
        written = await bench.count_history(dataset)
        await asyncio.gather(*runners)
        assert await bench.count_history(dataset) == written
        done = await bench.read_task(task)
        assert done["progress"]["completed"] == written
        assert done["progress"]["total"] == 40
        assert done["progress"]["completed"] + done["progress"]["skipped"] == 40
        assert (reply["_status"], done["status"]) in {(200, "cancelled"), (409, "completed")}
        assert await bench.holder(dataset) is None


async def test_of_many_batches_that_end_at_once_exactly_one_ends_the_task(bench: Bench) -> None:
    bench.operation.rows_per_batch = 1
    ready = asyncio.Barrier(30)

    async def answer(batch: Batch) -> BatchOutcome:
        await ready.wait()
        return await fill_with_names(batch)

    bench.operation.answer = answer
    dataset = await bench.companies(30)
    task, keys = await plan(bench, dataset)
    runner = make_runner(bench)
    await asyncio.gather(*(runner.run(key) for key in keys))
    done = await bench.read_task(task)
    assert done["status"] == "completed"
    assert done["progress"]["completed"] == 30
    assert await bench.holder(dataset) is None
    seqs = await count_lines(
        bench,
        "SELECT array_agg(done_seq ORDER BY done_seq) FROM task_batches WHERE task_id = %s",
        task,
    )
    assert seqs[0] == list(range(1, 31))


async def test_of_100_simultaneous_creations_exactly_one_wins(bench: Bench) -> None:
    dataset = await bench.companies(3)
    path = f"/datasets/{dataset.dataset_id}/tasks/bulk"
    replies = await asyncio.gather(*(bench.call("POST", path, json={}) for _ in range(100)))
    winners = [reply for reply in replies if reply["_status"] == 202]
    losers = [reply for reply in replies if reply["_status"] == 409]
    assert len(winners) == 1
    assert len(losers) == 99
    assert {reply["code"] for reply in losers} == {"DATASET_LOCKED"}
    assert {reply["details"]["taskId"] for reply in losers} == {winners[0]["taskId"]}


async def test_a_plan_that_comes_after_the_cancel_writes_nothing(bench: Bench) -> None:
    dataset = await bench.companies(5)
    task = await bench.start_bulk(dataset)
    path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}"
    assert (await bench.call("DELETE", path, 200))["status"] == "cancelled"
    async with bench.database.transaction() as tx:
        await plan_task(tx, bench.engine, bench.operations, UUID(task["taskId"]))
    count = await count_lines(bench, "SELECT count(*) FROM task_batches WHERE task_id = %s", task)
    assert count == (0,)
    again = await bench.call("DELETE", path, 409)
    assert again["code"] == "TASK_NOT_CANCELLABLE"


async def test_a_running_batch_stops_soon_after_the_cancel(bench: Bench) -> None:
    stopped = asyncio.Event()

    async def answer(batch: Batch) -> BatchOutcome:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.set()
            raise
        return await fill_with_names(batch)

    bench.operation.answer = answer
    dataset = await bench.companies(20)
    async with bench.working():
        task = await bench.start_bulk(dataset)
        await eventually(lambda: len(bench.operation.batches) == 2)
        path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}/cancel"
        await bench.call("POST", path, 200)
        await asyncio.wait_for(stopped.wait(), 2)


async def test_tasks_whose_jobs_were_lost_get_new_ones(bench: Bench) -> None:
    dataset, other = await bench.companies(20), await bench.companies(5)
    planned, _ = await plan(bench, dataset)
    queued = await bench.start_bulk(other)
    async with bench.database.transaction() as tx:
        assert await jobs.rescue_lost(tx, bench.engine, quiet_seconds=-5) == []
        await tx.execute("DELETE FROM procrastinate_jobs")
    async with bench.database.transaction() as tx:
        assert await jobs.rescue_lost(tx, bench.engine) == []
        helped = await jobs.rescue_lost(tx, bench.engine, quiet_seconds=-5)
    assert set(map(str, helped)) == {planned["taskId"], queued["taskId"]}
    async with bench.working():
        assert (await bench.wait_for(planned))["progress"]["completed"] == 20
        assert (await bench.wait_for(queued))["progress"]["completed"] == 5


async def test_a_lost_batch_that_was_tried_too_often_fails_its_task(bench: Bench) -> None:
    dataset = await bench.companies(5)
    task, _ = await plan(bench, dataset)
    async with bench.database.transaction() as tx:
        await tx.execute("DELETE FROM procrastinate_jobs")
        await tx.execute("UPDATE task_batches SET attempts = 9")
    async with bench.database.transaction() as tx:
        await jobs.rescue_lost(tx, bench.engine, quiet_seconds=-5)
    done = await bench.read_task(task)
    assert (done["status"], done["error"]["code"]) == ("failed", "INTERNAL_ERROR")
    assert await bench.holder(dataset) is None
