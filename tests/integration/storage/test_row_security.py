"""The second barrier between workspaces: what a forgotten WHERE meets in the database."""

from collections.abc import AsyncGenerator, Generator
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from gridmill.engine.schema import install_engine_schema
from gridmill.kit.ids import new_uuid7
from gridmill.storage.database import Database
from gridmill.storage.migrate import migrate
from tests.support.postgres import Server

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
_HANGING = ("columns", "dataset_sources", "dataset_row_origins", "webhook_deliveries")

# A row in each table that belongs to a workspace.
_ROWS = (
    "INSERT INTO workspaces VALUES (%(w)s, %(name)s)",
    (
        "INSERT INTO api_keys (key_id, workspace_id, name, hint, key_hash, scopes)"
        " VALUES (%(x)s, %(w)s, 'n', 'h', %(hash)s, '{read}')"
    ),
    "INSERT INTO files VALUES (%(file)s, 0)",
    (
        "INSERT INTO datasources (datasource_id, workspace_id, file_name, content_type,"
        " file_size, file_id, status) VALUES"
        " (%(source)s, %(w)s, 'f', 't', 0, %(file)s, 'processing')"
    ),
    (
        "INSERT INTO datasets (dataset_id, workspace_id, name, type, status, grid_no)"
        " VALUES (%(dataset)s, %(w)s, 'd', 'blank', 'completed', %(grid)s)"
    ),
    (
        "INSERT INTO columns (dataset_id, column_no, physical, position, name, data_type,"
        " task_type) VALUES (%(dataset)s, 1, 1, 1, 'c', 'text', 'none')"
    ),
    "INSERT INTO dataset_sources VALUES (%(dataset)s, %(source)s, 1)",
    (
        "INSERT INTO dataset_row_origins (dataset_id, first_row, last_row, kind)"
        " VALUES (%(dataset)s, 1, 1, 'user')"
    ),
    "INSERT INTO exports VALUES (%(x)s, %(w)s, %(dataset)s, '{}', 'f', now())",
    (
        "INSERT INTO tasks (task_id, workspace_id, dataset_id, type, operation, status,"
        " request) VALUES (%(task)s, %(w)s, %(dataset)s, 'bulk', 'o', 'queued', '{}')"
    ),
    (
        "INSERT INTO task_batches (task_id, batch_no, first_row, last_row, rows, cells)"
        " VALUES (%(task)s, 1, 1, 1, 1, 1)"
    ),
    "INSERT INTO model_answers VALUES (%(w)s, %(hash)s, 'p', 'm', 'a', 1, 1)",
    (
        "INSERT INTO webhooks (webhook_id, workspace_id, name, url, events, headers, secret,"
        " signature_format) VALUES (%(hook)s, %(w)s, 'n', 'u', '{}', '', '', 'hex')"
    ),
    "INSERT INTO webhook_messages VALUES (%(x)s, %(w)s, 'e', '')",
    (
        "INSERT INTO webhook_deliveries (delivery_id, webhook_id, message_id)"
        " VALUES (%(x)s, %(hook)s, %(x)s)"
    ),
)


@pytest.fixture(params=["as given", "ordinary role"])
def role_url(request: pytest.FixtureRequest, postgres: Server) -> Generator[str]:
    """An empty database: of the server's own user, or of a role that may do nothing else."""
    url = postgres.make_database(is_empty=True)
    if request.param == "as given":
        yield url
        postgres.drop_database(url)
        return
    role = f"ordinary_{uuid4().hex[:12]}"
    parts = urlsplit(url)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'ordinary'").format(sql.Identifier(role))
        )
        connection.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(parts.path.removeprefix("/")), sql.Identifier(role)
            )
        )
    place = parts.netloc.rpartition("@")[2]
    yield urlunsplit(parts._replace(netloc=f"{role}:ordinary@{place}"))
    postgres.drop_database(url)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest_asyncio.fixture
async def guarded(role_url: str) -> AsyncGenerator[Database]:
    """A pool on a migrated database."""
    await migrate(role_url, steps=[install_engine_schema])
    opened = await Database.open(role_url)
    yield opened
    await opened.close()


async def fill(database: Database) -> UUID:
    """A workspace with a row in each table that it owns; its id."""
    ids = {name: new_uuid7() for name in ("w", "file", "source", "dataset", "task", "hook", "x")}
    async with database.transaction() as tx:
        cursor = await tx.execute("INSERT INTO grids (next_physical) VALUES (1) RETURNING grid_no")
        row = await cursor.fetchone()
        assert row is not None
        values = {**ids, "grid": row[0], "hash": uuid4().bytes * 2, "name": str(ids["w"])}
        for statement in _ROWS:
            await tx.execute(statement, values)
    return ids["w"]


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
    leaves = ("webhook_deliveries", "webhook_messages", "webhooks", "exports")
    roots = ("tasks", "dataset_row_origins", "dataset_sources", "columns", "datasets")
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
