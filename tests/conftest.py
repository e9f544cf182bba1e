"""Fixtures that every test may use."""

import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from gridmill.storage.database import Database
from tests.support.postgres import Server, serve_tests

# How fast examples come depends on what else the machine does, and is no property of the code.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A red run has to mean that the change broke something: the suite tries the same examples each
# time. `make test ARGS=--hypothesis-profile=search` looks for new ones.
settings.register_profile("gridmill", settings.get_profile("search"), derandomize=True)
settings.load_profile("gridmill")

# A developer's own weights would change what tasks answer, and how fast.
os.environ["GRIDMILL_MODELS_DIR"] = os.devnull + "/none"

_KINDS = frozenset({"unit", "integration", "acceptance", "migration"})
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its kind, which is the folder that it lies in."""
    for item in items:
        kind = item.path.relative_to(_HERE).parts[0]
        if kind in _KINDS:
            item.add_marker(kind)


@pytest.fixture(scope="session")
def postgres() -> Generator[Server]:
    """The PostgreSQL server of this run."""
    with serve_tests() as server:
        yield server


@pytest.fixture
def database_url(postgres: Server) -> Generator[str]:
    """A fresh, migrated database for one test."""
    url = postgres.make_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def module_database_url(postgres: Server) -> Generator[str]:
    """A fresh, migrated database that the tests of one module share."""
    url = postgres.make_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def empty_database_url(postgres: Server) -> Generator[str]:
    """A database with nothing in it."""
    url = postgres.make_database(is_empty=True)
    yield url
    postgres.drop_database(url)


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """A pool on a fresh, migrated database."""
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def module_database(module_database_url: str) -> AsyncGenerator[Database]:
    """A pool (of this test) on the database that the tests of one module share."""
    opened = await Database.open(module_database_url)
    yield opened
    await opened.close()
