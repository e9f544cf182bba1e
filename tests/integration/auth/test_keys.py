"""Keys, workspaces and links against a real database."""

from datetime import timedelta
from uuid import uuid4

import pytest

from gridmill.auth import service
from gridmill.auth.errors import KeyNotFound, LinkExpired, LinkInvalid
from gridmill.auth.model import Principal, Scope
from gridmill.kit.clock import now
from gridmill.kit.errors import Unauthorized
from gridmill.kit.pages import PageQuery
from gridmill.storage.database import Database, Tx


async def _authenticate(tx: Tx, key: str) -> Principal:
    return await service.authenticate(tx, await service.load_secret(tx), key)


async def test_a_key_stands_for_its_workspace_scopes_and_datasets(database: Database) -> None:
    dataset_id = uuid4()
    async with database.transaction() as tx:
        workspace_id = await service.ensure_workspace(tx)
        stored, key = await service.create_key(
            tx, workspace_id, "k", [Scope.READ], dataset_ids=[dataset_id]
        )
        principal = await _authenticate(tx, key)
    assert principal == Principal(
        stored.key_id, workspace_id, frozenset({Scope.READ}), frozenset({dataset_id})
    )


async def test_a_key_is_stored_hashed(database: Database) -> None:
    async with database.transaction() as tx:
        workspace_id = await service.ensure_workspace(tx)
        _, key = await service.create_key(tx, workspace_id, "k", [Scope.READ])
        cursor = await tx.execute("SELECT api_keys::text FROM api_keys")
        row = await cursor.fetchone()
    assert row is not None
    assert key not in row[0]
    assert key.encode().hex() not in row[0]


async def test_an_expired_key_stops_by_itself(database: Database) -> None:
    async with database.transaction() as tx:
        workspace_id = await service.ensure_workspace(tx)
        _, key = await service.create_key(
            tx, workspace_id, "k", [Scope.READ], expires_at=now() + timedelta(hours=1)
        )
        await _authenticate(tx, key)
        await tx.execute("UPDATE api_keys SET expires_at = clock_timestamp()")
        with pytest.raises(Unauthorized):
            await _authenticate(tx, key)


async def test_a_workspace_is_made_once(database: Database) -> None:
    async with database.transaction() as tx:
        one = await service.ensure_workspace(tx, "finance")
    async with database.transaction() as tx:
        assert await service.ensure_workspace(tx, "finance") == one
        assert await service.ensure_workspace(tx) != one


async def test_a_key_of_another_workspace_is_as_unknown_as_a_random_one(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        mine = await service.ensure_workspace(tx, "mine")
        other = await service.ensure_workspace(tx, "other")
        me = await _authenticate(tx, (await service.create_key(tx, mine, "m", [Scope.ADMIN]))[1])
        theirs, their_key = await service.create_key(tx, other, "t", [Scope.ADMIN])
        for key_id in (str(theirs.key_id), str(uuid4()), "nonsense", str(theirs.key_id).upper()):
            with pytest.raises(KeyNotFound):
                await service.revoke_key(tx, me, key_id)
            with pytest.raises(KeyNotFound):
                await service.rotate_key(tx, me, key_id)
        await _authenticate(tx, their_key)
        keys, pagination = await service.list_keys(tx, me, PageQuery())
        assert [key.name for key in keys] == ["m"]
        assert pagination.total == 1


async def test_pages_of_keys_by_number_and_by_cursor_agree(database: Database) -> None:
    async with database.transaction() as tx:
        workspace_id = await service.ensure_workspace(tx)
        made = [await service.create_key(tx, workspace_id, f"k{n}", [Scope.READ]) for n in range(7)]
        me = await _authenticate(tx, made[0][1])
        cursor, by_cursor = None, list[str]()
        for page in (1, 2, 3):
            numbered, _ = await service.list_keys(tx, me, PageQuery(page=page, limit=3))
            keys, pagination = await service.list_keys(tx, me, PageQuery(limit=3, cursor=cursor))
            cursor = pagination.next_cursor
            assert keys == numbered
            by_cursor += [key.name for key in keys]
        assert sorted(by_cursor) == [f"k{n}" for n in range(7)]
        assert cursor is None


async def test_a_link_opens_what_it_names_until_it_expires(database: Database) -> None:
    object_id, workspace_id = uuid4(), uuid4()
    async with database.transaction() as tx:
        token = await service.sign_link(
            tx, "export", object_id, workspace_id, now() + timedelta(minutes=1)
        )
        link = await service.verify_link(tx, token)
        assert (link.kind, link.object_id, link.workspace_id) == (
            "export",
            object_id,
            workspace_id,
        )
        old = await service.sign_link(
            tx, "export", object_id, workspace_id, now() - timedelta(seconds=1)
        )
        with pytest.raises(LinkExpired):
            await service.verify_link(tx, old)


async def test_an_altered_link_is_invalid_wherever_it_was_altered(database: Database) -> None:
    async with database.transaction() as tx:
        token = await service.sign_link(tx, "export", uuid4(), uuid4(), now() + timedelta(hours=1))
        altered = [
            token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            for place in range(len(token))
        ]
        for text in [*altered, "", ".", "a.b", token + "A", token * 20, "é.é", token + "."]:
            with pytest.raises(LinkInvalid):
                await service.verify_link(tx, text)
