"""The room's jobs: one attempt at a delivery, making a later attempt due, forgetting old ones.

No transaction is open across a request: load, send, record. A worker that dies in between leaves
the job to another one, which sends again under the same message id.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import structlog

from gridmill.engine.port import Engine, HandlerSpec, JobContext
from gridmill.kit.clock import now
from gridmill.kit.egress import Egress, EgressFailed
from gridmill.kit.errors import Unavailable
from gridmill.kit.meters import WEBHOOK_ATTEMPTS, WEBHOOK_SECONDS
from gridmill.kit.traces import open_span
from gridmill.storage.database import Database, Tx, after_commit
from gridmill.webhooks import repository, service
from gridmill.webhooks.events import DELIVER_JOB, RELEASE_JOB, make_deliver_job, make_release_job
from gridmill.webhooks.model import (
    KEPT_FOR,
    PATIENCE,
    Delivery,
    DeliveryStatus,
    Outcome,
    Webhook,
    WebhookStatus,
    choose_delay,
    keep_text,
    sign,
)

SLOTS = 32
"""Deliveries that one worker has under way."""
# A worker's death counts as an attempt of the job; the schedule of retries is another matter.
_MAX_ATTEMPTS = 50
_GONE = 410
_SWEEP_SECONDS = 3_600.0
_SWEEP_ROWS = 1_000
# A million rows an hour; what is left waits for the next.
_SWEEP_ROUNDS = 1_000
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def handlers(database: Database, engine: Engine, egress: Egress) -> dict[str, HandlerSpec]:
    """What a worker runs of this room, by job name."""

    async def deliver(payload: Mapping[str, Any], _: JobContext) -> None:
        delivery_id, attempt = UUID(payload["deliveryId"]), int(payload["attempt"])
        async with database.transaction() as tx:
            loaded = await _load(tx, delivery_id, attempt)
        if loaded is None:
            return
        url, body, headers = loaded
        with open_span("webhook delivery", "client") as span:
            outcome = await _attempt(egress, url, body, headers)
            span.note(
                {
                    "gridmill.delivery_id": str(delivery_id),
                    "gridmill.attempt": attempt,
                    "http.response.status_code": outcome.status_code,
                }
            )
            if not outcome.succeeded:
                span.fail("failed")
        async with database.transaction() as tx:
            await record(tx, engine, delivery_id, attempt, outcome)

    async def release(payload: Mapping[str, Any], _: JobContext) -> None:
        delivery_id, attempt = UUID(payload["deliveryId"]), int(payload["attempt"])
        async with database.transaction() as tx:
            found = await _find_due(tx, delivery_id, attempt)
            if found is not None:
                webhook = found[1]
                is_failing = webhook.failing_since is not None
                job = make_deliver_job(
                    delivery_id, webhook.webhook_id, attempt, is_failing=is_failing
                )
                await engine.enqueue(tx, [job])

    async def give_up(payload: Mapping[str, Any], reason: str) -> None:
        _log.error("delivery given up", delivery_id=payload["deliveryId"], reason=reason)
        lost = Outcome(now(), 0, error="The delivery could not be worked on.")
        async with database.transaction() as tx:
            await record(tx, engine, UUID(payload["deliveryId"]), int(payload["attempt"]), lost)

    return {
        name: HandlerSpec(run, max_attempts=_MAX_ATTEMPTS, on_exhausted=give_up)
        for name, run in ((DELIVER_JOB, deliver), (RELEASE_JOB, release))
    }


async def record(tx: Tx, engine: Engine, delivery_id: UUID, attempt: int, outcome: Outcome) -> None:
    """Log an attempt and say what follows: done, tried again, given up, endpoint disabled.

    Nothing happens when the attempt was recorded before.
    """
    found = await _find_due(tx, delivery_id, attempt)
    if found is None:
        return
    delivery, webhook = found
    after_commit(tx, lambda: _count(outcome))
    if outcome.succeeded:
        await repository.record_attempt(
            tx, delivery_id, attempt, outcome, DeliveryStatus.SUCCEEDED, None
        )
        await repository.note_health(tx, webhook.webhook_id, None)
        return
    failing_since = webhook.failing_since or outcome.attempted_at
    reason = _find_reason_to_disable(outcome, now() - failing_since)
    delay = choose_delay(attempt - delivery.first_attempt, outcome.retry_after, now())
    if reason is not None or delay is None:
        await repository.record_attempt(
            tx, delivery_id, attempt, outcome, DeliveryStatus.FAILED, None
        )
    else:
        due = now() + timedelta(seconds=delay)
        await repository.record_attempt(
            tx, delivery_id, attempt, outcome, DeliveryStatus.PENDING, due
        )
        await engine.enqueue(tx, [make_release_job(delivery_id, attempt + 1, due)])
    await repository.note_health(tx, webhook.webhook_id, failing_since)
    if reason is not None:
        await repository.disable_webhook(tx, webhook.webhook_id, reason)
        await repository.fail_pending(tx, webhook.webhook_id, reason)


async def sweep(database: Database) -> None:
    """Forget old deliveries and messages, now and every hour, until cancelled."""
    while True:
        try:
            await forget_old(database)
        except Unavailable as error:
            _log.info("old deliveries stay for now", reason=str(error))
        except Exception:  # noqa: BLE001 (what is old later must still go)
            _log.exception("old deliveries could not be deleted; it goes on")
        await asyncio.sleep(_SWEEP_SECONDS)


async def forget_old(database: Database, rows: int = _SWEEP_ROWS) -> None:
    """Delete what is past `KEPT_FOR`, `rows` a transaction: deliveries, then their messages."""
    before = now() - KEPT_FOR
    for forget in (repository.forget_deliveries, repository.forget_messages):
        for _ in range(_SWEEP_ROUNDS):
            async with database.transaction() as tx:
                gone = await forget(tx, before, rows)
            if gone < rows:
                break


def _find_reason_to_disable(outcome: Outcome, failing: timedelta) -> str | None:
    if outcome.status_code == _GONE:
        return "The endpoint answered 410 Gone."
    if failing >= PATIENCE:
        return "Every delivery failed for 5 days."
    return None


def _count(outcome: Outcome) -> None:
    WEBHOOK_ATTEMPTS.labels("succeeded" if outcome.succeeded else "failed").inc()
    WEBHOOK_SECONDS.observe(outcome.response_time_ms / 1000)


async def _find_due(tx: Tx, delivery_id: UUID, attempt: int) -> tuple[Delivery, Webhook] | None:
    """A delivery that waits for this very attempt, and its active endpoint, both held."""
    found = await repository.find_delivery(tx, delivery_id)
    if found is None:
        return None
    # The endpoint first, as whoever changes one takes it first.
    webhook = await repository.find_any_webhook(tx, found.webhook_id)
    delivery = await repository.find_delivery(tx, delivery_id, for_update=True)
    if webhook is None or webhook.status is WebhookStatus.DISABLED or delivery is None:
        return None
    is_due = delivery.status is DeliveryStatus.PENDING and delivery.attempt == attempt - 1
    return (delivery, webhook) if is_due else None


async def _load(
    tx: Tx, delivery_id: UUID, attempt: int
) -> tuple[str, bytes, dict[str, str]] | None:
    """The URL, body and headers of an attempt that is still wanted."""
    found = await _find_due(tx, delivery_id, attempt)
    if found is None:
        return None
    delivery, webhook = found
    secrets, custom = await service.open_secrets(tx, webhook)
    body = await repository.find_body(tx, delivery.message_id)
    own = sign(str(delivery.message_id), body, secrets, webhook.signature_format, now())
    headers = {
        **custom,
        "Content-Type": "application/json",
        "User-Agent": "Gridmill-Webhooks/1",
        **own,
    }
    return webhook.url, body, headers


async def _attempt(egress: Egress, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
    began, moment = monotonic(), now()
    try:
        reply = await egress.post(url, body, headers)
    except EgressFailed as error:
        return Outcome(moment, _milliseconds(began), error=str(error))
    error = None if 200 <= reply.status <= 299 else f"The endpoint answered {reply.status}."
    return Outcome(
        moment,
        _milliseconds(began),
        reply.status,
        keep_text(reply.body),
        error,
        reply.retry_after,
    )


def _milliseconds(began: float) -> int:
    return round((monotonic() - began) * 1000)
