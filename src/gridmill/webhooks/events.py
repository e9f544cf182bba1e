"""Telling of events, in the transaction of what they report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from gridmill.engine.port import Engine, Job
from gridmill.kit.clock import now, to_wire
from gridmill.kit.ids import new_uuid7
from gridmill.storage.database import Tx
from gridmill.webhooks import repository
from gridmill.webhooks.model import LANES, Event

DELIVER_JOB = "webhooks.deliver"
RELEASE_JOB = "webhooks.release"
QUEUE = "webhooks"


async def tell(
    tx: Tx,
    engine: Engine,
    workspace_id: UUID,
    event: Event,
    data: Mapping[str, Any],
    *,
    also: UUID | None = None,
) -> None:
    """Tell the workspace's subscribers of an event, and the endpoint `also` (once in any case).

    Message, deliveries and jobs are rows of the caller's transaction.
    """
    targets = await repository.list_targets(tx, workspace_id, event, also)
    if targets:
        await send(tx, engine, workspace_id, event, data, targets)


async def send(  # noqa: PLR0917 (each named by its type)
    tx: Tx,
    engine: Engine,
    workspace_id: UUID,
    event: Event,
    data: Mapping[str, Any],
    targets: Sequence[tuple[UUID, bool]],
) -> list[UUID]:
    """Put one message on its way to `targets` (and whether each is failing); the deliveries."""
    message_id = new_uuid7()
    payload = {"id": message_id, "event": event.value, "createdAt": to_wire(now()), "data": data}
    body = orjson.dumps(payload)
    await repository.insert_message(tx, message_id, workspace_id, event, body)
    made: list[UUID] = []
    jobs: list[Job] = []
    for webhook_id, is_failing in targets:
        delivery_id = new_uuid7()
        await repository.insert_delivery(tx, delivery_id, webhook_id, message_id)
        jobs.append(make_deliver_job(delivery_id, webhook_id, 1, is_failing=is_failing))
        made.append(delivery_id)
    await engine.enqueue(tx, jobs)
    return made


def make_deliver_job(delivery_id: UUID, webhook_id: UUID, attempt: int, *, is_failing: bool) -> Job:
    """The job of a delivery's attempt number `attempt`.

    Its lock is one of the endpoint's lanes, so that an endpoint which hangs cannot take all slots.
    """
    lane = 0 if is_failing else delivery_id.int % LANES
    payload = {"deliveryId": str(delivery_id), "attempt": attempt}
    return Job(DELIVER_JOB, payload, queue=QUEUE, lock=f"webhook:{webhook_id}:{lane}")


def make_release_job(delivery_id: UUID, attempt: int, at: datetime) -> Job:
    """The job that makes an attempt due at a later time.

    It has no lock: one that waits would hold back all that is behind it in its lane.
    """
    payload = {"deliveryId": str(delivery_id), "attempt": attempt}
    return Job(RELEASE_JOB, payload, queue=QUEUE, run_at=at)
