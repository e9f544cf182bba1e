import asyncio
from typing import Any

import pytest
from psycopg import errors, sql

from gridmill.kit.pages import PageQuery
from gridmill.storage import grids
from gridmill.storage.database import Database, Tx
from gridmill.storage.grids import GridWrite, Journal
from tests.support.grid_tables import (
    Rollback,
    make_grid,
    page,
    where,
)


async def test_rows_keep_their_text_to_the_letter(module_database: Database) -> None:
    texts = [
        "00123",
        "",
        " ",
        None,
        "a\tb\nc\\N",
        "ünï→😀",
        "'; DROP TABLE grids; --",
        "x" * 100_000,
    ]
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [(text,) for text in texts])
        rows = await grids.read_rows(tx, grid_no, [1])
    assert [row.values[0] for row in rows] == texts
    assert [row.row_no for row in rows] == list(range(1, len(texts) + 1))


async def test_numbers_drawn_by_copies_have_no_gaps_and_a_filled_table_has_its_key(
    module_database: Database,
) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a",), ("b",)])
        await grids.copy_rows(tx, grid_no, 3, [("c", None, None)])
    with pytest.raises(Rollback):
        async with module_database.transaction() as tx:
            await grids.copy_rows(tx, grid_no, 3, [("x", None, None)] * 5)
            raise Rollback
    async with module_database.transaction() as tx:
        await grids.insert_rows(tx, grid_no, [1], [["d"]])
        await grids.copy_rows(tx, grid_no, 3, [("e", None, None)])
        rows = await grids.read_rows(tx, grid_no, [1])
        assert [(row.row_no, row.values[0]) for row in rows] == list(enumerate("abcde", 1))
    with pytest.raises(errors.UniqueViolation):
        async with module_database.transaction() as tx:
            statement = sql.SQL("INSERT INTO {} (row_no) VALUES (5)")
            await tx.execute(statement.format(grids.table(grid_no)))


async def test_a_table_of_many_dropped_columns_is_rebuilt_before_postgresql_refuses(
    module_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmill.storage.grids.tables._PG_COLUMN_LIMIT", 8)
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a", "1"), ("b", "2")])
        await grids.delete_rows(tx, grid_no, [1])
        for _ in range(10):
            physical = await grids.add_column(tx, grid_no)
            await grids.drop_column(tx, grid_no, physical)
        assert await grids.add_column(tx, grid_no) == 14
        assert await grids.insert_rows(tx, grid_no, [1, 14], [["c", "x"]]) == 3
        await grids.copy_rows(tx, grid_no, 3, [("d", None, None)])
        rows = await grids.read_rows(tx, grid_no, [1, 2, 14])
        cursor = await tx.execute(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0",
            [f"grid_{grid_no}"],
        )
        attributes = await cursor.fetchone()
        assert attributes is not None
        assert attributes[0] < 12
    assert [(row.row_no, row.values) for row in rows] == [
        (2, ("b", "2", None)),
        (3, ("c", None, "x")),
        (4, ("d", None, None)),
    ]


async def test_dropping_waits_only_a_while_for_a_long_reader(module_database: Database) -> None:
    from gridmill.kit.errors import Unavailable

    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a",)])
    async with module_database.transaction() as reader:
        await grids.read_rows(reader, grid_no, [1])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gridmill.storage.grids.tables._LOCK_TIMEOUT", "50ms")
            with pytest.raises(Unavailable):
                async with module_database.transaction() as tx:
                    await grids.drop_column(tx, grid_no, 1)
    async with module_database.transaction() as tx:
        await grids.drop_column(tx, grid_no, 1)


async def make_journal(tx: Tx) -> Journal:
    await tx.execute(
        "CREATE TABLE IF NOT EXISTS told (row_no bigint, physical int, value text, metadata jsonb, "
        "previous_value text, previous_metadata jsonb)"
    )
    await tx.execute("TRUNCATE told")
    return Journal(sql.SQL("INSERT INTO told SELECT * FROM changes").format(), [])


async def read_journal(tx: Tx) -> list[tuple[Any, ...]]:
    cursor = await tx.execute("SELECT * FROM told ORDER BY row_no, physical")
    told = await cursor.fetchall()
    await tx.execute("TRUNCATE told")
    return told


async def test_writes_set_values_and_metadata_and_tell_what_was_before(
    module_database: Database,
) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a", "1"), ("b", "2"), ("c", "3")])
        journal = await make_journal(tx)
        first = [
            GridWrite(1, 1, "A", metadata={"status": "ok", "n": None}),
            GridWrite(2, 2, "ignored", keep_value=True, metadata={"status": "error"}),
            GridWrite(3, 1, None),
            GridWrite(99, 1, "nowhere"),
        ]
        assert await grids.write_cells(tx, grid_no, first, journal) == 3
        assert await read_journal(tx) == [
            (1, 1, "A", {"status": "ok", "n": None}, "a", None),
            (2, 2, "2", {"status": "error"}, "2", None),
            (3, 1, None, None, "c", None),
        ]
        second = [GridWrite(1, 1, "AA"), GridWrite(1, 2, "11", metadata={"x": 1})]
        assert await grids.write_cells(tx, grid_no, second, journal) == 2
        assert await read_journal(tx) == [
            (1, 1, "AA", None, "A", {"status": "ok", "n": None}),
            (1, 2, "11", {"x": 1}, "1", None),
        ]
        rows = await grids.read_rows(tx, grid_no, [1, 2])
    assert [row.values for row in rows] == [("AA", "11"), ("b", "2"), (None, "3")]
    assert [row.metadata for row in rows] == [{"2": {"x": 1}}, {"2": {"status": "error"}}, {}]


async def test_a_cell_is_written_once_a_call(module_database: Database) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a",)])
        with pytest.raises(ValueError, match="twice"):
            await grids.write_cells(tx, grid_no, [GridWrite(1, 1, "b"), GridWrite(1, 1, "c")])


async def test_writers_of_overlapping_rows_lose_no_history(module_database: Database) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("0",) for _ in range(200)])
        journal = await make_journal(tx)

    async def write(number: int) -> None:
        async with module_database.transaction() as tx:
            rows = range(200, 0, -1) if number % 2 else range(1, 201)
            await grids.write_cells(
                tx, grid_no, [GridWrite(row, 1, f"{number}") for row in rows], journal
            )

    await asyncio.gather(*(write(number) for number in range(1, 9)))
    async with module_database.transaction() as tx:
        cursor = await tx.execute(
            "SELECT count(*), count(DISTINCT (row_no, value)), count(DISTINCT (row_no, "
            "previous_value)) FROM told"
        )
        # Every write of every row is told once, and each was somebody's "before" at most once.
        assert await cursor.fetchone() == (1600, 1600, 1600)


async def test_metadata_finds_rows_by_status(module_database: Database) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a", "1"), ("b", "2"), ("c", "3")])
        writes = [
            GridWrite(1, 1, "x", metadata={"status": "needs_review"}),
            GridWrite(2, 2, "x", metadata={"status": "needs_review"}),
            GridWrite(3, 1, "x", metadata={"status": "ok"}),
        ]
        await grids.write_cells(tx, grid_no, writes)
        waiting = grids.has_status([1, 2], "needs_review")
        assert await page(tx, grid_no, PageQuery(1, 9), where=waiting) == [1, 2]
        one = grids.both(grids.has_status([2], "needs_review"), where("name = 'b'"))
        assert await page(tx, grid_no, PageQuery(1, 9), where=one) == [2]
        assert await page(tx, grid_no, PageQuery(1, 9), where=grids.has_status([], "ok")) == []


async def test_wide_rows_fit(module_database: Database) -> None:
    async with module_database.transaction() as tx:
        grid_no = await grids.create_grid(tx, 300)
        row = [f"{i:030d}" for i in range(300)]
        await grids.copy_rows(tx, grid_no, 300, [row])
        writes = [
            GridWrite(1, i, "y" * 40, metadata={"status": "ok", "sources": ["z" * 50]})
            for i in range(1, 301)
        ]
        assert await grids.write_cells(tx, grid_no, writes) == 300
        (found,) = await grids.read_rows(tx, grid_no, list(range(1, 301)))
        assert found.values == ("y" * 40,) * 300
