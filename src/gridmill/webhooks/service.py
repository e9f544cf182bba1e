"""Use cases of the webhooks room. Other rooms enter here, to tell of events and check ids."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gridmill.auth import service as auth
from gridmill.auth.model import Principal
from gridmill.engine.port import Engine
from gridmill.kit.clock import now
from gridmill.kit.egress import AddressRules, check_url
from gridmill.kit.errors import InsufficientScope, QuotaExceeded, ValidationFailed
from gridmill.kit.ids import new_uuid7, parse_uuid
from gridmill.kit.pages import PageQuery, Pagination, cut_page, find_place
from gridmill.storage.database import Tx
from gridmill.storage.quotas import hold_quota
from gridmill.webhooks import repository
from gridmill.webhooks.errors import (
    DeliveryNotFound,
    WebhookHeaderInvalid,
    WebhookNotFound,
    WebhookUrlInvalid,
)
from gridmill.webhooks.events import make_deliver_job, send, tell
from gridmill.webhooks.model import (
    MAX_WEBHOOKS,
    OVERLAP,
    Delivery,
    Event,
    SignatureFormat,
    Statistics,
    Webhook,
    WebhookStatus,
    check_headers,
)

__all__ = ["Event", "check_webhook", "tell"]

_NONCE_BYTES = 12
_DISABLED = "The webhook was disabled before this was delivered."


@dataclass(frozen=True, slots=True)
class WebhookFields:
    """What a client says of a webhook; `None` is left as it is."""

    name: str | None = None
    url: str | None = None
    events: Sequence[Event] | None = None
    headers: Mapping[str, str] | None = None
    secret: str | None = None
    signature_format: SignatureFormat | None = None
    status: WebhookStatus | None = None


async def check_webhook(tx: Tx, workspace_id: UUID, webhook_id: str | None) -> UUID | None:
    """The id of a webhook that something names to be told.

    Raises:
        WebhookNotFound: malformed, unknown, or another workspace's.
        ValidationFailed: it is disabled.
    """
    if webhook_id is None:
        return None
    webhook = await _find(tx, workspace_id, webhook_id)
    if webhook.status is WebhookStatus.DISABLED:
        raise ValidationFailed.of("webhookId", "This webhook is disabled; enable it first.")
    return webhook.webhook_id


async def create_webhook(
    tx: Tx, rules: AddressRules, principal: Principal, fields: WebhookFields
) -> Webhook:
    """Make an endpoint.

    Raises:
        InsufficientScope, WebhookUrlInvalid, WebhookHeaderInvalid.
        QuotaExceeded: the workspace has `MAX_WEBHOOKS`, disabled ones included.
    """
    _check_reach(principal)
    _check_fields(rules, fields)
    await hold_quota(tx, "webhooks", principal.workspace_id)
    if await repository.count_webhooks(tx, principal.workspace_id, None) >= MAX_WEBHOOKS:
        message = f"A workspace has at most {MAX_WEBHOOKS} webhooks; delete one first."
        raise QuotaExceeded("webhooks", MAX_WEBHOOKS, message)
    key = await _load_key(tx)
    webhook_id = new_uuid7()
    headers = dict(fields.headers or {})
    webhook = Webhook(
        webhook_id=webhook_id,
        workspace_id=principal.workspace_id,
        name=fields.name or "",
        url=fields.url or "",
        events=tuple(fields.events or ()),
        header_names=tuple(headers),
        headers=_encrypt(key, webhook_id, orjson.dumps(headers)),
        secret=_encrypt(key, webhook_id, (fields.secret or "").encode()),
        previous_secret=None,
        previous_until=None,
        signature_format=fields.signature_format or SignatureFormat.HEX,
        status=WebhookStatus.ACTIVE,
        disabled_reason=None,
        failing_since=None,
        version=1,
        created_at=now(),
    )
    await repository.insert_webhook(tx, webhook)
    return webhook


async def get_webhook(
    tx: Tx, principal: Principal, webhook_id: str, *, for_update: bool = False
) -> Webhook:
    """An endpoint of the principal's workspace; held when `for_update`.

    Raises:
        InsufficientScope: the key is limited to datasets; webhooks tell of the whole workspace.
        WebhookNotFound: malformed, unknown, or another workspace's.
    """
    _check_reach(principal)
    return await _find(tx, principal.workspace_id, webhook_id, for_update=for_update)


async def list_webhooks(
    tx: Tx, principal: Principal, paging: PageQuery, status: str | None
) -> tuple[list[Webhook], Pagination]:
    """A page of the workspace's endpoints, newest first."""
    _check_reach(principal)
    before, offset = find_place(paging)
    found = await repository.list_webhooks(
        tx, principal.workspace_id, status, before=before, offset=offset, limit=paging.limit + 1
    )
    total = await repository.count_webhooks(tx, principal.workspace_id, status)
    return cut_page(paging, found, total, lambda webhook: webhook.webhook_id)


async def summarise(tx: Tx, webhooks: Sequence[Webhook]) -> dict[UUID, Statistics]:
    """The statistics of each endpoint."""
    found = await repository.summarise(tx, [webhook.webhook_id for webhook in webhooks])
    return {w.webhook_id: found.get(w.webhook_id, Statistics()) for w in webhooks}


async def update_webhook(
    tx: Tx, rules: AddressRules, webhook: Webhook, fields: WebhookFields
) -> Webhook:
    """Change an endpoint that is held; disabling gives up what waits for it.

    Raises:
        WebhookUrlInvalid, WebhookHeaderInvalid.
    """
    _check_fields(rules, fields)
    key = await _load_key(tx)
    given = (fields.name, fields.url, fields.signature_format)
    name, url, signature_format = given
    changed = replace(
        webhook,
        name=name or webhook.name,
        url=url or webhook.url,
        events=webhook.events if fields.events is None else tuple(fields.events),
        signature_format=signature_format or webhook.signature_format,
    )
    if fields.headers is not None:
        sealed = _encrypt(key, webhook.webhook_id, orjson.dumps(dict(fields.headers)))
        changed = replace(changed, header_names=tuple(fields.headers), headers=sealed)
    if fields.secret is not None:
        sealed = _encrypt(key, webhook.webhook_id, fields.secret.encode())
        changed = replace(changed, secret=sealed, previous_secret=None, previous_until=None)
    if fields.status is WebhookStatus.ACTIVE:
        changed = replace(changed, status=fields.status, disabled_reason=None, failing_since=None)
    elif fields.status is WebhookStatus.DISABLED and webhook.status is WebhookStatus.ACTIVE:
        reason = "It was disabled by a request."
        changed = replace(changed, status=fields.status, disabled_reason=reason)
        await repository.fail_pending(tx, webhook.webhook_id, _DISABLED)
    await repository.update_webhook(tx, changed)
    return replace(changed, version=webhook.version + 1)


async def delete_webhook(tx: Tx, webhook: Webhook) -> None:
    """Remove an endpoint; what waits for it is not sent."""
    await repository.delete_webhook(tx, webhook.webhook_id)


async def rotate_secret(tx: Tx, webhook: Webhook, secret: str | None) -> tuple[Webhook, str]:
    """Exchange the secret of an endpoint that is held; the old one signs beside it for 24 h.

    The webhook and the new secret, which is made when none is given.
    """
    text = secret or base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    key = await _load_key(tx)
    changed = replace(
        webhook,
        secret=_encrypt(key, webhook.webhook_id, text.encode()),
        previous_secret=webhook.secret,
        previous_until=now() + OVERLAP,
    )
    await repository.update_webhook(tx, changed)
    return replace(changed, version=webhook.version + 1), text


async def send_test(tx: Tx, engine: Engine, webhook: Webhook) -> Delivery:
    """Send `webhook.test` to one endpoint.

    Raises:
        ValidationFailed: it is disabled.
    """
    _check_active(webhook)
    targets = [(webhook.webhook_id, webhook.failing_since is not None)]
    data = {"webhookId": webhook.webhook_id, "name": webhook.name}
    made = await send(tx, engine, webhook.workspace_id, Event.TEST, data, targets)
    return await _reread(tx, made[0])


async def list_deliveries(
    tx: Tx, webhook: Webhook, paging: PageQuery, status: str | None = None
) -> tuple[list[Delivery], Pagination]:
    """A page of an endpoint's deliveries, newest first."""
    before, offset = find_place(paging)
    found = await repository.list_deliveries(
        tx, webhook.webhook_id, status, before=before, offset=offset, limit=paging.limit + 1
    )
    total = await repository.count_deliveries(tx, webhook.webhook_id, status)
    return cut_page(paging, found, total, lambda delivery: delivery.delivery_id)


async def measure_undelivered(tx: Tx) -> float:
    """How late the oldest delivery is that is still tried, in seconds, over all workspaces."""
    return await repository.measure_undelivered(tx)


async def find_delivery(
    tx: Tx, webhook: Webhook, delivery_id: str, *, for_update: bool = False
) -> Delivery:
    """A delivery of this webhook; `DeliveryNotFound` when it has none with this id."""
    known = parse_uuid(delivery_id)
    found = (
        None if known is None else await repository.find_delivery(tx, known, for_update=for_update)
    )
    if found is None or found.webhook_id != webhook.webhook_id:
        raise DeliveryNotFound
    return found


async def retry_delivery(tx: Tx, engine: Engine, webhook: Webhook, delivery_id: str) -> Delivery:
    """Send a delivery again, at once, whatever became of it; the schedule begins anew.

    Raises:
        DeliveryNotFound, ValidationFailed: the webhook is disabled.
    """
    delivery = await find_delivery(tx, webhook, delivery_id, for_update=True)
    _check_active(webhook)
    await repository.reopen_delivery(tx, delivery.delivery_id)
    job = make_deliver_job(
        delivery.delivery_id, webhook.webhook_id, delivery.attempt + 1, is_failing=False
    )
    await engine.enqueue(tx, [job])
    return await _reread(tx, delivery.delivery_id)


async def open_secrets(tx: Tx, webhook: Webhook) -> tuple[list[str], dict[str, str]]:
    """What signs now, the present secret first, and the custom headers, in the clear."""
    key = await _load_key(tx)
    secrets = [_decrypt(key, webhook.webhook_id, webhook.secret).decode()]
    until = webhook.previous_until
    if webhook.previous_secret is not None and until is not None and until > now():
        secrets.append(_decrypt(key, webhook.webhook_id, webhook.previous_secret).decode())
    return secrets, orjson.loads(_decrypt(key, webhook.webhook_id, webhook.headers))


async def _find(
    tx: Tx, workspace_id: UUID, webhook_id: str, *, for_update: bool = False
) -> Webhook:
    known = parse_uuid(webhook_id)
    found = (
        None
        if known is None
        else await repository.find_webhook(tx, workspace_id, known, for_update=for_update)
    )
    if found is None:
        raise WebhookNotFound
    return found


async def _reread(tx: Tx, delivery_id: UUID) -> Delivery:
    found = await repository.find_delivery(tx, delivery_id)
    if found is None:
        raise DeliveryNotFound
    return found


async def _load_key(tx: Tx) -> bytes:
    return await auth.load_key(tx, b"webhook")


def _check_reach(principal: Principal) -> None:
    if principal.dataset_ids is not None:
        raise InsufficientScope("This key is limited to datasets and reaches no webhooks.")


def _check_active(webhook: Webhook) -> None:
    if webhook.status is WebhookStatus.DISABLED:
        raise ValidationFailed.of("status", "This webhook is disabled; enable it first.")


def _check_fields(rules: AddressRules, fields: WebhookFields) -> None:
    if fields.url is not None and (fault := check_url(fields.url, rules)) is not None:
        raise WebhookUrlInvalid(fault)
    if fields.headers is not None and (found := check_headers(fields.headers)) is not None:
        raise WebhookHeaderInvalid(found[1], found[0])


def _encrypt(key: bytes, webhook_id: UUID, text: bytes) -> bytes:
    """AES-256-GCM, bound to its webhook; the nonce goes before it."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, webhook_id.bytes)


def _decrypt(key: bytes, webhook_id: UUID, sealed: bytes) -> bytes:
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    return AESGCM(key).decrypt(nonce, rest, webhook_id.bytes)
