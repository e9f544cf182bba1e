import asyncio

import pytest

from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.errors import BudgetReached
from gridmill.providers.llm.model import Usage

pytestmark = pytest.mark.unit


async def test_the_first_call_goes_alone_and_is_the_measure_for_the_others() -> None:
    budget = Budget(max_tokens=100)
    first = await budget.reserve(90, None)
    second = asyncio.create_task(budget.reserve(90, None))
    await asyncio.sleep(0)
    assert not second.done()
    budget.settle(first, Usage(1, 0, 18, 2))
    assert (await second).tokens == 25
    assert (await budget.reserve(90, None)).tokens == 25
    assert not budget.reached


async def test_a_call_that_does_not_fit_beside_what_is_set_aside_is_refused_in_the_end() -> None:
    budget = Budget(max_tokens=100)
    budget.settle(await budget.reserve(90, None), Usage(1, 0, 35, 5))
    second = await budget.reserve(90, None)
    third = asyncio.create_task(budget.reserve(90, None))
    await asyncio.sleep(0)
    assert not third.done()
    budget.settle(second, Usage(1, 0, 35, 5))
    with pytest.raises(BudgetReached):
        await third
    assert budget.reached


async def test_a_cap_smaller_than_one_call_admits_the_first_alone() -> None:
    budget = Budget(max_tokens=10)
    budget.settle(await budget.reserve(500, None), Usage(1, 0, 90, 20))
    with pytest.raises(BudgetReached):
        await budget.reserve(500, None)


async def test_the_dearest_call_counts_and_never_more_than_is_possible() -> None:
    budget = Budget(max_cost_usd=1.0)
    budget.settle(await budget.reserve(10, 0.9), Usage(1, 0, 5, 5, 0.3))
    budget.settle(await budget.reserve(10, 0.9), Usage(1, 0, 5, 5, 0.1))
    assert (await budget.reserve(10, 0.9)).cost_usd == 0.3
    assert (await budget.reserve(10, 0.2)).cost_usd == 0.2


async def test_what_was_spent_before_counts() -> None:
    budget = Budget(max_tokens=100, spent=Usage(3, 0, 70, 20))
    with pytest.raises(BudgetReached):
        await budget.reserve(90, None)


async def test_a_failed_call_gives_back_what_was_set_aside() -> None:
    budget = Budget(max_tokens=100)
    budget.settle(await budget.reserve(90, None), Usage())
    assert (await budget.reserve(90, None)).tokens == 90


async def test_free_models_fit_into_any_cost_limit() -> None:
    budget = Budget(max_cost_usd=0.0)
    for _ in range(3):
        budget.settle(await budget.reserve(10, 0.0), Usage(1, 0, 5, 5, 0.0))
    assert not budget.reached


async def test_a_cost_limit_without_a_price_is_refused() -> None:
    with pytest.raises(BudgetReached, match="price"):
        await Budget(max_cost_usd=5.0).reserve(1, None)
