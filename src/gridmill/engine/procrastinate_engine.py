"""The engine's port on procrastinate: jobs go in and out in the caller's own transaction."""

from collections.abc import Sequence

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job as EngineJob
from procrastinate.manager import JobManager

from gridmill.engine.origin import Origin, find_origin, pack
from gridmill.engine.port import Job
from gridmill.storage.database import Tx

# Rows of one INSERT: larger ones gain nothing and hold the event loop for longer.
_CHUNK = 1_000


class ProcrastinateEngine:
    """Implements `port.Engine`; needs no connection of its own, so one serves a whole process."""

    def __init__(self) -> None:
        # The connector is never opened: every call names the connection to use.
        self._manager: JobManager = App(connector=PsycopgConnector()).job_manager

    async def enqueue(self, tx: Tx, jobs: Sequence[Job]) -> list[int]:
        """Insert `jobs` in the caller's transaction; their ids, in order.

        Workers learn of them when the transaction commits, and never if it does not.
        """
        origin = find_origin()
        ids: list[int] = []
        for start in range(0, len(jobs), _CHUNK):
            chunk = [_to_engine(job, origin) for job in jobs[start : start + _CHUNK]]
            stored = await self._manager.batch_defer_jobs_async(chunk, connection=tx)
            ids.extend(job.id for job in stored if job.id is not None)
        return ids

    async def cancel(self, tx: Tx, job_ids: Sequence[int]) -> None:
        """In the caller's transaction: waiting jobs vanish, running ones are aborted at commit.

        Jobs that ended already are left alone.
        """
        if not job_ids:
            return
        ids = list(job_ids)
        # Locked first, in one order: a job that a worker takes or gives back meanwhile would slip
        # between the two statements that follow.
        await tx.execute(
            "SELECT id FROM procrastinate_jobs WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (ids,)
        )
        await tx.execute(
            "DELETE FROM procrastinate_jobs WHERE id = ANY(%s) AND status = 'todo'", (ids,)
        )
        # A trigger of procrastinate's notifies the worker that runs it.
        await tx.execute(
            "UPDATE procrastinate_jobs SET abort_requested = true"
            " WHERE id = ANY(%s) AND status = 'doing' AND NOT abort_requested",
            (ids,),
        )

    async def find_lost(self, tx: Tx, job_ids: Sequence[int]) -> frozenset[int]:
        """Those of `job_ids` that neither wait nor run: they ended, or were lost."""
        if not job_ids:
            return frozenset()
        cursor = await tx.execute(
            "SELECT w.id FROM unnest(%s::bigint[]) AS w (id) WHERE NOT EXISTS (SELECT 1 "
            "FROM procrastinate_jobs j WHERE j.id = w.id AND j.status IN ('todo', 'doing'))",
            (list(job_ids),),
        )
        return frozenset(int(row[0]) for row in await cursor.fetchall())


def _to_engine(job: Job, origin: Origin) -> EngineJob:
    return EngineJob(
        queue=job.queue,
        task_name=job.name,
        priority=job.priority,
        lock=job.lock,
        queueing_lock=None,
        task_kwargs=pack(job.payload, origin),
        scheduled_at=job.run_at,
    )


async def count_live_workers(tx: Tx, *, within_seconds: float = 10.0) -> int:
    """Workers that gave a sign of life in the last `within_seconds`, on any machine."""
    cursor = await tx.execute(
        "SELECT count(*) FROM procrastinate_workers"
        " WHERE last_heartbeat > now() - make_interval(secs => %s)",
        (within_seconds,),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
