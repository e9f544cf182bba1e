"""The second barrier between workspaces: what a forgotten WHERE meets in the database."""

from collections.abc import AsyncGenerator
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from gridmill.storage import grids
from gridmill.storage.database import Database
from gridmill.storage.migrate import migrate
from gridmill.storage.row_security import find_unbound_role
from tests.support.postgres import Server, open_to_role
from tests.support.workspace_rows import fill

_OWNED = (
    "api_keys",
    "datasources",
    "datasets",
    "exports",
    "tasks",
    "model_answers",
    "webhooks",
    "webhook_messages",
)
_HANGING = (
    "columns",
    "dataset_sources",
    "dataset_row_origins",
    "cell_history",
    "webhook_deliveries",
    "webhook_attempts",
)


@pytest_asyncio.fixture(params=["as given", "ordinary role", "superuser of an ordinary role"])
async def guarded(request: pytest.FixtureRequest, postgres: Server) -> AsyncGenerator[Database]:
    """A pool on a migrated database: whoever it logs in as, and whoever owns the tables."""
    with open_to_role(postgres) as (ordinary, given):
        await migrate(given if request.param == "as given" else ordinary)
        opened = await Database.open(ordinary if request.param == "ordinary role" else given)
        yield opened
        await opened.close()


async def count(database: Database, table: str, workspace_id: UUID | None = None) -> int:
    """The rows that a statement without any WHERE sees."""
    async with database.transaction(workspace_id=workspace_id) as tx:
        cursor = await tx.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


async def test_a_forgotten_condition_reads_and_writes_nothing_of_another_workspace(
    guarded: Database,
) -> None:
    first, second = await fill(guarded), await fill(guarded)
    for table in (*_OWNED, *_HANGING):
        assert await count(guarded, table) == 2, table
        assert await count(guarded, table, first) == 1, table
        assert await count(guarded, table, uuid4()) == 0, table
    # From the leaves to the roots, so that no foreign key does the barrier's work.
    leaves = ("webhook_attempts", "webhook_deliveries", "webhook_messages", "webhooks", "exports")
    roots = (
        "tasks",
        "cell_history",
        "dataset_row_origins",
        "dataset_sources",
        "columns",
        "datasets",
    )
    for table in (*leaves, *roots, "datasources", "api_keys", "model_answers"):
        async with guarded.transaction(workspace_id=first) as tx:
            gone = await tx.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        assert gone.rowcount == 1, table
        assert await count(guarded, table, second) == 1, table


async def test_a_row_cannot_be_written_into_another_workspace(guarded: Database) -> None:
    first, second = await fill(guarded), await fill(guarded)
    statements = (
        "INSERT INTO webhook_messages SELECT gen_random_uuid(), %s, 'e', ''",
        "UPDATE datasets SET workspace_id = %s",
    )
    for statement in statements:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with guarded.transaction(workspace_id=first) as tx:
                await tx.execute(statement, (second,))


async def test_a_workspace_does_not_outlive_its_transaction(guarded: Database) -> None:
    first = await fill(guarded)
    await fill(guarded)
    assert await count(guarded, "datasets", first) == 1
    assert await count(guarded, "datasets") == 2


async def test_whoever_passes_policies_is_named_to_the_operator(postgres: Server) -> None:
    for passes_policies in (False, True):
        with open_to_role(postgres, passes_policies=passes_policies) as (url, _):
            await migrate(url)
            opened = await Database.open(url)
            async with opened.transaction() as tx:
                role = await find_unbound_role(tx)
            await opened.close()
            assert role == (urlsplit(url).username if passes_policies else None)


async def test_a_session_may_change_the_tables_that_it_is_kept_from_reading(
    guarded: Database,
) -> None:
    first, _ = await fill(guarded), await fill(guarded)
    async with guarded.transaction(workspace_id=first) as tx:
        assert await find_unbound_role(tx) is None
        grid = await grids.create_grid(tx, 1)
        await grids.add_column(tx, grid)
        await grids.drop_grid(tx, grid)


async def test_every_table_that_names_a_workspace_is_guarded(guarded: Database) -> None:
    async with guarded.transaction() as tx:
        cursor = await tx.execute(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c"
            " JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE a.attname = 'workspace_id' AND c.relkind = 'r' AND c.relname <> 'workspaces'"
        )
        found = dict(await cursor.fetchall())
    assert set(_OWNED) <= set(found)
    assert [name for name, is_guarded in found.items() if not is_guarded] == []
