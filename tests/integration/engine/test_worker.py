import asyncio
import signal
import time
from dataclasses import replace

from gridmill.engine.port import HandlerSpec, Job, JobContext
from gridmill.engine.worker import Timings, run_worker
from tests.integration.engine.conftest import QUICK, Bench
from tests.support.waiting import eventually


def work(key: str, **more: object) -> Job:
    return Job("work", {"key": key, **more})


async def test_a_job_starts_within_milliseconds_of_its_commit(bench: Bench) -> None:
    started: list[float] = []

    async def note(_payload: object, _context: JobContext) -> None:
        started.append(time.perf_counter())

    stop = asyncio.Event()
    slow_poll = replace(QUICK, poll=30.0)
    worker = asyncio.create_task(
        run_worker(
            bench.url,
            {"note": HandlerSpec(note)},
            queues={"default": 2},
            stop=stop,
            timings=slow_poll,
        )
    )
    await bench.enqueue(Job("note", {}))
    await eventually(lambda: len(started) == 1)
    delays: list[float] = []
    for number in range(2, 22):
        await bench.enqueue(Job("note", {}))
        committed = time.perf_counter()
        await eventually(lambda number=number: len(started) == number)
        delays.append(started[-1] - committed)
    stop.set()
    await worker
    assert sorted(delays)[len(delays) // 2] < 0.05, delays


async def test_jobs_of_a_small_task_overtake_a_large_one(bench: Bench) -> None:
    large = [
        Job("note", {"key": f"large {n}"}, queue="batches", priority=-(n // 5)) for n in range(60)
    ]
    small = [
        Job("note", {"key": f"small {n}"}, queue="batches", priority=-(n // 5)) for n in range(5)
    ]
    await bench.enqueue(*large, *small)
    await bench.start_worker(slots=1)
    cursor = await bench.connection.execute("SELECT 1")

    async def all_ran() -> bool:
        nonlocal cursor
        cursor = await bench.connection.execute("SELECT key FROM engine_trail ORDER BY no")
        return cursor.rowcount == 65

    await eventually(all_ran, timeout=30)
    order = [row[0] for row in await cursor.fetchall()]
    assert max(order.index(f"small {n}") for n in range(5)) <= 9


async def test_queues_do_not_wait_for_one_another(bench: Bench) -> None:
    await bench.start_worker(slots=1)
    await bench.enqueue(Job("work", {"key": "long"}, queue="batches"))
    await bench.enqueue(Job("note", {"key": "quick"}))
    await eventually(lambda: _has(bench, "quick", "ran"))


async def test_cancel_stops_a_running_job_at_once(bench: Bench) -> None:
    await bench.start_worker()
    (job,) = await bench.enqueue(work("a"))
    await eventually(lambda: _has(bench, "a", "started"))
    asked = time.perf_counter()
    await bench.cancel(job)
    await eventually(lambda: _has(bench, "a", "aborted"))
    assert time.perf_counter() - asked < 2.0
    await eventually(lambda: _jobs_are(bench, [("aborted", 1)]))


async def test_a_failing_job_is_tried_again_and_then_given_up(bench: Bench) -> None:
    await bench.start_worker()
    await bench.enqueue(Job("fail", {"key": "a"}))
    await eventually(lambda: _jobs_are(bench, [("failed", 3)]))
    assert await bench.attempts("a") == [
        ("tried", 1),
        ("tried", 2),
        ("last", 3),
        ("given up: RuntimeError: no luck", 0),
    ]


async def test_a_job_that_recovers_is_done(bench: Bench) -> None:
    await bench.start_worker()
    await bench.enqueue(Job("fail", {"key": "a", "times": 1}))
    await eventually(lambda: _jobs_are(bench, []))
    assert await bench.trail("a") == ["tried", "tried"]


async def test_a_snoozed_job_uses_no_attempt(bench: Bench) -> None:
    await bench.start_worker()
    await bench.enqueue(Job("snooze", {"key": "a"}))
    await eventually(lambda: _jobs_are(bench, []))
    assert await bench.attempts("a") == [("asked", 1)] * 3


async def test_a_killed_worker_s_job_runs_again_elsewhere(bench: Bench) -> None:
    victim = await bench.start_worker()
    await bench.enqueue(work("a", once=True))
    await eventually(lambda: _has(bench, "a", "started"))
    await bench.start_worker()
    victim.kill()
    killed = time.perf_counter()
    await eventually(lambda: _has(bench, "a", "finished"))
    assert time.perf_counter() - killed < QUICK.stalled_after + 4 * QUICK.rescue_every + 2.0
    assert await bench.attempts("a") == [("started", 1), ("started", 2), ("finished", 2)]


async def test_a_job_that_kills_every_worker_is_given_up(bench: Bench) -> None:
    quick = replace(QUICK, stalled_after=1.0)
    await bench.enqueue(work("a"))
    for attempt in range(1, 4):
        worker = await bench.start_worker(timings=quick)
        await eventually(lambda attempt=attempt: _count(bench, "a", "started", attempt))
        worker.kill()
        await worker.wait()
    await bench.start_worker(timings=quick)
    given_up = "given up: The work was interrupted 3 times and never finished."
    await eventually(lambda: _has(bench, "a", given_up))
    await eventually(lambda: _jobs_are(bench, [("failed", 4)]))


async def test_a_worker_that_slept_past_its_lease_drops_its_job(bench: Bench) -> None:
    sleeper = await bench.start_worker()
    await bench.enqueue(work("a", once=True))
    await eventually(lambda: _has(bench, "a", "started"))
    await bench.start_worker()
    sleeper.send_signal(signal.SIGSTOP)
    await eventually(lambda: _has(bench, "a", "finished"), timeout=15)
    sleeper.send_signal(signal.SIGCONT)
    await eventually(lambda: _has(bench, "a", "aborted"))
    # It works on, under a new registration.
    await bench.enqueue(*[Job("note", {"key": f"b{n}"}) for n in range(20)])
    await eventually(lambda: _jobs_are(bench, []))
    assert sleeper.returncode is None


async def test_a_stopped_worker_hands_its_job_back_uncounted(bench: Bench) -> None:
    first = await bench.start_worker()
    await bench.enqueue(work("a"))
    await eventually(lambda: _has(bench, "a", "started"))
    first.terminate()
    assert await first.wait() == 0
    assert await bench.jobs() == [("todo", 0)]
    await bench.start_worker()
    await eventually(lambda: _count(bench, "a", "started", 2))
    assert [attempt for _, attempt in await bench.attempts("a")] == [1, 1, 1]


async def test_a_stopped_worker_lets_short_jobs_finish_and_takes_no_new_ones(bench: Bench) -> None:
    worker = await bench.start_worker(slots=1, timings=replace(QUICK, grace=10.0))
    await bench.enqueue(work("a", seconds=1.0), work("b", seconds=0.0))
    await eventually(lambda: _has(bench, "a", "started"))
    worker.terminate()
    assert await worker.wait() == 0
    assert await bench.trail("a") == ["started", "finished"]
    assert await bench.trail("b") == []
    assert await bench.jobs() == [("todo", 0)]


async def test_a_handler_that_ignores_its_end_does_not_hold_the_worker(bench: Bench) -> None:
    worker = await bench.start_worker()
    await bench.enqueue(Job("stubborn", {"key": "a"}))
    await eventually(lambda: _has(bench, "a", "started"))
    worker.terminate()
    asked = time.perf_counter()
    assert await worker.wait() == 0
    assert time.perf_counter() - asked < 10.0
    await bench.start_worker()
    await eventually(lambda: _count(bench, "a", "started", 2))


async def test_cut_connections_cost_nothing_but_time(bench: Bench) -> None:
    worker = await bench.start_worker()
    await bench.enqueue(work("a", seconds=2.0))
    await eventually(lambda: _has(bench, "a", "started"))
    for _ in range(3):
        await bench.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await eventually(lambda: _worker_is_connected(bench))
    await bench.enqueue(Job("note", {"key": "b"}))
    await eventually(lambda: _jobs_are(bench, []), timeout=15)
    assert await bench.attempts("a") == [("started", 1), ("finished", 1)]
    assert await bench.trail("b") == ["ran"]
    # Notifications are heard again, too.
    (job,) = await bench.enqueue(work("c"))
    await eventually(lambda: _has(bench, "c", "started"))
    await bench.cancel(job)
    await eventually(lambda: _has(bench, "c", "aborted"))
    assert worker.returncode is None


async def test_a_worker_waits_for_a_database_that_is_not_there_yet() -> None:
    stop = asyncio.Event()
    worker = asyncio.create_task(
        run_worker(
            "postgresql://nobody@127.0.0.1:1/none",
            {},
            queues={"default": 1},
            stop=stop,
            timings=Timings(),
        )
    )
    done, _ = await asyncio.wait({worker}, timeout=0.5)
    assert not done
    stop.set()
    async with asyncio.timeout(8.0):
        await worker


async def _worker_is_connected(bench: Bench) -> bool:
    cursor = await bench.connection.execute(
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def _has(bench: Bench, key: str, event: str) -> bool:
    return event in await bench.trail(key)


async def _count(bench: Bench, key: str, event: str, count: int) -> bool:
    return (await bench.trail(key)).count(event) == count


async def _jobs_are(bench: Bench, jobs: list[tuple[str, int]]) -> bool:
    return await bench.jobs() == jobs
