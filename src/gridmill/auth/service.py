"""Use cases of the auth room: keys, principals, workspaces, signed links."""

import base64
import binascii
import hmac
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import orjson

from gridmill.auth import repository
from gridmill.auth.errors import KeyNotFound, LinkExpired, LinkInvalid
from gridmill.auth.model import (
    DEFAULT_WORKSPACE,
    ApiKey,
    Link,
    Principal,
    Scope,
    derive_key,
    hash_key,
    hint_of,
    is_well_formed_key,
    make_key,
    sign,
)
from gridmill.kit.clock import now
from gridmill.kit.errors import Unauthorized, ValidationFailed
from gridmill.kit.http import Call
from gridmill.kit.ids import new_uuid7, parse_uuid
from gridmill.kit.pages import PageQuery, Pagination, decode_cursor, encode_cursor
from gridmill.storage.database import Tx

_LINK_LIMIT = 1024


class DatasetFinder(Protocol):
    """What a key that is limited to datasets needs of the room above; bootstrap brings it."""

    async def __call__(self, tx: Tx, principal: Principal, dataset_id: str) -> UUID:
        """The dataset's id; its room's 404 unless it is one that the principal reaches."""
        ...


def principal_of(call: Call) -> Principal:
    """The principal of a request under `/api/v2`.

    Raises:
        Unauthorized: elsewhere, where no key is asked for.
    """
    caller = call.caller
    if not isinstance(caller, Principal):
        raise Unauthorized
    return caller


async def load_secret(tx: Tx) -> bytes:
    """The installation's secret (32 bytes): pepper of the keys, signing key of the links."""
    return await repository.load_secret(tx)


def read_bearer(header: str | None) -> str:
    """The key in an `Authorization` header.

    Raises:
        Unauthorized: there is none, or one that cannot be a key; no database is asked.
    """
    scheme, _, key = (header or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not is_well_formed_key(key):
        raise Unauthorized
    return key


async def authenticate(tx: Tx, secret: bytes, key: str) -> Principal:
    """Whoever a well-formed key stands for. Asked of the database each time: a revocation acts at once.

    Raises:
        Unauthorized: unknown, revoked or expired.
    """
    principal = await repository.find_principal(tx, hash_key(secret, key))
    if principal is None:
        raise Unauthorized
    return principal


async def has_keys(tx: Tx) -> bool:
    """Whether the installation has, or ever had, any key."""
    return await repository.has_keys(tx)


async def ensure_workspace(tx: Tx, name: str = DEFAULT_WORKSPACE) -> UUID:
    """The id of the workspace called `name`, which is made when it does not exist."""
    return await repository.ensure_workspace(tx, new_uuid7(), name)


async def create_key(
    tx: Tx,
    workspace_id: UUID,
    name: str,
    scopes: Collection[Scope],
    *,
    expires_at: datetime | None = None,
    dataset_ids: Collection[UUID] | None = None,
) -> tuple[ApiKey, str]:
    """A new key: what is stored of it, and the key itself, which is shown this once."""
    secret = await repository.load_secret(tx)
    text = make_key()
    key = ApiKey(
        key_id=new_uuid7(),
        workspace_id=workspace_id,
        name=name,
        hint=hint_of(text),
        scopes=frozenset(scopes),
        dataset_ids=None if dataset_ids is None else frozenset(dataset_ids),
        created_at=now(),
        expires_at=expires_at,
    )
    await repository.insert_key(tx, key, hash_key(secret, text))
    return key, text


async def list_keys(
    tx: Tx, principal: Principal, paging: PageQuery
) -> tuple[list[ApiKey], Pagination]:
    """A page of the workspace's keys, newest first, revoked ones left out."""
    before, offset = None, paging.offset
    if paging.cursor is not None:
        before, offset = parse_uuid(decode_cursor(paging.cursor, 1)[0]), 0
        if before is None:
            raise ValidationFailed.of("cursor", "This cursor is not one that a reply gave.")
    found = await repository.list_keys(
        tx, principal.workspace_id, before=before, offset=offset, limit=paging.limit + 1
    )
    keys = found[: paging.limit]
    more = encode_cursor(keys[-1].key_id) if len(found) > paging.limit else None
    total = await repository.count_keys(tx, principal.workspace_id)
    return keys, Pagination(paging.page, paging.limit, total, more)


async def rotate_key(tx: Tx, principal: Principal, key_id: str) -> tuple[ApiKey, str]:
    """Another secret for the same key; the old one stops at once.

    Raises:
        KeyNotFound: not a key of this workspace, or revoked.
    """
    known = parse_uuid(key_id)
    if known is None:
        raise KeyNotFound
    secret = await repository.load_secret(tx)
    text = make_key()
    key = await repository.replace_key(
        tx, principal.workspace_id, known, hint_of(text), hash_key(secret, text)
    )
    if key is None:
        raise KeyNotFound
    return key, text


async def revoke_key(tx: Tx, principal: Principal, key_id: str) -> None:
    """End a key, at once.

    Raises:
        KeyNotFound: not a key of this workspace, or revoked before.
    """
    known = parse_uuid(key_id)
    if known is None or not await repository.revoke_key(tx, principal.workspace_id, known, now()):
        raise KeyNotFound


async def sign_link(
    tx: Tx, kind: str, object_id: UUID, workspace_id: UUID, expires_at: datetime
) -> str:
    """A token that opens one object without a key until `expires_at` (kept to the second).

    `call.absolute_url(f"/downloads/{token}")` makes it a link.
    """
    payload = orjson.dumps([kind, object_id, workspace_id, int(expires_at.timestamp())])
    signature = sign(await repository.load_secret(tx), payload)
    return f"{_to_base64(payload)}.{_to_base64(signature)}"


async def verify_link(tx: Tx, token: str) -> Link:
    """What a token opens.

    Raises:
        LinkInvalid: altered, or not made by this installation.
        LinkExpired: its time is over.
    """
    payload_text, _, signature_text = token.partition(".")
    try:
        if len(token) > _LINK_LIMIT or not token.isascii():
            raise LinkInvalid
        payload, signature = _from_base64(payload_text), _from_base64(signature_text)
    except binascii.Error:
        raise LinkInvalid from None
    if not hmac.compare_digest(sign(await repository.load_secret(tx), payload), signature):
        raise LinkInvalid
    kind, object_id, workspace_id, expires_at = orjson.loads(payload)
    link = Link(
        kind, UUID(object_id), UUID(workspace_id), datetime.fromtimestamp(expires_at, tz=UTC)
    )
    if link.expires_at <= now():
        raise LinkExpired
    return link


def _to_base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    """The bytes of canonical base64url; `binascii.Error` for any other way to write them."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _to_base64(raw) != text:
        raise binascii.Error("not canonical")
    return raw


async def load_key(tx: Tx, purpose: bytes) -> bytes:
    """A key (32 bytes) for one purpose of another room, derived from the installation's secret."""
    return derive_key(await repository.load_secret(tx), purpose)
