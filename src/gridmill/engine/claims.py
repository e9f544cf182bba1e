"""What a worker says to the jobs table: claim, settle, sign of life, rescue.

Every statement that ends a run is fenced by (job, worker, attempt): a worker that was taken for
dead and comes back changes nothing that now belongs to another run. procrastinate's own finishing
function asks for the job's number only, so a late worker could delete a job under a running one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager, NotificationCallback
from psycopg_pool import AsyncConnectionPool

from gridmill.engine.origin import Origin, unpack
from gridmill.storage.database import Tx

# The database is away, or said no: try again later. (ConnectorException wraps psycopg's errors.)
OUTAGE = (psycopg.Error, ConnectorException, OSError, TimeoutError)

_CONNECTION: dict[str, Any] = {
    "application_name": "gridmill engine",
    "connect_timeout": 5,
    # A server that vanished without a word is noticed before our own lease runs out.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 8_000,
}
_POOL_SIZE = 4
_CHECKOUT_SECONDS = 3.0

# procrastinate's own fetch asks of every waiting job whether another one with its lock goes first:
# a second and more once 20,000 jobs wait for one lock. Here each lock is looked at once: its first
# job may run if none of it does. One that is not due yet holds back those behind it.
_CLAIM = """
    WITH RECURSIVE locks AS (
        (SELECT lock FROM procrastinate_jobs
          WHERE status = 'todo' AND lock IS NOT NULL
          ORDER BY lock LIMIT 1)
        UNION ALL
        SELECT (SELECT job.lock FROM procrastinate_jobs AS job
                 WHERE job.status = 'todo' AND job.lock IS NOT NULL AND job.lock > locks.lock
                 ORDER BY job.lock LIMIT 1)
          FROM locks
         WHERE locks.lock IS NOT NULL
    ), first_of_lock AS (
        SELECT first.id
          FROM locks
         CROSS JOIN LATERAL (SELECT job.id FROM procrastinate_jobs AS job
                              WHERE job.status = 'todo' AND job.lock = locks.lock
                              ORDER BY job.priority DESC, job.id LIMIT 1) AS first
         WHERE NOT EXISTS (SELECT 1 FROM procrastinate_jobs AS running
                            WHERE running.status = 'doing' AND running.lock = locks.lock)
    ), candidate AS (
        SELECT job.id
          FROM procrastinate_jobs AS job
         WHERE job.status = 'todo'
           AND job.queue_name = %(queue)s
           AND (job.scheduled_at IS NULL OR job.scheduled_at <= now())
           AND (job.lock IS NULL OR job.id IN (SELECT id FROM first_of_lock))
         ORDER BY job.priority DESC, job.id
         LIMIT 1
           FOR UPDATE OF job SKIP LOCKED
    )
    UPDATE procrastinate_jobs AS job
       SET status = 'doing', worker_id = %(worker)s
      FROM candidate
     WHERE job.id = candidate.id
    RETURNING job.id, job.task_name, job.queue_name, job.args, job.attempts
"""

_MINE = "id = %(job)s AND worker_id = %(worker)s AND attempts = %(attempts)s AND status = 'doing'"

_DELETE = f"DELETE FROM procrastinate_jobs WHERE {_MINE} RETURNING 1"  # noqa: S608 - a constant

_END = f"""
    UPDATE procrastinate_jobs
       SET status = %(status)s::procrastinate_job_status,
           attempts = attempts + 1,
           abort_requested = false
     WHERE {_MINE}
    RETURNING 1
"""  # noqa: S608 - a constant

# A job whose end was asked for does not wait again. Without a delay the other workers are told.
_REQUEUE = f"""
    WITH given_back AS (
        UPDATE procrastinate_jobs
           SET status = CASE WHEN abort_requested THEN 'aborted' ELSE 'todo' END
                        ::procrastinate_job_status,
               abort_requested = false,
               attempts = attempts + %(counted)s,
               worker_id = NULL,
               scheduled_at = CASE WHEN %(delay)s::float8 > 0
                                   THEN now() + make_interval(secs => %(delay)s::float8) END
         WHERE {_MINE}
        RETURNING id, queue_name
    )
    SELECT CASE WHEN %(delay)s::float8 <= 0 THEN
               pg_notify('procrastinate_queue_v1#' || queue_name,
                         json_build_object('type', 'job_inserted', 'job_id', id)::text)
           END
      FROM given_back
"""  # noqa: S608 - a constant

_BEAT = """
    WITH alive AS (
        UPDATE procrastinate_workers SET last_heartbeat = now()
         WHERE id = %(worker)s RETURNING id
    )
    SELECT EXISTS (SELECT 1 FROM alive),
           ARRAY(SELECT id FROM procrastinate_jobs
                  WHERE worker_id = %(worker)s AND status = 'doing'),
           ARRAY(SELECT id FROM procrastinate_jobs
                  WHERE worker_id = %(worker)s AND status = 'doing' AND abort_requested)
"""

# Losing its row sets a worker's jobs to "doing by no one" (procrastinate's foreign key).
_PRUNE = """
    DELETE FROM procrastinate_workers
     WHERE last_heartbeat < now() - make_interval(secs => %(seconds)s)
"""
_RESCUE = """
    WITH stalled AS (
        SELECT id FROM procrastinate_jobs
         WHERE status = 'doing' AND worker_id IS NULL
           FOR UPDATE SKIP LOCKED
    ), rescued AS (
        UPDATE procrastinate_jobs AS job
           SET status = CASE WHEN abort_requested THEN 'aborted' ELSE 'todo' END
                        ::procrastinate_job_status,
               abort_requested = false,
               attempts = attempts + 1,
               scheduled_at = NULL
          FROM stalled
         WHERE job.id = stalled.id
        RETURNING job.id, job.queue_name
    )
    SELECT id, pg_notify('procrastinate_queue_v1#' || queue_name,
                         json_build_object('type', 'job_inserted', 'job_id', id)::text)
      FROM rescued
"""
_RELEASE = """
    UPDATE procrastinate_jobs
       SET worker_id = NULL
     WHERE worker_id = %(worker)s AND status = 'doing' AND id = ANY(%(jobs)s)
"""


class End(StrEnum):
    """How a run of a job ended, as the jobs table keeps it."""

    DONE = "done"
    AGAIN = "again"
    FAILED = "failed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to do with a job after its run: `delay` (seconds) and `counted` belong to AGAIN."""

    end: End
    delay: float = 0.0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Claim:
    """One run of one job, given to one worker; `attempts` counts the runs before this one."""

    job_id: int
    name: str
    queue: str
    payload: Mapping[str, Any]
    attempts: int
    worker_id: int
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class Held:
    """What the table says this worker runs, and which of it should stop."""

    job_ids: frozenset[int]
    aborted: frozenset[int]


class Claims:
    """The jobs table as workers use it, over a few connections that serve nothing else.

    The rooms' pool may be exhausted by the handlers; a sign of life must not wait for it.
    """

    def __init__(self, url: str) -> None:
        self._connector = PsycopgConnector()
        self._manager: JobManager = App(connector=self._connector).job_manager
        self._pool: AsyncConnectionPool[Tx] = AsyncConnectionPool(
            url,
            kwargs=_CONNECTION,
            min_size=1,
            max_size=_POOL_SIZE,
            timeout=_CHECKOUT_SECONDS,
            reconnect_timeout=_CHECKOUT_SECONDS,
            configure=_set_autocommit,
            open=False,
            name="engine",
        )

    async def open(self) -> None:
        """Start the pool; an unreachable database shows at the first call."""
        await self._pool.open(wait=False)
        await self._connector.open_async(pool=self._pool)

    async def close(self) -> None:
        """Drop the connections."""
        await self._pool.close(timeout=2.0)

    async def register(self) -> int:
        """Enter a new worker, alive now; its number."""
        return await self._manager.register_worker()

    async def unregister(self, worker_id: int) -> None:
        """Remove a worker."""
        await self._manager.unregister_worker(worker_id)

    async def listen(self, queues: Iterable[str], callback: NotificationCallback) -> None:
        """Call back for every job and every request to abort in `queues`, until cancelled."""
        await self._manager.listen_for_jobs(on_notification=callback, queues=list(queues))

    async def claim(self, queue: str, worker_id: int) -> Claim | None:
        """Take the first waiting job of `queue`: highest priority, then oldest."""
        row = await self._run(_CLAIM, {"queue": queue, "worker": worker_id})
        if row is None:
            return None
        job_id, name, queue, packed, attempts = row
        payload, origin = unpack(packed)
        return Claim(
            job_id=job_id,
            name=name,
            queue=queue,
            payload=payload,
            attempts=attempts,
            worker_id=worker_id,
            origin=origin,
        )

    async def settle(self, claim: Claim, outcome: Outcome) -> bool:
        """Write how a run ended; False when the job no longer belongs to that run."""
        mine: dict[str, Any] = {
            "job": claim.job_id,
            "worker": claim.worker_id,
            "attempts": claim.attempts,
        }
        match outcome.end:
            case End.DONE:
                return await self._run(_DELETE, mine) is not None
            case End.AGAIN:
                again = {"delay": outcome.delay, "counted": int(outcome.counted)}
                return await self._run(_REQUEUE, mine | again) is not None
            case End.FAILED | End.ABORTED:
                return await self._run(_END, mine | {"status": outcome.end.value}) is not None

    async def beat(self, worker_id: int) -> Held | None:
        """Give a sign of life; None when this worker was taken for dead and its jobs given away."""
        row = await self._run(_BEAT, {"worker": worker_id})
        if row is None or not row[0]:
            return None
        return Held(job_ids=frozenset(row[1]), aborted=frozenset(row[2]))

    async def release(self, worker_id: int, job_ids: Iterable[int]) -> None:
        """Leave jobs to the rescue that the table gave to this worker and it does not run.

        That happens when a connection breaks between a claim's commit and its answer.
        """
        async with self._pool.connection() as connection:
            await connection.execute(_RELEASE, {"worker": worker_id, "jobs": list(job_ids)})

    async def rescue(self, stalled_after: float) -> list[int]:
        """Queue the jobs of workers without a sign of life for `stalled_after` seconds again.

        Each counts as an attempt. Returns the jobs' numbers.
        """
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_PRUNE, {"seconds": stalled_after})
            cursor = await connection.execute(_RESCUE)
            return [int(row[0]) for row in await cursor.fetchall()]

    async def delete_ended(self, older_than_hours: int) -> None:
        """Delete failed, cancelled and aborted jobs of `older_than_hours` ago or more."""
        await self._manager.delete_old_jobs(
            nb_hours=older_than_hours,
            include_failed=True,
            include_cancelled=True,
            include_aborted=True,
        )

    async def _run(self, statement: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchone()


async def _set_autocommit(connection: Tx) -> None:
    await connection.set_autocommit(True)
