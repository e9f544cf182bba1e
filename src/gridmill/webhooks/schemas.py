"""Wire shapes of webhooks and deliveries."""

from typing import Any, Literal

from pydantic import Field, field_validator

from gridmill.kit.clock import to_wire
from gridmill.kit.http import PAGE_LIMIT, ListQuery, PaginationReply, WireModel
from gridmill.webhooks.model import (
    MIN_SECRET_LENGTH,
    Delivery,
    Event,
    SignatureFormat,
    Statistics,
    Webhook,
    WebhookStatus,
)
from gridmill.webhooks.service import WebhookFields

_MASK = "********"
_MOST_SECRET = 1_024
_MOST_EVENTS = 20
# Enough to be told that a URL is too long, and why.
_MOST_URL = 100_000


class WebhookUpdate(WireModel):
    """What changes of a webhook; what is left out stays."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    url: str | None = Field(default=None, max_length=_MOST_URL)
    events: list[Event] | None = Field(default=None, max_length=_MOST_EVENTS)
    headers: dict[str, str] | None = Field(default=None, description="Sent along; all at once")
    secret: str | None = Field(default=None, min_length=MIN_SECRET_LENGTH, max_length=_MOST_SECRET)
    signature_format: SignatureFormat | None = None
    status: WebhookStatus | None = None

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        if name is not None and not name.strip():
            raise ValueError("This must not be blank.")
        return name

    def to_fields(self) -> WebhookFields:
        """As the service takes it; an event that is given twice counts once."""
        events = None if self.events is None else tuple(dict.fromkeys(self.events))
        return WebhookFields(
            self.name,
            self.url,
            events,
            self.headers,
            self.secret,
            self.signature_format,
            self.status,
        )


class WebhookCreate(WireModel):
    """A webhook to make."""

    name: str = Field(min_length=1, max_length=200, description="What people call it")
    url: str = Field(max_length=_MOST_URL, description="Where events are sent")
    events: list[Event] = Field(max_length=_MOST_EVENTS, description="What it subscribes to")
    headers: dict[str, str] = Field(default_factory=dict[str, str], description="Sent along")
    secret: str = Field(
        min_length=MIN_SECRET_LENGTH, max_length=_MOST_SECRET, description="Signs what is sent"
    )
    signature_format: SignatureFormat = Field(
        default=SignatureFormat.HEX, description="How `X-Webhook-Signature` is written"
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("This must not be blank.")
        return name

    def to_fields(self) -> WebhookFields:
        """As the service takes it; an event that is given twice counts once."""
        return WebhookFields(
            self.name,
            self.url,
            tuple(dict.fromkeys(self.events)),
            self.headers,
            self.secret,
            self.signature_format,
        )


class SecretRotate(WireModel):
    """The next secret; made by the server when left out."""

    secret: str | None = Field(default=None, min_length=MIN_SECRET_LENGTH, max_length=_MOST_SECRET)


class WebhookListQuery(ListQuery):
    """Which webhooks."""

    status: Literal["active", "disabled"] | None = None


class DeliveryListQuery(ListQuery):
    """Which deliveries."""

    status: Literal["pending", "succeeded", "failed"] | None = None


class StatisticsReply(WireModel):
    """Deliveries by what became of them."""

    delivered: int
    failed: int
    pending: int
    last_delivery_at: str | None
    last_status_code: int | None


class WebhookItem(WireModel):
    """A webhook; its secret is never shown."""

    webhook_id: str
    name: str
    url: str
    events: list[Event] = Field(max_length=_MOST_EVENTS)
    headers: dict[str, str] = Field(description="Values masked")
    signature_format: SignatureFormat
    created_at: str
    status: WebhookStatus
    disabled_reason: str | None
    statistics: StatisticsReply


class DeliveryItem(WireModel):
    """One message on its way to one webhook."""

    delivery_id: str
    event: str
    message_id: str
    status: Literal["pending", "succeeded", "failed"]
    attempt: int
    status_code: int | None
    response_time_ms: int | None
    response_body: str | None
    error: str | None
    delivered_at: str | None
    next_attempt_at: str | None


class WebhookReply(WebhookItem):
    """A webhook with its latest deliveries."""

    recent_deliveries: list[DeliveryItem] = Field(max_length=PAGE_LIMIT)


class WebhookList(WireModel):
    """A page of webhooks."""

    webhooks: list[WebhookItem] = Field(max_length=PAGE_LIMIT)
    pagination: PaginationReply


class DeliveryList(WireModel):
    """A page of deliveries."""

    deliveries: list[DeliveryItem] = Field(max_length=PAGE_LIMIT)
    pagination: PaginationReply


class RotatedReply(WebhookItem):
    """A webhook with its new secret, shown this once."""

    secret: str
    standard_secret: str = Field(description="The same for libraries of Standard Webhooks")
    previous_secret_until: str | None


def write_item(webhook: Webhook, statistics: Statistics) -> dict[str, Any]:
    """A webhook as lists show it."""
    return {
        "webhookId": str(webhook.webhook_id),
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "headers": dict.fromkeys(webhook.header_names, _MASK),
        "signatureFormat": webhook.signature_format,
        "createdAt": to_wire(webhook.created_at),
        "status": webhook.status,
        "disabledReason": webhook.disabled_reason,
        "statistics": {
            "delivered": statistics.delivered,
            "failed": statistics.failed,
            "pending": statistics.pending,
            "lastDeliveryAt": to_wire(statistics.last_delivery_at),
            "lastStatusCode": statistics.last_status_code,
        },
    }


def write_delivery(delivery: Delivery) -> dict[str, Any]:
    """A delivery as the log shows it."""
    return {
        "deliveryId": str(delivery.delivery_id),
        "event": delivery.event,
        "messageId": str(delivery.message_id),
        "status": delivery.status,
        "attempt": delivery.attempt,
        "statusCode": delivery.status_code,
        "responseTimeMs": delivery.response_time_ms,
        "responseBody": delivery.response_body,
        "error": delivery.error,
        "deliveredAt": to_wire(delivery.delivered_at),
        "nextAttemptAt": to_wire(delivery.next_attempt_at),
    }
