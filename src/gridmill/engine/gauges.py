"""How much waits and how long it has waited: what an operator watches, read from the tables.

The figures are of the whole installation, whichever process is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gridmill.storage.database import Tx

# Both halves of a count are bounded: beyond this many the exact number tells nothing more.
MOST_COUNTED = 100_000

_QUEUES = """
    SELECT waiting.queue_name, waiting.status::text, count(*),
           coalesce(extract(epoch FROM now() - min(waiting.since)), 0)::float8
      FROM (SELECT job.queue_name, job.status,
                   coalesce(job.scheduled_at,
                            (SELECT max(event.at) FROM procrastinate_events AS event
                              WHERE event.job_id = job.id)) AS since
              FROM procrastinate_jobs AS job
             WHERE job.status = 'doing'
                OR (job.status = 'todo'
                    AND (job.scheduled_at IS NULL OR job.scheduled_at <= now()))
             LIMIT %s) AS waiting
     GROUP BY 1, 2
"""
_WORKERS = """
    SELECT count(*) FROM procrastinate_workers
     WHERE last_heartbeat > now() - interval '10 seconds'
"""
_TASKS = """
    SELECT status, count(*)
      FROM tasks
     WHERE status IN ('queued', 'processing')
     GROUP BY status
"""


@dataclass(frozen=True, slots=True)
class QueueGauge:
    """Jobs of a queue that are due and wait, the age in seconds of the oldest, and those that run."""

    waiting: int = 0
    oldest_seconds: float = 0.0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Gauges:
    """Queues by name, open tasks by status, workers with a sign of life in the last 10 s."""

    queues: Mapping[str, QueueGauge]
    open_tasks: Mapping[str, int]
    workers: int


async def read_gauges(tx: Tx) -> Gauges:
    """The figures now; at most 100,000 jobs are looked at."""
    cursor = await tx.execute(_QUEUES, (MOST_COUNTED,))
    queues: dict[str, QueueGauge] = {}
    for name, status, count, oldest in await cursor.fetchall():
        before = queues.get(name, QueueGauge())
        if status == "doing":
            queues[name] = QueueGauge(before.waiting, before.oldest_seconds, count)
        else:
            queues[name] = QueueGauge(count, max(0.0, oldest), before.running)
    cursor = await tx.execute(_TASKS)
    tasks = {"queued": 0, "processing": 0, **{row[0]: row[1] for row in await cursor.fetchall()}}
    cursor = await tx.execute(_WORKERS)
    row = await cursor.fetchone()
    return Gauges(queues, tasks, 0 if row is None else int(row[0]))
