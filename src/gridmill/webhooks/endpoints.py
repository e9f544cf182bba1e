"""The routes of `/webhooks`."""

import base64

from starlette.responses import Response

from gridmill.auth.model import Scope
from gridmill.auth.service import principal_of
from gridmill.engine.port import Engine
from gridmill.kit.clock import to_wire
from gridmill.kit.egress import AddressRules
from gridmill.kit.errors import QuotaExceeded
from gridmill.kit.http import (
    Call,
    CallDep,
    EmptyBody,
    check_match,
    make_etag,
    make_router,
    no_content,
    operation,
    reply,
)
from gridmill.kit.pages import PageQuery
from gridmill.webhooks import service
from gridmill.webhooks.errors import (
    DeliveryNotFound,
    WebhookHeaderInvalid,
    WebhookNotFound,
    WebhookUrlInvalid,
)
from gridmill.webhooks.model import Webhook
from gridmill.webhooks.schemas import (
    DeliveryItem,
    DeliveryList,
    DeliveryListQuery,
    RotatedReply,
    SecretRotate,
    WebhookCreate,
    WebhookItem,
    WebhookList,
    WebhookListQuery,
    WebhookReply,
    WebhookUpdate,
    write_delivery,
    write_item,
)

router = make_router()
_TAG = "Webhooks"
_ONE = "/webhooks/{webhook_id}"


@router.post(
    "/webhooks",
    **operation(
        "createWebhook",
        _TAG,
        scope=Scope.WRITE,
        body=WebhookCreate,
        reply=WebhookItem,
        status=201,
        errors=(WebhookUrlInvalid, WebhookHeaderInvalid, QuotaExceeded),
        reply_headers={"Location": "The webhook"},
        tagged=True,
    ),
)
async def create_webhook(call: CallDep) -> Response:
    """Make a webhook. Its secret is never shown again."""
    body = await call.body(WebhookCreate)
    webhook = await service.create_webhook(
        await call.tx(), call.service(AddressRules), principal_of(call), body.to_fields()
    )
    location = f"/api/v2/webhooks/{webhook.webhook_id}"
    headers = {"Location": location, "ETag": make_etag(_tag_of(webhook))}
    return reply(await _show(call, webhook), 201, headers)


@router.get(
    "/webhooks",
    **operation("listWebhooks", _TAG, scope=Scope.READ, query=WebhookListQuery, reply=WebhookList),
)
async def list_webhooks(call: CallDep) -> Response:
    """List webhooks, newest first."""
    query = call.query(WebhookListQuery)
    tx = await call.tx()
    found, pagination = await service.list_webhooks(
        tx, principal_of(call), query.paging, query.status
    )
    statistics = await service.summarise(tx, found)
    items = [write_item(webhook, statistics[webhook.webhook_id]) for webhook in found]
    return reply({"webhooks": items, "pagination": pagination.to_wire()})


@router.get(
    _ONE,
    **operation(
        "getWebhook",
        _TAG,
        scope=Scope.READ,
        reply=WebhookReply,
        errors=(WebhookNotFound,),
        tagged=True,
    ),
)
async def get_webhook(call: CallDep, webhook_id: str) -> Response:
    """Read a webhook with its latest deliveries."""
    webhook = await _find(call, webhook_id)
    recent, _ = await service.list_deliveries(await call.tx(), webhook, PageQuery())
    shown = await _show(call, webhook)
    body = {**shown, "recentDeliveries": [write_delivery(one) for one in recent]}
    return reply(body, headers={"ETag": make_etag(_tag_of(webhook))})


@router.patch(
    _ONE,
    **operation(
        "updateWebhook",
        _TAG,
        scope=Scope.WRITE,
        body=WebhookUpdate,
        reply=WebhookItem,
        errors=(WebhookNotFound, WebhookUrlInvalid, WebhookHeaderInvalid),
        tagged=True,
    ),
)
async def update_webhook(call: CallDep, webhook_id: str) -> Response:
    """Change a webhook; `status: active` enables it again."""
    await _find(call, webhook_id)
    body = await call.body(WebhookUpdate)
    webhook = await _hold(call, webhook_id)
    changed = await service.update_webhook(
        await call.tx(), call.service(AddressRules), webhook, body.to_fields()
    )
    headers = {"ETag": make_etag(_tag_of(changed))}
    return reply(await _show(call, changed), headers=headers)


@router.delete(
    _ONE,
    **operation(
        "deleteWebhook",
        _TAG,
        scope=Scope.WRITE,
        status=204,
        errors=(WebhookNotFound,),
        tagged=True,
    ),
)
async def delete_webhook(call: CallDep, webhook_id: str) -> Response:
    """Delete a webhook with its deliveries."""
    await service.delete_webhook(await call.tx(), await _hold(call, webhook_id))
    return no_content()


@router.post(
    f"{_ONE}/test",
    **operation(
        "testWebhook",
        _TAG,
        scope=Scope.WRITE,
        body=EmptyBody,
        body_required=False,
        reply=DeliveryItem,
        status=202,
        errors=(WebhookNotFound,),
    ),
)
async def test_webhook(call: CallDep, webhook_id: str) -> Response:
    """Send `webhook.test` in the background; the reply is the delivery to look for."""
    webhook = await _find(call, webhook_id)
    await call.body(EmptyBody, optional=True)
    made = await service.send_test(await call.tx(), call.service(Engine), webhook)
    return reply(write_delivery(made), 202)


@router.get(
    f"{_ONE}/deliveries",
    **operation(
        "listDeliveries",
        _TAG,
        scope=Scope.READ,
        query=DeliveryListQuery,
        reply=DeliveryList,
        errors=(WebhookNotFound,),
    ),
)
async def list_deliveries(call: CallDep, webhook_id: str) -> Response:
    """List a webhook's deliveries, newest first."""
    webhook = await _find(call, webhook_id)
    query = call.query(DeliveryListQuery)
    found, pagination = await service.list_deliveries(
        await call.tx(), webhook, query.paging, query.status
    )
    items = [write_delivery(one) for one in found]
    return reply({"deliveries": items, "pagination": pagination.to_wire()})


@router.post(
    f"{_ONE}/deliveries/{{delivery_id}}/retry",
    **operation(
        "retryDelivery",
        _TAG,
        scope=Scope.WRITE,
        body=EmptyBody,
        body_required=False,
        reply=DeliveryItem,
        status=202,
        errors=(WebhookNotFound, DeliveryNotFound),
    ),
)
async def retry_delivery(call: CallDep, webhook_id: str, delivery_id: str) -> Response:
    """Send a delivery again, at once."""
    webhook = await _find(call, webhook_id)
    await service.find_delivery(await call.tx(), webhook, delivery_id)
    await call.body(EmptyBody, optional=True)
    again = await service.retry_delivery(
        await call.tx(), call.service(Engine), webhook, delivery_id
    )
    return reply(write_delivery(again), 202)


@router.post(
    f"{_ONE}/rotate-secret",
    **operation(
        "rotateWebhookSecret",
        _TAG,
        scope=Scope.WRITE,
        shown_once=("secret", "standardSecret"),
        body=SecretRotate,
        body_required=False,
        reply=RotatedReply,
        errors=(WebhookNotFound,),
    ),
)
async def rotate_secret(call: CallDep, webhook_id: str) -> Response:
    """Exchange the secret; the old one signs beside the new one for 24 hours."""
    await _find(call, webhook_id)
    body = await call.body(SecretRotate, optional=True)
    webhook = await _hold(call, webhook_id)
    changed, secret = await service.rotate_secret(await call.tx(), webhook, body.secret)
    more = {
        "secret": secret,
        "standardSecret": "whsec_" + base64.b64encode(secret.encode()).decode(),
        "previousSecretUntil": to_wire(changed.previous_until),
    }
    return reply({**await _show(call, changed), **more})


async def _find(call: Call, webhook_id: str) -> Webhook:
    return await service.get_webhook(await call.tx(), principal_of(call), webhook_id)


async def _hold(call: Call, webhook_id: str) -> Webhook:
    """The webhook, held until the transaction ends, in the state that `If-Match` names.

    Only once the body is read: whoever tells the webhook of an event waits for it.
    """
    webhook = await service.get_webhook(
        await call.tx(), principal_of(call), webhook_id, for_update=True
    )
    check_match(call.request, _tag_of(webhook))
    return webhook


def _tag_of(webhook: Webhook) -> list[object]:
    """What its tag stands for: what a request can change, not the statistics of its deliveries."""
    return [str(webhook.webhook_id), webhook.version]


async def _show(call: Call, webhook: Webhook) -> dict[str, object]:
    statistics = await service.summarise(await call.tx(), [webhook])
    return write_item(webhook, statistics[webhook.webhook_id])
