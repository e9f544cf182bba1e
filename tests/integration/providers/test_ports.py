"""What every implementation of the gateway's ports must do: one suite, in memory and on PostgreSQL."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from gridmill.engine.answers import PostgresAnswers
from gridmill.engine.limits import PostgresLimiter
from gridmill.kit.clock import now
from gridmill.providers.llm.memory import MemoryAnswers, MemoryLimiter
from gridmill.providers.llm.model import Limits
from gridmill.providers.llm.ports import AnswerStore, Claim, Limiter, NewAnswer
from gridmill.storage.database import Database
from tests.support.models import WORKSPACE
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

OTHER = UUID("01890000-0000-7000-8000-000000000002")
KINDS = pytest.mark.parametrize("kind", ["memory", "postgres"])


@pytest_asyncio.fixture
async def workspaces(module_database: Database) -> Database:
    async with module_database.transaction() as tx:
        for workspace in (WORKSPACE, OTHER):
            await tx.execute(
                "INSERT INTO workspaces (workspace_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (workspace, str(workspace)),
            )
    return module_database


def make_store(kind: str, database: Database) -> AnswerStore:
    return MemoryAnswers() if kind == "memory" else PostgresAnswers(database)


def make_limiter(kind: str, database: Database) -> Limiter:
    return MemoryLimiter() if kind == "memory" else PostgresLimiter(database)


def answer(key: bytes, data: dict[str, Any], workspace: UUID = WORKSPACE) -> NewAnswer:
    return NewAnswer(workspace, key, "openai", "m", data, 10, 5)


def new_key() -> bytes:
    return uuid4().bytes + uuid4().bytes


@KINDS
async def test_what_was_saved_is_found_as_it_was(kind: str, workspaces: Database) -> None:
    store = make_store(kind, workspaces)
    first, second, unknown = new_key(), new_key(), new_key()
    odd = {"z": "nul \0 ü", "a": [12345678901234567890123, 1.5, None, True], "": {"b": {}}}
    await store.save([answer(first, odd), answer(second, {"x": 1})])
    found = await store.find(WORKSPACE, [first, second, unknown])
    assert dict(found) == {first: odd, second: {"x": 1}}
    assert list(found[first]) == ["z", "a", ""]
    assert dict(await store.find(WORKSPACE, [])) == {}
    await store.save([])


@KINDS
async def test_no_workspace_finds_anothers_answers(kind: str, workspaces: Database) -> None:
    store = make_store(kind, workspaces)
    key = new_key()
    await store.save([answer(key, {"of": "mine"}), answer(key, {"of": "other"}, OTHER)])
    assert dict(await store.find(WORKSPACE, [key])) == {key: {"of": "mine"}}
    assert dict(await store.find(OTHER, [key])) == {key: {"of": "other"}}


@KINDS
async def test_a_later_answer_replaces_and_is_young_again(kind: str, workspaces: Database) -> None:
    store = make_store(kind, workspaces)
    key = new_key()
    await store.save([answer(key, {"x": 1})])
    between = now()
    assert await store.find(WORKSPACE, [key], since=between + timedelta(seconds=1)) == {}
    await store.save([answer(key, {"x": 2})])
    found = await store.find(WORKSPACE, [key], since=between)
    assert dict(found) == {key: {"x": 2}}


@KINDS
async def test_a_holder_alone_gets_all_and_two_share(kind: str, workspaces: Database) -> None:
    limiter, scope = make_limiter(kind, workspaces), str(uuid4())
    first, second = uuid4(), uuid4()
    limits = Limits(10)
    share = await limiter.renew(Claim(scope, first, limits, 0, 10))
    assert share.concurrency == 10
    assert share.ttl > 1
    share = await limiter.renew(Claim(scope, second, limits, 0, 10))
    assert share.concurrency == 0
    share = await limiter.renew(Claim(scope, first, limits, 7, 10))
    assert share.concurrency == 5
    share = await limiter.renew(Claim(scope, second, limits, 0, 10))
    assert share.concurrency == 3
    await limiter.release(Claim(scope, first, limits, 0, 0))
    share = await limiter.renew(Claim(scope, second, limits, 3, 10))
    assert share.concurrency == 10


@KINDS
async def test_scopes_do_not_touch_each_other(kind: str, workspaces: Database) -> None:
    limiter = make_limiter(kind, workspaces)
    for _ in range(3):
        share = await limiter.renew(Claim(str(uuid4()), uuid4(), Limits(4), 0, 4))
        assert share.concurrency == 4


@KINDS
async def test_the_grant_of_a_crashed_holder_runs_out_within_seconds(
    kind: str, workspaces: Database
) -> None:
    limiter, scope = make_limiter(kind, workspaces), str(uuid4())
    await limiter.renew(Claim(scope, uuid4(), Limits(4), 4, 4))
    second = uuid4()

    async def has_all() -> bool:
        return (await limiter.renew(Claim(scope, second, Limits(4), 0, 4))).concurrency == 4

    assert not await has_all()
    await eventually(has_all, timeout=8)


@KINDS
async def test_requests_and_tokens_come_out_of_one_bucket_for_all(
    kind: str, workspaces: Database
) -> None:
    limiter, scope = make_limiter(kind, workspaces), str(uuid4())
    limits = Limits(10, requests_per_minute=300, tokens_per_minute=30_000)
    first, second = uuid4(), uuid4()
    share = await limiter.renew(Claim(scope, first, limits, 0, 10, requests=6, tokens=5000))
    assert share.requests == 6
    assert share.tokens == 1000
    assert share.retry_in is not None
    share = await limiter.renew(Claim(scope, second, limits, 0, 10, requests=100))
    assert share.requests == pytest.approx(2, abs=0.5)
    await limiter.release(Claim(scope, first, limits, 0, 0, requests=-6))
    share = await limiter.renew(Claim(scope, second, limits, 0, 10, requests=100))
    assert share.requests == pytest.approx(8, abs=1)


async def test_old_answers_are_forgotten_and_young_ones_stay(workspaces: Database) -> None:
    store = PostgresAnswers(workspaces)
    old, young = new_key(), new_key()
    await store.save([answer(old, {"x": 1}), answer(young, {"x": 2})])
    async with workspaces.transaction() as tx:
        await tx.execute(
            "UPDATE model_answers SET created_at = now() - interval '91 days' WHERE key = %s",
            (old,),
        )
    cleaning = asyncio.create_task(store.forget_old(timedelta(days=90)))

    async def is_gone() -> bool:
        return dict(await store.find(WORKSPACE, [old, young])) == {young: {"x": 2}}

    await eventually(is_gone)
    cleaning.cancel()
