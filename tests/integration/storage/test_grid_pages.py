from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.errors import ValidationFailed
from gridmill.kit.pages import PageQuery, encode_cursor
from gridmill.kit.values import is_empty
from gridmill.storage import grids
from gridmill.storage.database import Database, Tx
from gridmill.storage.grids import GridColumn, GridWrite, Sort
from gridmill.storage.grids.pages import fold_marks
from gridmill.storage.grids.rows import locate_position
from gridmill.storage.grids.tables import read_version
from tests.support.grid_tables import (
    HYPOTHESIS,
    NUMBER,
    TEXT,
    Rollback,
    make_grid,
    page,
    to_number,
    where,
)


@HYPOTHESIS
@given(
    blocks=st.integers(1, 4),
    gone=st.lists(st.tuples(st.integers(1, 4200), st.integers(0, 1500)), max_size=6),
    positions=st.lists(st.integers(0, 4200), max_size=12),
)
async def test_positions_are_found_whatever_was_deleted(
    module_database: Database,
    blocks: int,
    gone: list[tuple[int, int]],
    positions: list[int],
) -> None:
    total = blocks * 1024 - 7
    alive = set(range(1, total + 1))
    with pytest.raises(Rollback):
        async with module_database.transaction() as tx:
            grid_no = await grids.create_grid(tx, 1)
            await grids.copy_rows(tx, grid_no, 1, [(None,)] * total)
            for first, length in gone:
                count = await grids.delete_range(tx, grid_no, first, first + length)
                hit = alive & set(range(first, first + length + 1))
                assert count == len(hit)
                alive -= hit
            order = sorted(alive)
            assert await grids.count_rows(tx, grid_no) == len(order)
            for position in positions:
                if position < len(order):
                    found = await locate_position(tx, grid_no, position)
                    assert found.skip < 1024
                read = await grids.read_page(tx, grid_no, [1], PageQuery(position + 1, 1))
                assert [row.row_no for row in read.rows] == order[position : position + 1]
                assert read.pagination.total == len(order)
            raise Rollback


async def count_marks(tx: Tx, grid_no: int) -> int:
    cursor = await tx.execute("SELECT count(*) FROM grid_writes WHERE grid_no = %s", [grid_no])
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def test_a_grid_that_is_only_written_keeps_few_marks(
    module_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmill.storage.grids.tables._MARKS", 10)
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a",)])
        before = await read_version(tx, grid_no, [1])
    for number in range(35):
        async with module_database.transaction() as tx:
            await grids.write_cells(tx, grid_no, [GridWrite(1, 1, str(number))])
    async with module_database.transaction() as tx:
        assert await read_version(tx, grid_no, [1]) == before + 35
        assert await count_marks(tx, grid_no) <= 10
        assert (await grids.get_state(tx, grid_no)).written_at is not None


async def test_writers_do_not_wait_for_one_that_folds_marks(
    module_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmill.storage.grids.tables._MARKS", 1)
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a",), ("b",)])
        before = await read_version(tx, grid_no, [1])
    async with module_database.transaction() as slow:
        await grids.write_cells(slow, grid_no, [GridWrite(1, 1, "x")])
        async with module_database.transaction() as quick:
            await quick.execute("SET LOCAL lock_timeout = '200ms'")
            await grids.write_cells(quick, grid_no, [GridWrite(2, 1, "y")])
    async with module_database.transaction() as tx:
        assert await read_version(tx, grid_no, [1]) == before + 2


@HYPOTHESIS
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.sampled_from(["", "  ", "a", "B", "é", "a b", "aa", "\u3000"])),
            st.one_of(
                st.none(),
                st.integers(-20, 20).map(str),
                st.decimals(-5, 5, places=2).map(str),
                st.sampled_from(["x", "1e5000", "--", "٣", "NaN", "1e", "."]),
            ),
        ),
        max_size=30,
    ),
    gone=st.sets(st.integers(1, 30)),
    by=st.sampled_from([TEXT, NUMBER]),
    descending=st.booleans(),
    limit=st.integers(1, 7),
)
async def test_sorted_pages_agree_with_a_sorted_list(  # noqa: PLR0917 (hypothesis names them)
    module_database: Database,
    rows: list[tuple[str | None, str | None]],
    gone: set[int],
    by: GridColumn,
    descending: bool,
    limit: int,
) -> None:
    alive = {i: row for i, row in enumerate(rows, 1) if i not in gone}

    def key(row_no: int) -> Any:
        text = alive[row_no][by.physical - 1]
        if text is None or is_empty(text):
            return None
        return text.encode() if by is TEXT else to_number(text)

    known = [row_no for row_no in alive if key(row_no) is not None]
    expected = sorted(known, key=key, reverse=descending)
    if descending:  # ties stay in the order of their numbers
        expected = sorted(known, key=lambda n: n)
        expected = sorted(expected, key=key, reverse=True)
    expected += [row_no for row_no in alive if key(row_no) is None]
    with pytest.raises(Rollback):
        async with module_database.transaction() as tx:
            grid_no = await make_grid(tx, rows)
            await grids.delete_rows(tx, grid_no, list(gone))
            sort = Sort(by, descending)
            seen: list[int] = []
            for number in range(1, len(alive) // limit + 2):
                seen += await page(tx, grid_no, PageQuery(number, limit), sort=sort)
            assert seen == expected
            walked: list[int] = []
            query = PageQuery(1, limit)
            while True:
                found = await grids.read_page(tx, grid_no, [1], query, sort=sort)
                walked += [row.row_no for row in found.rows]
                assert found.pagination.total == len(alive)
                if found.pagination.next_cursor is None:
                    break
                query = PageQuery(1, limit, found.pagination.next_cursor)
            assert walked == expected
            raise Rollback


async def test_a_cursor_of_a_view_pages_through_one_state_of_the_data(
    module_database: Database,
) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a", str(100 - i)) for i in range(1, 101)])
        first = await grids.read_page(tx, grid_no, [2], PageQuery(1, 40), sort=Sort(NUMBER))
    async with module_database.transaction() as tx:
        await grids.write_cells(tx, grid_no, [GridWrite(n, 2, "-1") for n in range(1, 31)])
        await grids.delete_rows(tx, grid_no, [55])
        await grids.insert_rows(tx, grid_no, [2], [["-5"]])
    seen = [row.row_no for row in first.rows]
    cursor = first.pagination.next_cursor
    async with module_database.transaction() as tx:
        while cursor is not None:
            query = PageQuery(1, 40, cursor)
            found = await grids.read_page(tx, grid_no, [2], query, sort=Sort(NUMBER))
            seen += [row.row_no for row in found.rows]
            cursor = found.pagination.next_cursor
        fresh = await grids.read_page(tx, grid_no, [2], PageQuery(1, 40), sort=Sort(NUMBER))
    assert seen == [n for n in range(100, 0, -1) if n != 55]
    assert fresh.rows[0].row_no == 101
    assert fresh.pagination.total == 100


async def test_a_plain_cursor_goes_on_after_the_last_row_it_saw(
    module_database: Database,
) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [(str(i),) for i in range(10)])
        first = await grids.read_page(tx, grid_no, [1], PageQuery(1, 4))
        await grids.delete_rows(tx, grid_no, [1, 2, 3, 4, 6])
        following = PageQuery(1, 4, first.pagination.next_cursor)
        second = await grids.read_page(tx, grid_no, [1], following)
        assert [row.row_no for row in second.rows] == [5, 7, 8, 9]
        assert second.pagination.page == 2
        last = await grids.read_page(
            tx, grid_no, [1], PageQuery(1, 4, second.pagination.next_cursor)
        )
        assert [row.row_no for row in last.rows] == [10]
        assert last.pagination.next_cursor is None


async def test_cursors_that_do_not_belong_are_refused(module_database: Database) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [(str(i),) for i in range(10)])
        other = await make_grid(tx, [(str(i),) for i in range(10)])
        plain = await grids.read_page(tx, grid_no, [1], PageQuery(1, 4))
        view = await grids.read_page(tx, grid_no, [1], PageQuery(1, 4), sort=Sort(TEXT))
        refused: list[tuple[int, str | None, Sort | None]] = [
            (grid_no, plain.pagination.next_cursor, Sort(TEXT)),
            (grid_no, view.pagination.next_cursor, None),
            (grid_no, view.pagination.next_cursor, Sort(TEXT, True)),
            (other, view.pagination.next_cursor, Sort(TEXT)),
            (grid_no, encode_cursor("r", "-1", "0"), None),
            (grid_no, encode_cursor("r", "9" * 30, "0"), None),
            (grid_no, encode_cursor("v", "x", "0"), Sort(TEXT)),
            (grid_no, "nonsense", None),
        ]
        for grid, cursor, sort in refused:
            with pytest.raises(ValidationFailed):
                await grids.read_page(tx, grid, [1], PageQuery(1, 4, cursor), sort=sort)


async def test_a_view_is_kept_until_the_next_write(module_database: Database) -> None:
    async def count_views(grid_no: int) -> int:
        async with module_database.transaction() as tx:
            cursor = await tx.execute(
                "SELECT count(*) FROM grid_views WHERE grid_no = %s", [grid_no]
            )
            row = await cursor.fetchone()
            return row[0] if row else 0

    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [(str(i),) for i in range(10)])
    for number in (1, 2, 3):
        async with module_database.transaction() as tx:
            await page(tx, grid_no, PageQuery(number, 3), sort=Sort(TEXT))
    assert await count_views(grid_no) == 1
    async with module_database.transaction() as tx:
        await grids.write_cells(tx, grid_no, [GridWrite(1, 1, "zz")])
    async with module_database.transaction() as tx:
        assert (await page(tx, grid_no, PageQuery(1, 10), sort=Sort(TEXT)))[-1] == 1
    assert await count_views(grid_no) == 2


async def test_the_version_grows_through_folding(module_database: Database) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a",)])
        before = await read_version(tx, grid_no, [1])
        for _ in range(5):
            await grids.mark_write(tx, grid_no)
        assert await read_version(tx, grid_no, [1]) == before + 5
        await fold_marks(tx, grid_no)
        assert await read_version(tx, grid_no, [1]) == before + 5
        assert (await grids.get_state(tx, grid_no)).written_at is not None


_PLACES = st.tuples(st.integers(1, 6), st.integers(1, 3))
_WRITES = st.one_of(
    st.tuples(st.just("write"), _PLACES, st.sampled_from([None, "a", "b", "1", "-2", "30"])),
    st.tuples(st.just("mark"), _PLACES, st.sampled_from(["ok", "error"])),
    st.tuples(st.just("insert"), _PLACES, st.sampled_from(["a", "7"])),
    st.tuples(st.just("delete"), _PLACES, st.none()),
    st.tuples(st.just("fold"), _PLACES, st.none()),
)


async def check_views(
    tx: Tx, grid_no: int, rows: dict[int, list[str | None]], statuses: dict[int, str]
) -> None:
    by_size = [n for n in rows if to_number(rows[n][1] or "") is not None]
    by_size.sort(key=lambda n: to_number(rows[n][1] or "") or 0)
    by_size += [n for n in rows if n not in by_size]
    query = PageQuery(1, 20)
    assert await page(tx, grid_no, query, sort=Sort(NUMBER)) == by_size
    named = [n for n in rows if rows[n][0] == "a"]
    assert await page(tx, grid_no, query, where=where("name = 'a'")) == named
    either = [n for n in by_size if rows[n][0] != "a" or rows[n][2] is None]
    assert either == await page(
        tx, grid_no, query, sort=Sort(NUMBER), where=where("name != 'a' or day is empty")
    )
    failed = [n for n in rows if statuses.get(n) == "error"]
    assert failed == await page(tx, grid_no, query, where=grids.has_status([3], "error"))


@HYPOTHESIS
@given(steps=st.lists(_WRITES, max_size=12))
async def test_pages_of_a_view_agree_with_a_list_after_any_writes(
    module_database: Database, steps: list[tuple[str, tuple[int, int], str | None]]
) -> None:
    rows: dict[int, list[str | None]] = {n: [str(n % 3), str(9 - n), None] for n in range(1, 6)}
    statuses: dict[int, str] = {}

    with pytest.raises(Rollback):
        async with module_database.transaction() as tx:
            grid_no = await make_grid(tx, [tuple(row) for row in rows.values()])
            await check_views(tx, grid_no, rows, statuses)
            last = 5
            for kind, (row_no, physical), value in steps:
                if kind == "write":
                    write = GridWrite(row_no, physical, value)
                    await grids.write_cells(tx, grid_no, [write])
                    if row_no in rows:
                        rows[row_no][physical - 1] = value
                        if physical == 3:
                            statuses.pop(row_no, None)
                elif kind == "mark":
                    metadata = {"status": value}
                    write = GridWrite(row_no, physical, None, True, metadata)
                    await grids.write_cells(tx, grid_no, [write])
                    if row_no in rows and physical == 3:
                        statuses[row_no] = str(value)
                elif kind == "insert":
                    await grids.insert_rows(tx, grid_no, [physical], [[value]])
                    last += 1
                    rows[last] = [value if n == physical else None for n in (1, 2, 3)]
                elif kind == "delete":
                    await grids.delete_rows(tx, grid_no, [row_no])
                    rows.pop(row_no, None)
                    statuses.pop(row_no, None)
                else:
                    await fold_marks(tx, grid_no)
                await check_views(tx, grid_no, rows, statuses)
            raise Rollback


async def test_a_view_stays_while_other_columns_are_written(module_database: Database) -> None:
    async def open_views(grid_no: int) -> list[int]:
        async with module_database.transaction() as tx:
            await page(tx, grid_no, PageQuery(1, 3), sort=Sort(TEXT), where=where("size > 2"))
        async with module_database.transaction() as tx:
            cursor = await tx.execute(
                "SELECT version FROM grid_views WHERE grid_no = %s ORDER BY version", [grid_no]
            )
            return [row[0] for row in await cursor.fetchall()]

    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [(str(i), str(i)) for i in range(10)])
    assert len(await open_views(grid_no)) == 1
    async with module_database.transaction() as tx:
        await grids.write_cells(tx, grid_no, [GridWrite(1, 3, "2020-01-01")])
    assert len(await open_views(grid_no)) == 1
    async with module_database.transaction() as tx:
        await fold_marks(tx, grid_no)
    assert len(await open_views(grid_no)) == 1
    for change in (1, 2):
        async with module_database.transaction() as tx:
            await grids.write_cells(tx, grid_no, [GridWrite(1, change, "5")])
        assert len(await open_views(grid_no)) == 1 + change
    async with module_database.transaction() as tx:
        await grids.insert_rows(tx, grid_no, [3], [[None]])
    assert len(await open_views(grid_no)) == 4


async def test_marks_that_older_code_folds_never_bring_a_version_back(
    module_database: Database,
) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a", "1")])
        seen = [await read_version(tx, grid_no, [1, 2])]
        for _ in range(3):
            await grids.write_cells(tx, grid_no, [GridWrite(1, k, "x") for k in (1, 2, 3)])
            seen.append(await read_version(tx, grid_no, [1, 2]))
            await tx.execute(
                "WITH gone AS (DELETE FROM grid_writes WHERE grid_no = %s RETURNING 1) "
                "UPDATE grids SET version = version + (SELECT count(*) FROM gone) "
                "WHERE grid_no = %s",
                [grid_no, grid_no],
            )
            await grids.write_cells(tx, grid_no, [GridWrite(1, 1, "y")])
            seen.append(await read_version(tx, grid_no, [1, 2]))
    assert seen == sorted(set(seen))
