"""All SQL of the webhooks room."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row

from gridmill.kit.ids import first_uuid7
from gridmill.storage.database import Tx
from gridmill.webhooks.model import (
    Delivery,
    DeliveryStatus,
    Event,
    Outcome,
    SignatureFormat,
    Statistics,
    Webhook,
    WebhookStatus,
)

_WEBHOOK = sql.SQL(
    "webhook_id, workspace_id, name, url, events, header_names, headers, secret, previous_secret, "
    "previous_until, signature_format, status, disabled_reason, failing_since, version, created_at"
)
_DELIVERY = sql.SQL(
    "SELECT d.delivery_id, d.webhook_id, d.message_id, m.event, d.status, d.attempt, "
    "d.first_attempt, d.status_code, d.response_time_ms, d.response_body, d.error, "
    "d.delivered_at, d.next_attempt_at "
    "FROM webhook_deliveries d JOIN webhook_messages m ON m.message_id = d.message_id "
)


async def insert_webhook(tx: Tx, webhook: Webhook) -> None:
    """Store a new endpoint."""
    await tx.execute(
        "INSERT INTO webhooks (webhook_id, workspace_id, name, url, events, header_names, headers, "
        "secret, signature_format, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            webhook.webhook_id,
            webhook.workspace_id,
            webhook.name,
            webhook.url,
            [event.value for event in webhook.events],
            list(webhook.header_names),
            webhook.headers,
            webhook.secret,
            webhook.signature_format.value,
            webhook.created_at,
        ),
    )


async def find_webhook(
    tx: Tx, workspace_id: UUID, webhook_id: UUID, *, for_update: bool = False
) -> Webhook | None:
    """The endpoint, when it is of the workspace; held when `for_update`."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL("SELECT {} FROM webhooks WHERE workspace_id = %s AND webhook_id = %s {}").format(
            _WEBHOOK, sql.SQL("FOR UPDATE" if for_update else "")
        ),
        (workspace_id, webhook_id),
    )
    row = await cursor.fetchone()
    return None if row is None else _to_webhook(row)


async def find_any_webhook(tx: Tx, webhook_id: UUID) -> Webhook | None:
    """An endpoint of whichever workspace, held, for jobs."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL("SELECT {} FROM webhooks WHERE webhook_id = %s FOR UPDATE").format(_WEBHOOK),
        (webhook_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else _to_webhook(row)


async def list_webhooks(
    tx: Tx,
    workspace_id: UUID,
    status: str | None,
    *,
    before: UUID | None,
    offset: int,
    limit: int,
) -> list[Webhook]:
    """Endpoints newest first: `limit` of them after `offset`, all older than `before`."""
    rows = await _list_page(
        tx,
        sql.SQL("SELECT {} FROM webhooks WHERE workspace_id = %(owner)s").format(_WEBHOOK),
        sql.Identifier("webhook_id"),
        {"owner": workspace_id, "status": status},
        before=before,
        offset=offset,
        limit=limit,
    )
    return [_to_webhook(row) for row in rows]


async def count_webhooks(tx: Tx, workspace_id: UUID, status: str | None) -> int:
    """How many endpoints such a list has in all."""
    return await _count(
        tx,
        "SELECT count(*) FROM webhooks WHERE workspace_id = %s "
        "AND (%s::text IS NULL OR status = %s)",
        (workspace_id, status, status),
    )


async def update_webhook(tx: Tx, webhook: Webhook) -> None:
    """Write everything of an endpoint that can change."""
    await tx.execute(
        "UPDATE webhooks SET name = %s, url = %s, events = %s, header_names = %s, headers = %s, "
        "secret = %s, previous_secret = %s, previous_until = %s, signature_format = %s, "
        "status = %s, disabled_reason = %s, failing_since = %s, version = version + 1 "
        "WHERE webhook_id = %s",
        (
            webhook.name,
            webhook.url,
            [event.value for event in webhook.events],
            list(webhook.header_names),
            webhook.headers,
            webhook.secret,
            webhook.previous_secret,
            webhook.previous_until,
            webhook.signature_format.value,
            webhook.status.value,
            webhook.disabled_reason,
            webhook.failing_since,
            webhook.webhook_id,
        ),
    )


async def delete_webhook(tx: Tx, webhook_id: UUID) -> None:
    """Remove an endpoint with its deliveries, and messages that nobody else was told."""
    await tx.execute(
        "WITH gone AS (DELETE FROM webhook_deliveries WHERE webhook_id = %(id)s "
        "RETURNING message_id) DELETE FROM webhook_messages m USING gone "
        "WHERE m.message_id = gone.message_id AND NOT EXISTS (SELECT FROM webhook_deliveries d "
        "WHERE d.message_id = m.message_id AND d.webhook_id <> %(id)s)",
        {"id": webhook_id},
    )
    await tx.execute("DELETE FROM webhooks WHERE webhook_id = %s", (webhook_id,))


async def list_targets(
    tx: Tx, workspace_id: UUID, event: str, also: UUID | None
) -> list[tuple[UUID, bool]]:
    """Active endpoints that are told of an event: subscribers, and `also`; whether each is failing."""
    cursor = await tx.execute(
        "SELECT webhook_id, failing_since IS NOT NULL FROM webhooks WHERE workspace_id = %s "
        "AND status = 'active' AND (%s = ANY(events) OR webhook_id = %s) ORDER BY webhook_id",
        (workspace_id, event, also),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def insert_message(
    tx: Tx, message_id: UUID, workspace_id: UUID, event: str, body: bytes
) -> None:
    """Store what is told."""
    await tx.execute(
        "INSERT INTO webhook_messages (message_id, workspace_id, event, body) "
        "VALUES (%s, %s, %s, %s)",
        (message_id, workspace_id, event, body),
    )


async def insert_delivery(tx: Tx, delivery_id: UUID, webhook_id: UUID, message_id: UUID) -> None:
    """Put a message on its way to an endpoint, due at once."""
    # An endpoint may be deleted while its event is written: then there is nobody to tell.
    await tx.execute(
        "INSERT INTO webhook_deliveries (delivery_id, webhook_id, message_id, next_attempt_at) "
        "SELECT %s, webhook_id, %s, now() FROM webhooks WHERE webhook_id = %s FOR KEY SHARE",
        (delivery_id, message_id, webhook_id),
    )


async def find_body(tx: Tx, message_id: UUID) -> bytes:
    """The bytes of a message."""
    cursor = await tx.execute(
        "SELECT body FROM webhook_messages WHERE message_id = %s", (message_id,)
    )
    row = await cursor.fetchone()
    return b"" if row is None else bytes(row[0])


async def find_delivery(tx: Tx, delivery_id: UUID, *, for_update: bool = False) -> Delivery | None:
    """A delivery of whichever endpoint; held when `for_update`."""
    cursor = tx.cursor(row_factory=dict_row)
    lock = sql.SQL("WHERE d.delivery_id = %s FOR UPDATE OF d")
    await cursor.execute(
        _DELIVERY + (lock if for_update else sql.SQL("WHERE d.delivery_id = %s")), (delivery_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else _to_delivery(row)


async def list_deliveries(
    tx: Tx, webhook_id: UUID, status: str | None, *, before: UUID | None, offset: int, limit: int
) -> list[Delivery]:
    """Deliveries of an endpoint newest first, after `offset` of those older than `before`."""
    rows = await _list_page(
        tx,
        _DELIVERY + sql.SQL("WHERE d.webhook_id = %(owner)s"),
        sql.Identifier("delivery_id"),
        {"owner": webhook_id, "status": status},
        before=before,
        offset=offset,
        limit=limit,
    )
    return [_to_delivery(row) for row in rows]


async def count_deliveries(tx: Tx, webhook_id: UUID, status: str | None) -> int:
    """How many deliveries such a list has in all."""
    return await _count(
        tx,
        "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = %s "
        "AND (%s::text IS NULL OR status = %s)",
        (webhook_id, status, status),
    )


async def measure_undelivered(tx: Tx) -> float:
    """Seconds since the message of the oldest pending delivery was written; 0 without one."""
    cursor = await tx.execute(
        "SELECT extract(epoch FROM clock_timestamp() - m.created_at)::float8 "
        "FROM webhook_deliveries d JOIN webhook_messages m USING (message_id) "
        "WHERE d.status = 'pending' ORDER BY d.delivery_id LIMIT 1"
    )
    row = await cursor.fetchone()
    return max(0.0, row[0]) if row else 0.0


async def summarise(tx: Tx, webhook_ids: Sequence[UUID]) -> dict[UUID, Statistics]:
    """Statistics of endpoints; those without a delivery are left out."""
    cursor = await tx.execute(
        "SELECT webhook_id, count(*) FILTER (WHERE status = 'succeeded'), "
        "count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'pending'), "
        "max(delivered_at), (array_agg(status_code ORDER BY last_attempt_at DESC) "
        "FILTER (WHERE last_attempt_at IS NOT NULL))[1] "
        "FROM webhook_deliveries WHERE webhook_id = ANY(%s) GROUP BY webhook_id",
        (list(webhook_ids),),
    )
    return {row[0]: Statistics(*row[1:]) for row in await cursor.fetchall()}


async def record_attempt(  # noqa: PLR0917 (each named by its type)
    tx: Tx,
    delivery_id: UUID,
    attempt: int,
    outcome: Outcome,
    status: DeliveryStatus,
    next_attempt_at: datetime | None,
) -> None:
    """Log an attempt, and where the delivery stands after it."""
    met = (
        outcome.status_code,
        outcome.response_time_ms,
        outcome.response_body,
        outcome.error,
    )
    await tx.execute(
        "INSERT INTO webhook_attempts (delivery_id, attempt, attempted_at, status_code, "
        "response_time_ms, response_body, error) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (delivery_id, attempt, outcome.attempted_at, *met),
    )
    await tx.execute(
        "UPDATE webhook_deliveries SET attempt = %s, status = %s, status_code = %s, "
        "response_time_ms = %s, response_body = %s, error = %s, last_attempt_at = %s, "
        "delivered_at = %s, next_attempt_at = %s WHERE delivery_id = %s",
        (
            attempt,
            status.value,
            *met,
            outcome.attempted_at,
            outcome.attempted_at if status is DeliveryStatus.SUCCEEDED else None,
            next_attempt_at,
            delivery_id,
        ),
    )


async def reopen_delivery(tx: Tx, delivery_id: UUID) -> None:
    """Make a delivery due at once, its schedule begun anew."""
    await tx.execute(
        "UPDATE webhook_deliveries SET status = 'pending', delivered_at = NULL, "
        "first_attempt = attempt, next_attempt_at = now() WHERE delivery_id = %s",
        (delivery_id,),
    )


async def fail_pending(tx: Tx, webhook_id: UUID, error: str) -> None:
    """Give up what waits for an endpoint."""
    await tx.execute(
        "UPDATE webhook_deliveries SET status = 'failed', error = %s, next_attempt_at = NULL "
        "WHERE webhook_id = %s AND status = 'pending'",
        (error, webhook_id),
    )


async def forget_deliveries(tx: Tx, before: datetime, limit: int) -> int:
    """Delete up to `limit` ended deliveries made and last tried `before`; how many there were."""
    cursor = await tx.execute(
        "DELETE FROM webhook_deliveries WHERE delivery_id IN (SELECT delivery_id "
        "FROM webhook_deliveries WHERE delivery_id < %s AND status <> 'pending' "
        "AND (last_attempt_at IS NULL OR last_attempt_at < %s) "
        "ORDER BY delivery_id LIMIT %s FOR UPDATE SKIP LOCKED)",
        (first_uuid7(before), before, limit),
    )
    return cursor.rowcount


async def forget_messages(tx: Tx, before: datetime, limit: int) -> int:
    """Delete up to `limit` messages made `before` that have no delivery any more."""
    cursor = await tx.execute(
        "DELETE FROM webhook_messages WHERE message_id IN (SELECT message_id "
        "FROM webhook_messages m WHERE message_id < %s AND NOT EXISTS (SELECT "
        "FROM webhook_deliveries d WHERE d.message_id = m.message_id) "
        "ORDER BY message_id LIMIT %s FOR UPDATE SKIP LOCKED)",
        (first_uuid7(before), limit),
    )
    return cursor.rowcount


async def note_health(tx: Tx, webhook_id: UUID, failing_since: datetime | None) -> None:
    """Remember since when an endpoint fails; `None`: it works."""
    await tx.execute(
        "UPDATE webhooks SET failing_since = %s WHERE webhook_id = %s "
        "AND failing_since IS DISTINCT FROM %s",
        (failing_since, webhook_id, failing_since),
    )


async def disable_webhook(tx: Tx, webhook_id: UUID, reason: str) -> None:
    """Stop telling an endpoint of anything."""
    await tx.execute(
        "UPDATE webhooks SET status = 'disabled', disabled_reason = %s, version = version + 1 "
        "WHERE webhook_id = %s AND status = 'active'",
        (reason, webhook_id),
    )


async def _list_page(
    tx: Tx,
    selected: sql.Composable,
    key: sql.Identifier,
    values: Mapping[str, object],
    *,
    before: UUID | None,
    offset: int,
    limit: int,
) -> list[dict[str, Any]]:
    """What is `selected` of `owner` in `status` (`None`: any), newest `key` first."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        sql.SQL(
            "SELECT * FROM ({}) AS found WHERE (%(status)s::text IS NULL OR status = %(status)s) "
            "AND (%(before)s::uuid IS NULL OR {} < %(before)s) "
            "ORDER BY {} DESC OFFSET %(offset)s LIMIT %(limit)s"
        ).format(selected, key, key),
        {**values, "before": before, "offset": offset, "limit": limit},
    )
    return await cursor.fetchall()


async def _count(tx: Tx, statement: Any, values: Sequence[object]) -> int:  # noqa: ANN401
    cursor = await tx.execute(statement, values)
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


def _to_webhook(row: dict[str, Any]) -> Webhook:
    previous: Any = row["previous_secret"]
    values: dict[str, Any] = {
        **row,
        "events": tuple(Event(event) for event in row["events"]),
        "header_names": tuple(row["header_names"]),
        "headers": bytes(row["headers"]),
        "secret": bytes(row["secret"]),
        "previous_secret": None if previous is None else bytes(previous),
        "signature_format": SignatureFormat(row["signature_format"]),
        "status": WebhookStatus(row["status"]),
    }
    return Webhook(**values)


def _to_delivery(row: dict[str, Any]) -> Delivery:
    values: dict[str, Any] = {**row, "status": DeliveryStatus(row["status"])}
    return Delivery(**values)
