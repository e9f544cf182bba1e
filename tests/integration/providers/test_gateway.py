import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from gridmill.kit.clock import now
from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.errors import BudgetReached, ModelError, ProviderRefused, UnknownModel
from gridmill.providers.llm.fake.answers import fill_schema
from gridmill.providers.llm.fake.behaviour import FakeRequest
from gridmill.providers.llm.fake.server import FakeServer
from gridmill.providers.llm.memory import MemoryAnswers
from gridmill.providers.llm.model import Completion, Frame, ModelRef, Usage
from gridmill.providers.llm.prices import Price
from tests.support.models import SCHEMA, WORKSPACE, ask, ask_rows, open_gateway, refuse_first
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def fake() -> AsyncGenerator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_an_answer_comes_with_its_usage_and_cost(fake: FakeServer, provider: str) -> None:
    prices = {"test-model": Price(1_000_000, 0)}
    async with open_gateway(fake.url, provider=provider, prices=prices) as gateway:
        got = await gateway.complete(ask("row 1"), workspace_id=WORKSPACE)
    assert set(got.data) == {"sector", "staff"}
    assert got.usage.requests == 1
    assert got.usage.prompt_tokens > 0
    assert got.usage.completion_tokens > 0
    assert got.usage.cost_usd == got.usage.prompt_tokens
    assert (got.cached, got.provider, got.model) == (False, provider, "test-model")


async def test_a_call_without_a_known_price_has_no_known_cost(fake: FakeServer) -> None:
    async with open_gateway(fake.url) as gateway:
        paid = await gateway.complete(ask("row 1"), workspace_id=WORKSPACE)
        stored = await gateway.complete(ask("row 1"), workspace_id=WORKSPACE)
    assert paid.usage.prompt_tokens > 0
    assert paid.usage.cost_usd is None
    assert (stored.cached, stored.usage.cost_usd) == (True, 0.0)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("supports", [["json_schema"], ["tools"], ["json_object"], []])
async def test_every_rung_answers_and_is_remembered(
    fake: FakeServer, provider: str, supports: list[str]
) -> None:
    fake.behaviour = replace(fake.behaviour, supports=frozenset(supports))
    async with open_gateway(fake.url, provider=provider) as gateway:
        for number in range(5):
            await gateway.complete(ask(f"row {number}"), workspace_id=WORKSPACE)
    assert fake.answered == 5
    assert fake.calls <= 5 + 3
    assert len({request.shape for request in list(fake.requests)[-4:]}) == 1


async def test_a_server_that_ignores_the_order_is_asked_in_words(fake: FakeServer) -> None:
    fake.behaviour = replace(fake.behaviour, supports=frozenset(), ignores_unsupported=True)

    def answer(request: FakeRequest) -> dict[str, object] | str:
        return fill_schema(request) if request.shape == "text" else "I would say farming."

    fake.answer = answer
    async with open_gateway(fake.url, concurrency=1) as gateway:
        results = await gateway.complete_many(ask_rows(20), workspace_id=WORKSPACE)
    assert sum(isinstance(result, Completion) for result in results) >= 15


async def test_parameters_that_a_model_refuses_are_left_out(fake: FakeServer) -> None:
    fake.behaviour = replace(fake.behaviour, wants_completion_limit=True, takes_temperature=False)
    async with open_gateway(fake.url) as gateway:
        for number in range(3):
            await gateway.complete(ask(f"row {number}"), workspace_id=WORKSPACE)
    assert (fake.calls, fake.answered) == (5, 3)


async def test_the_same_question_is_paid_once(fake: FakeServer) -> None:
    fake.behaviour = replace(fake.behaviour, latency=0.02)
    requests = ask_rows(500, distinct=50)
    async with open_gateway(fake.url) as gateway:
        parts = await asyncio.gather(
            *(
                gateway.complete_many(requests[start : start + 100], workspace_id=WORKSPACE)
                for start in range(0, 500, 100)
            )
        )
    results = [result for part in parts for result in part]
    answers = [result.data for result in results if isinstance(result, Completion)]
    assert len(answers) == 500
    assert fake.calls == 50
    usage = sum((result.usage for result in results), Usage())
    assert (usage.requests, usage.cached_requests) == (50, 450)
    assert answers[:50] == answers[50:100]


async def test_stored_answers_are_used_by_their_own_workspace_only(fake: FakeServer) -> None:
    store = MemoryAnswers()
    async with open_gateway(fake.url, store=store) as gateway:
        first = await gateway.complete(ask("row"), workspace_id=WORKSPACE)
    async with open_gateway(fake.url, store=store) as gateway:
        again = await gateway.complete(ask("row"), workspace_id=WORKSPACE)
        assert again.cached
        assert again.data == first.data
        assert again.usage == Usage(cached_requests=1)
        assert await gateway.find_stored([ask("row"), ask("x")], workspace_id=WORKSPACE) == [
            True,
            False,
        ]
        other = await gateway.complete(ask("row"), workspace_id=UUID(int=7))
        assert not other.cached
    assert fake.calls == 2


async def test_asking_again_reads_nothing_old_and_stores_the_new(fake: FakeServer) -> None:
    async with open_gateway(fake.url) as gateway:
        await gateway.complete(ask("row"), workspace_id=WORKSPACE)
        task_began = now()
        for _ in range(3):
            await gateway.complete(ask("row"), workspace_id=WORKSPACE, fresh_after=task_began)
        assert fake.calls == 2
        await gateway.complete(ask("row"), workspace_id=WORKSPACE, refresh=True)
        assert fake.calls == 3
        later = now() + timedelta(hours=1)
        assert await gateway.find_stored(
            [ask("row")], workspace_id=WORKSPACE, fresh_after=later
        ) == [False]


async def test_without_the_cache_every_request_is_sent_and_none_is_stored(fake: FakeServer) -> None:
    async with open_gateway(fake.url) as gateway:
        await gateway.complete_many([ask("row")] * 3, workspace_id=WORKSPACE, use_cache=False)
        assert fake.calls == 3
        assert await gateway.find_stored([ask("row")], workspace_id=WORKSPACE) == [False]


async def test_a_stored_answer_that_no_longer_fits_is_asked_again(fake: FakeServer) -> None:
    async with open_gateway(fake.url) as gateway:
        await gateway.complete(ask("row"), workspace_id=WORKSPACE)
        request = ask("row", refuse_first(["too small"]))
        got = await gateway.complete(request, workspace_id=WORKSPACE)
        assert not got.cached
    assert fake.calls == 2


async def test_equal_questions_under_unequal_rules_each_get_a_fitting_answer(
    fake: FakeServer,
) -> None:
    strict = refuse_first(["not that one"])
    async with open_gateway(fake.url) as gateway:
        results = await gateway.complete_many(
            [ask("row"), ask("row", strict)], workspace_id=WORKSPACE
        )
    assert all(isinstance(result, Completion) for result in results)
    assert fake.calls == 2


async def test_a_budget_is_never_passed_and_ends_cleanly(fake: FakeServer) -> None:
    fake.behaviour = replace(fake.behaviour, latency=0.005)
    budget = Budget(max_tokens=3000)
    async with open_gateway(fake.url, concurrency=16) as gateway:
        results = await gateway.complete_many(ask_rows(200), workspace_id=WORKSPACE, budget=budget)
    done = [result for result in results if isinstance(result, Completion)]
    spent = sum((result.usage for result in done), Usage())
    assert all(isinstance(r, Completion | BudgetReached) for r in results)
    assert budget.reached
    assert 3000 - 300 < spent.prompt_tokens + spent.completion_tokens <= 3000
    assert fake.calls == len(done)


async def test_a_cost_budget_is_kept_too(fake: FakeServer) -> None:
    prices = {"test-model": Price(10, 10)}
    budget = Budget(max_cost_usd=0.01)
    async with open_gateway(fake.url, concurrency=4, prices=prices) as gateway:
        results = await gateway.complete_many(ask_rows(100), workspace_id=WORKSPACE, budget=budget)
    spent = sum((result.usage.cost_usd or 0.0 for result in results), 0.0)
    assert 0.005 < spent <= 0.01


async def test_a_cancelled_caller_abandons_its_calls_but_not_those_of_others(
    fake: FakeServer,
) -> None:
    fake.behaviour = replace(fake.behaviour, latency=0.3)
    async with open_gateway(fake.url, concurrency=4) as gateway:
        mine = asyncio.create_task(gateway.complete_many(ask_rows(50), workspace_id=WORKSPACE))
        other = asyncio.create_task(gateway.complete(ask("row 0"), workspace_id=WORKSPACE))
        await eventually(lambda: fake.in_flight == 4)
        mine.cancel()
        got = await other
        assert got.data
        with pytest.raises(asyncio.CancelledError):
            await mine
        # The slots of what was abandoned are free for the next.
        await asyncio.wait_for(gateway.complete(ask("next"), workspace_id=WORKSPACE), 5)
    assert fake.calls <= 9


async def test_closing_ends_what_is_under_way_with_an_error(fake: FakeServer) -> None:
    fake.behaviour = replace(fake.behaviour, hanging=1.0)
    gateway = open_gateway(fake.url)
    task = asyncio.create_task(gateway.complete_many(ask_rows(3), workspace_id=WORKSPACE))
    await eventually(lambda: fake.in_flight == 3)
    await gateway.close()
    results = await asyncio.wait_for(task, 5)
    assert all(isinstance(result, ModelError) for result in results)


async def test_models_are_named_by_provider_or_alone(fake: FakeServer) -> None:
    async with open_gateway(fake.url) as gateway:
        assert gateway.resolve(None) == ModelRef("openai", "test-model")
        assert gateway.resolve("openai/gpt-4o") == ModelRef("openai", "gpt-4o")
        assert gateway.resolve("meta-llama/L") == ModelRef("openai", "meta-llama/L")
        with pytest.raises(UnknownModel):
            gateway.resolve("anthropic/claude-sonnet-4-5")


async def test_a_wrong_key_ends_the_batch_and_never_shows(fake: FakeServer) -> None:
    fake.behaviour = replace(fake.behaviour, api_key="another", latency=0.0)
    key = "sk-proj-Very_Secret0123456789"
    async with open_gateway(fake.url, key=key, concurrency=8) as gateway:
        results = await gateway.complete_many(ask_rows(200), workspace_id=WORKSPACE)
    assert all(isinstance(result, ProviderRefused) for result in results)
    assert fake.calls <= 16
    for result in results:
        assert isinstance(result, ProviderRefused)
        assert not result.retryable
        assert "Secret" not in f"{result} {result!r} {result.__cause__!r}"


async def test_the_last_property_of_a_shared_frame_may_be_anything(fake: FakeServer) -> None:
    frame = Frame("Sys «ünïcode» \n\t\\", {**SCHEMA, "description": 'quo"te'}, temperature=None)
    async with open_gateway(fake.url) as gateway:
        await gateway.complete(ask('p "x" \u2028', frame=frame), workspace_id=WORKSPACE)
    assert fake.requests[0].prompt == 'p "x" \u2028'
    assert fake.requests[0].system == frame.system
