"""Webhooks, deliveries and signatures: pure rules."""

import base64
import hashlib
import hmac
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from uuid import UUID

MIN_SECRET_LENGTH = 16
MAX_HEADERS = 10
MAX_HEADER_LENGTH = 2_048
KEPT_BYTES = 16 * 1024
"""Of a reply, what the log keeps."""
OVERLAP = timedelta(hours=24)
"""How long an exchanged secret still signs beside the new one."""
PATIENCE = timedelta(days=5)
"""After failing for so long without one success an endpoint is disabled."""
KEPT_FOR = timedelta(days=30)
"""How long messages and ended deliveries are kept after their last attempt."""
MAX_WEBHOOKS = 100
"""Of a workspace: every event is written to each of its subscribers in one transaction."""
LANES = 4
"""Deliveries that one healthy endpoint gets at the same time; a failing one gets one."""

_MINUTE, _HOUR = 60.0, 3_600.0
SCHEDULE = (
    *(5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR),
    *(10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""Seconds from each failed attempt to the next; after the last there is none."""
_JITTER = 0.1
_LONGEST_RETRY_AFTER = 24 * _HOUR

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?", re.ASCII)
_REFUSED_HEADERS = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection", "host"),
        *("user-agent", "x-webhook-signature", "accept-encoding"),
    }
)
_REFUSED_PREFIXES = ("content-", "webhook-", "x-gridmill-")


class Event(StrEnum):
    """What can be told."""

    DATASET_CREATED = "dataset.created"
    TASK_STARTED = "dataset.task.started"
    TASK_COMPLETED = "dataset.task.completed"
    TASK_FAILED = "dataset.task.failed"
    TASK_CANCELLED = "dataset.task.cancelled"
    DATASOURCE_PROCESSED = "datasource.processed"
    DATASOURCE_FAILED = "datasource.failed"
    TEST = "webhook.test"


class SignatureFormat(StrEnum):
    """How `X-Webhook-Signature` is written."""

    HEX = "hex"
    SHA256 = "sha256="
    TIMESTAMPED = "t=,v1="


class WebhookStatus(StrEnum):
    """Whether an endpoint is told of anything."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """Where a message stands on its way to one endpoint."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Deliveries of an endpoint, and its latest attempt."""

    delivered: int = 0
    failed: int = 0
    pending: int = 0
    last_delivery_at: datetime | None = None
    last_status_code: int | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint; `headers`, `secret` and `previous_secret` are encrypted."""

    webhook_id: UUID
    workspace_id: UUID
    name: str
    url: str
    events: tuple[Event, ...]
    header_names: tuple[str, ...]
    headers: bytes
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None
    signature_format: SignatureFormat
    status: WebhookStatus
    disabled_reason: str | None
    failing_since: datetime | None
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way to an endpoint, with what its latest attempt met."""

    delivery_id: UUID
    webhook_id: UUID
    message_id: UUID
    event: str
    status: DeliveryStatus
    attempt: int
    first_attempt: int
    status_code: int | None
    response_time_ms: int | None
    response_body: str | None
    error: str | None
    delivered_at: datetime | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt: either a reply (`status_code`) or an `error`; times in milliseconds."""

    attempted_at: datetime
    response_time_ms: int
    status_code: int | None = None
    response_body: str | None = None
    error: str | None = None
    retry_after: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the reply was 200 to 299."""
        return self.status_code is not None and 200 <= self.status_code <= 299


def check_headers(headers: Mapping[str, str]) -> tuple[str | None, str] | None:
    """The first fault of custom headers: the header, if it is one's, and a sentence."""
    if len(headers) > MAX_HEADERS:
        return None, f"A webhook has at most {MAX_HEADERS} custom headers."
    if len({name.lower() for name in headers}) < len(headers):
        return None, "A header may be given once, however its name is written."
    for name, value in headers.items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name):
            return name, "This is not the name of a header."
        if lower in _REFUSED_HEADERS or lower.startswith(_REFUSED_PREFIXES):
            return name, f"The header {name} is set by this server and cannot be chosen."
        if len(value) > MAX_HEADER_LENGTH or not _HEADER_VALUE.fullmatch(value):
            return name, f"A header's value is 1 to {MAX_HEADER_LENGTH} printable ASCII characters."
    return None


def sign(
    message_id: str,
    body: bytes,
    secrets: Sequence[str],
    signature_format: SignatureFormat,
    moment: datetime,
) -> dict[str, str]:
    """The headers that sign `body` (https://www.standardwebhooks.com, and `X-Webhook-Signature`).

    `secrets`: the present one first, then one that was exchanged lately. Keys are their UTF-8
    bytes; a receiver gives a Standard Webhooks library `whsec_` and their base64.
    """
    seconds = str(int(moment.timestamp()))
    signed = b".".join((message_id.encode(), seconds.encode(), body))
    tokens = [
        "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(tokens),
        "X-Webhook-Signature": _write_signature(body, secrets[0], signature_format, seconds),
    }


def _write_signature(
    body: bytes, secret: str, signature_format: SignatureFormat, seconds: str
) -> str:
    key = secret.encode()
    if signature_format is SignatureFormat.TIMESTAMPED:
        signed = f"{seconds}.".encode() + body
        return f"t={seconds},v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}"
    digest = hmac.new(key, body, hashlib.sha256).hexdigest()
    return f"sha256={digest}" if signature_format is SignatureFormat.SHA256 else digest


def choose_delay(
    failures: int, retry_after: str | None, moment: datetime, jitter: float | None = None
) -> float | None:
    """Seconds until the next attempt after `failures` (from 1) in a row; `None`: no more.

    `jitter` is -1 to 1, drawn when left out: a tenth of the delay at most. An endpoint that asks
    for more time (`Retry-After`) gets it, up to a day.
    """
    if failures > len(SCHEDULE):
        return None
    drawn = random.uniform(-1, 1) if jitter is None else jitter  # noqa: S311 - spreads load only
    delay = SCHEDULE[failures - 1] * (1 + _JITTER * drawn)
    asked = read_retry_after(retry_after, moment)
    return delay if asked is None else max(delay, min(asked, _LONGEST_RETRY_AFTER))


def read_retry_after(text: str | None, moment: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, from a number or a date; `None` when it says neither."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (until - moment).total_seconds())
    except (ValueError, OverflowError):
        return None


def keep_text(body: bytes) -> str:
    """What the log keeps of a reply: its first 16 KiB as text that PostgreSQL can store."""
    return body[:KEPT_BYTES].decode("utf-8", "replace").replace("\0", "�")
