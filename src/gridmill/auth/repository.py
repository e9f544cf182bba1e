"""All SQL of the auth room."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from gridmill.auth.model import ApiKey, Principal, Scope
from gridmill.storage.database import Tx

_KEY_COLUMNS = """key_id, workspace_id, name, hint, scopes, dataset_ids, created_at, expires_at"""


async def load_secret(tx: Tx) -> bytes:
    """The installation's secret, 32 bytes."""
    cursor = await tx.execute("SELECT secret FROM installation")
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("the schema is not migrated: there is no installation row")
    return bytes(row[0])


async def find_principal(tx: Tx, key_hash: bytes) -> Principal | None:
    """Whoever the key with this hash stands for, unless it is revoked or expired."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        """SELECT key_id, workspace_id, scopes, dataset_ids FROM api_keys
           WHERE key_hash = %s AND revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > clock_timestamp())""",
        (key_hash,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Principal(
        row["key_id"], row["workspace_id"], _to_scopes(row["scopes"]), _to_ids(row["dataset_ids"])
    )


async def ensure_workspace(tx: Tx, workspace_id: UUID, name: str) -> UUID:
    """The workspace called `name`, made under `workspace_id` when there is none."""
    await tx.execute(
        "INSERT INTO workspaces (workspace_id, name) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING",
        (workspace_id, name),
    )
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute("SELECT workspace_id FROM workspaces WHERE name = %s", (name,))
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError(f"workspace {name!r} vanished while it was made")
    return row["workspace_id"]


async def has_keys(tx: Tx) -> bool:
    """Whether there is any key, revoked ones included."""
    cursor = await tx.execute("SELECT EXISTS (SELECT FROM api_keys)")
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def insert_key(tx: Tx, key: ApiKey, key_hash: bytes) -> None:
    """Store a new key."""
    await tx.execute(
        """INSERT INTO api_keys (key_id, workspace_id, name, hint, key_hash, scopes, dataset_ids,
                                 created_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            key.key_id,
            key.workspace_id,
            key.name,
            key.hint,
            key_hash,
            sorted(key.scopes),
            None if key.dataset_ids is None else sorted(key.dataset_ids),
            key.created_at,
            key.expires_at,
        ),
    )


async def list_keys(
    tx: Tx, workspace_id: UUID, *, before: UUID | None, offset: int, limit: int
) -> list[ApiKey]:
    """Keys that are not revoked, newest first, after `offset` of those older than `before`."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        f"""SELECT {_KEY_COLUMNS} FROM api_keys
            WHERE workspace_id = %s AND revoked_at IS NULL
              AND (%s::uuid IS NULL OR key_id < %s::uuid)
            ORDER BY key_id DESC OFFSET %s LIMIT %s""",  # noqa: S608 - constants only
        (workspace_id, before, before, offset, limit),
    )
    return [_to_key(row) for row in await cursor.fetchall()]


async def count_keys(tx: Tx, workspace_id: UUID) -> int:
    """How many keys of the workspace are not revoked."""
    cursor = await tx.execute(
        "SELECT count(*) FROM api_keys WHERE workspace_id = %s AND revoked_at IS NULL",
        (workspace_id,),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def replace_key(
    tx: Tx, workspace_id: UUID, key_id: UUID, hint: str, key_hash: bytes
) -> ApiKey | None:
    """Put another secret behind a key; `None` when there is no such key."""
    cursor = tx.cursor(row_factory=dict_row)
    await cursor.execute(
        f"""UPDATE api_keys SET hint = %s, key_hash = %s
            WHERE workspace_id = %s AND key_id = %s AND revoked_at IS NULL
            RETURNING {_KEY_COLUMNS}""",  # noqa: S608 - constants only
        (hint, key_hash, workspace_id, key_id),
    )
    row = await cursor.fetchone()
    return None if row is None else _to_key(row)


async def revoke_key(tx: Tx, workspace_id: UUID, key_id: UUID, at: datetime) -> bool:
    """Mark a key as revoked; whether there was one."""
    cursor = await tx.execute(
        """UPDATE api_keys SET revoked_at = %s
           WHERE workspace_id = %s AND key_id = %s AND revoked_at IS NULL""",
        (at, workspace_id, key_id),
    )
    return cursor.rowcount > 0


def _to_key(row: dict[str, Any]) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        hint=row["hint"],
        scopes=_to_scopes(row["scopes"]),
        dataset_ids=_to_ids(row["dataset_ids"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def _to_scopes(names: Sequence[str]) -> frozenset[Scope]:
    return frozenset(Scope(name) for name in names)


def _to_ids(ids: Sequence[UUID] | None) -> frozenset[UUID] | None:
    return None if ids is None else frozenset(ids)
