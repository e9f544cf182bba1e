import asyncio

import pytest

from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.errors import BudgetReached
from gridmill.providers.llm.model import Usage

pytestmark = pytest.mark.unit


async def test_a_call_that_might_cost_more_than_is_left_is_refused() -> None:
    budget = Budget(max_tokens=100)
    first = await budget.reserve(60, None)
    budget.settle(first, Usage(1, 0, 50, 10))
    with pytest.raises(BudgetReached):
        await budget.reserve(41, None)
    assert budget.reached


async def test_a_call_waits_for_those_in_flight_to_settle() -> None:
    budget = Budget(max_cost_usd=1.0)
    first = await budget.reserve(10, 0.9)
    second = asyncio.create_task(budget.reserve(10, 0.5))
    await asyncio.sleep(0)
    assert not second.done()
    budget.settle(first, Usage(cost_usd=0.1))
    assert (await second).cost_usd == 0.5
    assert not budget.reached


async def test_what_was_spent_before_counts() -> None:
    budget = Budget(max_tokens=100, spent=Usage(3, 0, 70, 20))
    with pytest.raises(BudgetReached):
        await budget.reserve(11, None)


async def test_a_cost_limit_without_a_price_is_refused() -> None:
    with pytest.raises(BudgetReached, match="price"):
        await Budget(max_cost_usd=5.0).reserve(1, None)
