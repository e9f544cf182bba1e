"""A database that was filled before there was row-level security, and its backups after."""

import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from gridmill.storage import grids
from gridmill.storage.database import Database
from gridmill.storage.embedded.binaries import find_package
from gridmill.storage.migrate import MIGRATIONS, migrate
from gridmill.storage.row_security import find_unbound_role
from tests.support.postgres import Server, open_to_role
from tests.support.workspace_rows import fill

_TABLES = (
    *("api_keys", "datasources", "datasets", "columns", "dataset_sources", "dataset_row_origins"),
    *("cell_history", "exports", "tasks", "model_answers", "webhooks", "webhook_messages"),
    *("webhook_deliveries", "webhook_attempts"),
)


async def count_rows(database: Database, **workspace: object) -> dict[str, int]:
    async with database.transaction(**workspace) as tx:  # pyright: ignore[reportArgumentType]
        found: dict[str, int] = {}
        for table in _TABLES:
            count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
            row = await (await tx.execute(count)).fetchone()
            found[table] = row[0] if row else -1
        return found


@pytest.mark.parametrize("is_ordinary", [False, True])
async def test_a_filled_database_keeps_everything_and_is_guarded_from_then_on(
    postgres: Server, tmp_path: Path, is_ordinary: bool
) -> None:
    for path in MIGRATIONS.glob("*.sql"):
        if path.name < "0031":
            shutil.copy(path, tmp_path)
    with open_to_role(postgres) as (ordinary, given):
        url = ordinary if is_ordinary else given
        await migrate(url, folder=tmp_path)
        # As the code before this migration was connected: as whoever logs in.
        with psycopg.connect(url) as connection:
            user = connection.execute("SELECT session_user").fetchone()
        before = await Database.open(url)
        first, second = await fill(before), await fill(before)
        async with before.transaction() as tx:
            await tx.execute("RESET ROLE")
            old_grid = await grids.create_grid(tx, 1)
            assert await (await tx.execute("SELECT current_user")).fetchone() == user
        await before.close()

        assert "0031_row_security.pre" in await migrate(url)

        after = await Database.open(url)
        assert await count_rows(after) == dict.fromkeys(_TABLES, 2)
        assert await count_rows(after, workspace_id=first) == dict.fromkeys(_TABLES, 1)
        async with after.transaction(workspace_id=second) as tx:
            assert await find_unbound_role(tx) is None
            await grids.add_column(tx, old_grid)
            await grids.drop_grid(tx, old_grid)
        await after.close()


@pytest.mark.parametrize("is_ordinary", [False, True])
async def test_a_dump_holds_every_workspace_and_a_restored_one_is_guarded(
    postgres: Server, tmp_path: Path, is_ordinary: bool
) -> None:
    folder = find_package() / "pginstall" / "bin"

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [folder / program, *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr

    dump = str(tmp_path / "dump")
    with open_to_role(postgres) as (ordinary, given):
        url = ordinary if is_ordinary else given
        await migrate(url)
        if _is_newer_than_tools(url):
            pytest.skip("the given server is newer than the tools that come along")
        full = await Database.open(url)
        first, _ = await fill(full), await fill(full)
        await full.close()
        run("pg_dump", "-Fc", "--enable-row-security", "-f", dump, url)
        target = postgres.make_database(is_empty=True)
        if is_ordinary:
            give = sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(urlsplit(target).path.removeprefix("/")),
                sql.Identifier(urlsplit(url).username or ""),
            )
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                connection.execute(give)
        restored = urlsplit(url)._replace(path=urlsplit(target).path).geturl()
        run("pg_restore", "--no-owner", "--exit-on-error", "-d", restored, dump)
        assert await migrate(restored) == []
        after = await Database.open(restored)
        assert await count_rows(after) == dict.fromkeys(_TABLES, 2)
        assert await count_rows(after, workspace_id=first) == dict.fromkeys(_TABLES, 1)
        await after.close()
        postgres.drop_database(target)


def _is_newer_than_tools(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.info.server_version >= 190000
