"""How much work there is in the whole installation: what an operator watches, from the tables.

The figures are the same whichever process is asked. Kept here because tasks is the highest room:
it may ask the engine and the webhooks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gridmill.engine.gauges import QueueGauge, read_queues
from gridmill.engine.procrastinate_engine import count_live_workers
from gridmill.storage.database import Tx
from gridmill.tasks.repository import tasks as repository
from gridmill.webhooks import service as webhooks


@dataclass(frozen=True, slots=True)
class Gauges:
    """Queues by name, open tasks by status, workers with a sign of life in the last 10 s.

    `undelivered_seconds` is the age of the oldest webhook message that is not delivered and still
    tried; 0 when there is none.
    """

    queues: Mapping[str, QueueGauge]
    open_tasks: Mapping[str, int]
    workers: int
    undelivered_seconds: float


async def read_gauges(tx: Tx) -> Gauges:
    """The figures now."""
    return Gauges(
        await read_queues(tx),
        await repository.count_open(tx),
        await count_live_workers(tx),
        await webhooks.measure_undelivered(tx),
    )
