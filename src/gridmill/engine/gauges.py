"""How many jobs wait and how long they have waited: what an operator watches, read from the tables.

The figures are of the whole installation, whichever process is asked.
"""

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


@dataclass(frozen=True, slots=True)
class QueueGauge:
    """Jobs of a queue that are due and wait, the age in seconds of the oldest, and those that run."""

    waiting: int = 0
    oldest_seconds: float = 0.0
    running: int = 0


async def read_queues(tx: Tx) -> dict[str, QueueGauge]:
    """The queues that have work now, by name; at most 100,000 jobs are looked at."""
    cursor = await tx.execute(_QUEUES, (MOST_COUNTED,))
    queues: dict[str, QueueGauge] = {}
    for name, status, count, oldest in await cursor.fetchall():
        before = queues.get(name, QueueGauge())
        if status == "doing":
            queues[name] = QueueGauge(before.waiting, before.oldest_seconds, count)
        else:
            queues[name] = QueueGauge(count, max(0.0, oldest), before.running)
    return queues
