"""A bench for tasks, on a database of its own for each test."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from tests.support.task_bench import Bench, open_bench


@pytest_asyncio.fixture
async def bench(database_url: str) -> AsyncGenerator[Bench]:
    async with open_bench(database_url) as opened:
        yield opened
