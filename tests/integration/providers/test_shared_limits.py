import asyncio
import sys
import time
from uuid import uuid4

import pytest
import pytest_asyncio

from gridmill.engine.answers import PostgresAnswers
from gridmill.engine.limits import PostgresLimiter
from gridmill.providers.llm.fake.behaviour import Behaviour
from gridmill.providers.llm.fake.server import FakeServer
from gridmill.providers.llm.lane import Lane, Signal
from gridmill.providers.llm.model import Completion, Limits
from gridmill.providers.llm.ports import Claim, Share
from gridmill.storage.database import Database
from tests.support.models import WORKSPACE, ask_rows, open_gateway
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def stored(database: Database) -> Database:
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO workspaces (workspace_id, name) VALUES (%s, 'w')", (WORKSPACE,)
        )
    return database


class CountingLimiter(PostgresLimiter):
    renewals = 0

    async def renew(self, claim: Claim) -> Share:
        self.renewals += 1
        return await super().renew(claim)


async def test_two_workers_together_keep_the_concurrency_of_one(stored: Database) -> None:
    async with FakeServer(Behaviour(latency=0.02)) as fake:
        limiter = CountingLimiter(stored)
        gateways = [open_gateway(fake.url, concurrency=8, limiter=limiter) for _ in range(2)]
        began = time.monotonic()
        first = asyncio.create_task(
            gateways[0].complete_many(ask_rows(600), workspace_id=WORKSPACE)
        )
        await eventually(lambda: fake.in_flight == 8)
        second = asyncio.create_task(
            gateways[1].complete_many(ask_rows(200), workspace_id=WORKSPACE)
        )
        results = [result for part in await asyncio.gather(first, second) for result in part]
        assert all(isinstance(result, Completion) for result in results)
        assert fake.peak <= 8
        assert limiter.renewals <= 12 + 8 * (time.monotonic() - began)
        for gateway in gateways:
            await gateway.close()


async def test_a_rate_is_kept_by_two_workers_and_costs_few_round_trips(stored: Database) -> None:
    limits = Limits(50, requests_per_minute=1800)
    limiter = CountingLimiter(stored)
    lanes = [Lane("scope", limits, limiter, uuid4()) for _ in range(2)]
    passed: list[float] = []

    async def run(lane: Lane, calls: int) -> None:
        for _ in range(calls):
            await lane.enter(1)
            passed.append(time.monotonic())
            lane.leave(Signal.GOOD)

    began = time.monotonic()
    await asyncio.gather(*(run(lane, 60) for lane in lanes))
    took = time.monotonic() - began
    assert limiter.renewals < 0.6 * 120
    # A bucket of 60, then 28 a second.
    assert (120 - 60) / 30 - 0.1 <= took <= 4.5
    for start in passed:
        assert sum(1 for moment in passed if start <= moment < start + 1) <= 60 + 30
    for lane in lanes:
        await lane.close()


async def test_a_warm_lane_lets_calls_start_without_asking_again(stored: Database) -> None:
    limiter = CountingLimiter(stored)
    lane = Lane("scope", Limits(4), limiter, uuid4())
    lane.warm_up()
    await eventually(lambda: limiter.renewals == 1 and lane.has_grant)
    for _ in range(4):
        await lane.enter(1)
    assert limiter.renewals == 1
    assert lane.in_use == 4
    for _ in range(4):
        lane.leave(Signal.GOOD)
    await lane.close()


async def test_tokens_are_settled_by_what_a_call_really_took(stored: Database) -> None:
    lane = Lane("tokens", Limits(4, tokens_per_minute=60_000), PostgresLimiter(stored), uuid4())
    await lane.enter(2000)
    lane.leave(Signal.GOOD, unspent=1900)
    began = time.monotonic()
    await lane.enter(1800)
    assert time.monotonic() - began < 1
    lane.leave(Signal.GOOD)
    await lane.close()


async def test_a_killed_process_pays_twice_for_no_more_than_what_was_in_flight(
    stored: Database,
) -> None:
    concurrency = 16
    async with FakeServer(Behaviour(latency=0.05)) as fake:
        arguments = [fake.url, stored.url, str(concurrency)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.gateway_process", *arguments
        )
        await eventually(lambda: fake.calls >= 200, timeout=30)
        process.kill()
        await process.wait()
        assert fake.calls < 400
        store = PostgresAnswers(stored)
        async with open_gateway(fake.url, concurrency=concurrency, store=store) as gateway:
            results = await gateway.complete_many(ask_rows(400), workspace_id=WORKSPACE)
        assert all(isinstance(result, Completion) for result in results)
        assert fake.calls <= 400 + concurrency


async def test_workers_that_store_the_same_answers_at_once_do_not_deadlock(
    stored: Database,
) -> None:
    async with FakeServer() as fake:
        gateways = [open_gateway(fake.url, store=PostgresAnswers(stored)) for _ in range(4)]
        parts = await asyncio.gather(
            *(
                gateway.complete_many(ask_rows(100), workspace_id=WORKSPACE, refresh=True)
                for gateway in gateways
            )
        )
        assert all(isinstance(result, Completion) for part in parts for result in part)
        for gateway in gateways:
            await gateway.close()
