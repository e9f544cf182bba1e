"""The routes of `/keys`."""

from starlette.responses import Response

from gridmill.auth import service
from gridmill.auth.errors import KeyNotFound, UnknownDataset
from gridmill.auth.model import Scope
from gridmill.auth.schemas import KeyCreate, KeyList, KeyWithSecret, to_item
from gridmill.kit.http import (
    CallDep,
    EmptyBody,
    ListQuery,
    make_router,
    no_content,
    operation,
    reply,
)

router = make_router()


@router.post(
    "/keys",
    **operation(
        "createKey",
        "Keys",
        scope=Scope.ADMIN,
        body=KeyCreate,
        reply=KeyWithSecret,
        status=201,
        errors=(UnknownDataset,),
        shown_once=("key",),
    ),
)
async def create_key(call: CallDep) -> Response:
    """Make an API key. The reply is the only place where the key itself is ever shown."""
    principal = service.principal_of(call)
    body = await call.body(KeyCreate)
    tx = await call.tx()
    find_dataset = call.service(service.DatasetFinder)
    key, text = await service.create_key(
        tx,
        principal.workspace_id,
        body.name,
        body.scopes,
        expires_at=body.expires_at,
        dataset_ids=None
        if body.dataset_ids is None
        else [await find_dataset(tx, principal, dataset_id) for dataset_id in body.dataset_ids],
    )
    return reply({**to_item(key), "key": text}, 201)


@router.get(
    "/keys", **operation("listKeys", "Keys", scope=Scope.ADMIN, query=ListQuery, reply=KeyList)
)
async def list_keys(call: CallDep) -> Response:
    """List the workspace's keys, newest first; revoked ones are left out."""
    paging = call.query(ListQuery).paging
    keys, pagination = await service.list_keys(await call.tx(), service.principal_of(call), paging)
    return reply({"keys": [to_item(key) for key in keys], "pagination": pagination.to_wire()})


@router.post(
    "/keys/{key_id}/rotate",
    **operation(
        "rotateKey",
        "Keys",
        scope=Scope.ADMIN,
        body=EmptyBody,
        body_required=False,
        reply=KeyWithSecret,
        errors=(KeyNotFound,),
        shown_once=("key",),
    ),
)
async def rotate_key(call: CallDep, key_id: str) -> Response:
    """Put a new secret behind a key. The old one stops at once; the new one is shown this once."""
    key, text = await service.rotate_key(await call.tx(), service.principal_of(call), key_id)
    await call.body(EmptyBody, optional=True)
    return reply({**to_item(key), "key": text})


@router.delete(
    "/keys/{key_id}",
    **operation("revokeKey", "Keys", scope=Scope.ADMIN, status=204, errors=(KeyNotFound,)),
)
async def revoke_key(call: CallDep, key_id: str) -> Response:
    """Revoke a key. It stops at once, in every process."""
    await service.revoke_key(await call.tx(), service.principal_of(call), key_id)
    return no_content()
