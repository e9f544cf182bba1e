import asyncio

import psycopg
import pytest

from gridmill.kit.errors import Unavailable
from gridmill.storage.database import Database, Timeouts, after_commit
from tests.support.postgres import Server, with_database
from tests.support.waiting import eventually


async def count_notes(database: Database) -> int:
    async with database.transaction(read_only=True) as tx:
        row = await (await tx.execute("SELECT count(*) FROM notes")).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
async def notes(database: Database) -> Database:
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE notes (note text)")
    return database


async def test_a_transaction_commits_at_its_end(notes: Database) -> None:
    async with notes.transaction() as tx:
        await tx.execute("INSERT INTO notes VALUES ('kept')")

    assert await count_notes(notes) == 1


async def test_a_transaction_that_raises_leaves_nothing(notes: Database) -> None:
    with pytest.raises(ValueError, match="stop"):
        async with notes.transaction() as tx:
            await tx.execute("INSERT INTO notes VALUES ('lost')")
            raise ValueError("stop")

    assert await count_notes(notes) == 0


async def test_a_transaction_inside_one_is_a_savepoint(notes: Database) -> None:
    async with notes.transaction() as tx:
        await tx.execute("INSERT INTO notes VALUES ('outer')")
        with pytest.raises(ValueError, match="inner"):
            async with tx.transaction():
                await tx.execute("INSERT INTO notes VALUES ('inner')")
                raise ValueError("inner")

    assert await count_notes(notes) == 1


async def test_nobody_commits_inside_a_transaction(notes: Database) -> None:
    with pytest.raises(psycopg.ProgrammingError):
        async with notes.transaction() as tx:
            await tx.commit()


async def test_a_read_only_transaction_refuses_writes_and_the_next_one_takes_them(
    notes: Database,
) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with notes.transaction(read_only=True) as tx:
            await tx.execute("INSERT INTO notes VALUES ('no')")
    async with notes.transaction() as tx:
        await tx.execute("INSERT INTO notes VALUES ('yes')")

    assert await count_notes(notes) == 1


async def test_the_isolation_holds_for_one_transaction_only(database: Database) -> None:
    levels: list[str] = []
    for isolation in (psycopg.IsolationLevel.SERIALIZABLE, None):
        async with database.transaction(isolation=isolation) as tx:
            row = await (await tx.execute("SHOW transaction_isolation")).fetchone()
            assert row is not None
            levels.append(str(row[0]))

    assert levels == ["serializable", "read committed"]


async def test_a_statement_over_its_time_is_unavailable(database: Database) -> None:
    with pytest.raises(Unavailable, match="too long"):
        async with database.transaction(statement_timeout=0.05) as tx:
            await tx.execute("SELECT pg_sleep(30)")
    async with database.transaction() as tx:
        row = await (await tx.execute("SHOW statement_timeout")).fetchone()
    assert row == ("2min",)


async def test_a_lock_that_is_not_freed_is_unavailable(database_url: str) -> None:
    database = await Database.open(database_url, timeouts=Timeouts(lock=0.05))
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE notes (note text)")
    async with database.transaction() as holder:
        await holder.execute("LOCK TABLE notes")
        with pytest.raises(Unavailable, match="Another change") as caught:
            async with database.transaction() as tx:
                await tx.execute("SELECT * FROM notes")
    await database.close()

    assert caught.value.headers == {"Retry-After": "2"}


async def test_a_fault_of_the_statement_is_not_dressed_as_an_outage(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        async with database.transaction() as tx:
            await tx.execute("SELECT * FROM nowhere")


async def test_a_connection_cut_in_a_transaction_is_unavailable_and_is_replaced(
    notes: Database, postgres: Server
) -> None:
    with pytest.raises(Unavailable):
        async with notes.transaction() as tx:
            cut_connections(postgres, notes)
            await tx.execute("INSERT INTO notes VALUES ('lost')")

    assert await count_notes(notes) == 0


async def test_idle_connections_that_were_cut_are_never_handed_out(
    database_url: str, postgres: Server
) -> None:
    database = await Database.open(database_url, min_size=8)
    await eventually(lambda: count_backends(database_url, at_least=8))
    for _ in range(3):
        cut_connections(postgres, database)
        async with asyncio.timeout(2.0), database.transaction() as tx:
            await tx.execute("SELECT 1")
    await database.close()


async def test_an_address_without_a_server_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="Connection refused"):
        await Database.open("postgresql://nobody@127.0.0.1:1/none")


async def test_a_wrong_name_is_told_in_the_servers_words(postgres: Server) -> None:
    with pytest.raises(Unavailable, match=r"database .* does not exist"):
        await Database.open(with_database(postgres.url, "nowhere"))


async def test_an_unreadable_address_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="cannot be read") as caught:
        await Database.open("postgresql://me:secret@[host/none")
    assert "secret" not in str(caught.value)


async def test_a_closed_database_is_unavailable_and_not_ready(database_url: str) -> None:
    database = await Database.open(database_url)
    assert await database.is_ready()
    await database.close()

    assert not await database.is_ready()
    with pytest.raises(Unavailable):
        async with database.transaction():
            pass


async def test_times_come_back_in_utc(database: Database) -> None:
    async with database.transaction() as tx:
        row = await (await tx.execute("SELECT now()")).fetchone()
    assert row is not None
    assert row[0].utcoffset().total_seconds() == 0


async def test_more_callers_than_connections_wait_their_turn(database_url: str) -> None:
    database = await Database.open(database_url, max_size=2)
    running = peak = 0

    async def hold() -> None:
        nonlocal running, peak
        async with database.transaction() as tx:
            running += 1
            peak = max(peak, running)
            await tx.execute("SELECT pg_sleep(0.01)")
            running -= 1

    await asyncio.gather(*(hold() for _ in range(10)))
    assert peak == 2
    await database.close()


def cut_connections(server: Server, database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def count_backends(url: str, *, at_least: int) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchone()
    return row is not None and row[0] >= at_least


async def test_what_waits_for_a_commit_happens_after_it_and_not_at_all_without_one(
    notes: Database,
) -> None:
    done: list[str] = []
    with pytest.raises(ValueError, match="stop"):
        async with notes.transaction() as tx:
            after_commit(tx, lambda: done.append("lost"))
            raise ValueError("stop")
    async with notes.transaction() as tx:
        after_commit(tx, lambda: done.append("kept"))
        assert done == []
    assert done == ["kept"]
    async with notes.transaction():
        pass
    assert done == ["kept"]
