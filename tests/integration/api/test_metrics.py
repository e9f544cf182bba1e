"""What /metrics says is what the tables hold."""

from datetime import timedelta

from gridmill.api.metrics import Metrics
from gridmill.engine.port import Job
from gridmill.engine.procrastinate_engine import ProcrastinateEngine
from gridmill.kit.clock import now
from gridmill.kit.errors import Unavailable
from gridmill.storage.database import Database
from gridmill.tasks.gauges import Gauges, read_gauges
from tests.integration.api.conftest import Client


async def test_the_gauges_count_due_jobs_and_leave_out_those_that_are_held_back(
    client: Client, module_database_url: str
) -> None:
    database = await Database.open(module_database_url)
    try:
        async with database.transaction() as tx:
            before = (await read_gauges(tx)).queues.get("batches")
            jobs = [Job("nothing", {}, queue="batches") for _ in range(3)]
            jobs.append(Job("nothing", {}, queue="batches", run_at=now() + timedelta(hours=1)))
            ids = await ProcrastinateEngine().enqueue(tx, jobs)
            await tx.execute(
                "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '90 s'"
                " WHERE id = %s",
                (ids[0],),
            )
            gauge = (await read_gauges(tx)).queues["batches"]
        assert gauge.waiting - (0 if before is None else before.waiting) == 3
        assert 90 <= gauge.oldest_seconds < 600
        text = (await client.http.get("/metrics")).text
        assert "gridmill_database_up 1.0" in text
        assert f'gridmill_jobs_waiting{{queue="batches"}} {float(gauge.waiting)}' in text
        assert 'gridmill_open_tasks{status="queued"} 0.0' in text
        assert "gridmill_workers_alive 0.0" in text
    finally:
        await database.close()


async def test_figures_of_a_database_that_is_away_are_absent_and_never_made_up() -> None:
    async def fail() -> Gauges:
        raise Unavailable("away")

    text = (await Metrics(fail).render()).decode()
    assert "gridmill_database_up 0.0" in text
    assert "gridmill_jobs_waiting" not in text
    assert "gridmill_workers_alive" not in text
