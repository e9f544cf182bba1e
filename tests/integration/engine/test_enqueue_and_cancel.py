import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from gridmill.engine.claims import Claims, End, Outcome
from gridmill.engine.port import Job
from gridmill.engine.procrastinate_engine import count_live_workers
from gridmill.engine.schema import install_engine_schema
from tests.integration.engine.conftest import Bench


class Undone(Exception):
    pass


async def test_a_rolled_back_transaction_leaves_no_job(bench: Bench) -> None:
    with pytest.raises(Undone):
        async with bench.connection.transaction():
            await bench.engine.enqueue(bench.connection, [Job("note", {"key": "a"})])
            raise Undone
    assert await bench.jobs() == []


async def test_ids_come_back_in_the_order_of_the_jobs(bench: Bench) -> None:
    jobs = [Job("note", {"key": str(number)}) for number in range(2_500)]
    ids = await bench.enqueue(*jobs)
    cursor = await bench.connection.execute(
        "SELECT array_agg(args ->> 'key' ORDER BY array_position(%s, id)) FROM procrastinate_jobs",
        (ids,),
    )
    row = await cursor.fetchone()
    assert row is not None
    assert row[0] == [str(number) for number in range(2_500)]


async def test_no_jobs_are_no_statement(bench: Bench) -> None:
    assert await bench.enqueue() == []
    await bench.cancel()


async def test_twenty_thousand_jobs_of_one_lock_are_enqueued_and_taken_quickly(
    bench: Bench,
) -> None:
    jobs = [Job("note", {}, priority=-(n // 5), lock="task:1") for n in range(20_000)]
    started = time.process_time()
    ids = await bench.enqueue(*jobs)
    # Processor time of this side: the wall clock of a shared machine proves nothing.
    assert time.process_time() - started < 3.0
    assert len(set(ids)) == 20_000
    claims = Claims(bench.url)
    await claims.open()
    try:
        worker = await claims.register()
        first = await claims.claim("default", worker)
        assert first is not None
        assert first.job_id == ids[0]
        # All others wait for the first; procrastinate's own fetch takes over a second to see it.
        started = time.perf_counter()
        assert await claims.claim("default", worker) is None
        assert time.perf_counter() - started < 0.5
    finally:
        await claims.close()


async def test_a_cancelled_waiting_job_vanishes(bench: Bench) -> None:
    first, second = await bench.enqueue(Job("note", {"key": "a"}), Job("note", {"key": "b"}))
    await bench.cancel(first)
    cursor = await bench.connection.execute("SELECT id FROM procrastinate_jobs")
    assert await cursor.fetchall() == [(second,)]


async def test_a_rolled_back_cancel_leaves_the_job(bench: Bench) -> None:
    (job,) = await bench.enqueue(Job("note", {"key": "a"}))
    with pytest.raises(Undone):
        async with bench.connection.transaction():
            await bench.engine.cancel(bench.connection, [job])
            raise Undone
    assert await bench.jobs() == [("todo", 0)]


async def test_the_schema_step_may_run_again(bench: Bench) -> None:
    await bench.enqueue(Job("note", {"key": "a"}))
    async with bench.connection.transaction():
        await install_engine_schema(bench.connection)
    assert await bench.jobs() == [("todo", 0)]


async def test_claims_follow_priority_then_age_locks_and_time(bench: Bench) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    low, high, locked, same_lock, _ = await bench.enqueue(
        Job("note", {}, priority=-1),
        Job("note", {}, priority=5),
        Job("note", {}, lock="task:1"),
        Job("note", {}, lock="task:1"),
        Job("note", {}, run_at=later),
    )
    claims = Claims(bench.url)
    await claims.open()
    try:
        worker = await claims.register()
        taken = [await claims.claim("default", worker) for _ in range(4)]
        assert [claim.job_id if claim else None for claim in taken] == [high, locked, low, None]
        assert taken[1] is not None
        assert await claims.settle(taken[1], Outcome(End.DONE))
        freed = await claims.claim("default", worker)
        assert freed is not None
        assert freed.job_id == same_lock
    finally:
        await claims.close()


async def test_a_late_worker_cannot_end_a_run_that_is_no_longer_its_own(bench: Bench) -> None:
    await bench.enqueue(Job("note", {}))
    claims = Claims(bench.url)
    await claims.open()
    try:
        late, fresh = await claims.register(), await claims.register()
        stale = await claims.claim("default", late)
        assert stale is not None
        await claims.release(late, [stale.job_id])
        assert await claims.rescue(60.0) == [stale.job_id]
        current = await claims.claim("default", fresh)
        assert current is not None
        assert current.attempts == 1
        for end in End:
            assert not await claims.settle(stale, Outcome(end))
        assert await claims.settle(current, Outcome(End.DONE))
        assert await bench.jobs() == []
    finally:
        await claims.close()


async def test_a_dead_worker_s_aborted_job_is_not_queued_again(bench: Bench) -> None:
    (job,) = await bench.enqueue(Job("note", {}))
    claims = Claims(bench.url)
    await claims.open()
    try:
        worker = await claims.register()
        assert await claims.claim("default", worker) is not None
        assert await count_live_workers(bench.connection) == 1
        await bench.cancel(job)
        await claims.unregister(worker)
        await claims.rescue(60.0)
        assert await bench.jobs() == [("aborted", 1)]
        assert await count_live_workers(bench.connection) == 0
    finally:
        await claims.close()


async def test_a_start_beside_a_long_transaction_that_enqueues_waits_for_nobody(
    bench: Bench,
) -> None:
    async with await psycopg.AsyncConnection.connect(bench.url) as planner:
        await bench.engine.enqueue(planner, [Job("note", {"key": "long"})])
        async with bench.connection.transaction():
            await bench.connection.execute("SET LOCAL lock_timeout = '500ms'")
            await install_engine_schema(bench.connection)
        await planner.rollback()
