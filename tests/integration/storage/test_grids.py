import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from gridmill.kit.errors import InvalidFilter, ValidationFailed
from gridmill.kit.filters import parse_filter
from gridmill.kit.pages import PageQuery, encode_cursor
from gridmill.kit.values import DataType, is_empty
from gridmill.storage import grids
from gridmill.storage.database import Database, Tx
from gridmill.storage.grids import GridColumn, GridWrite, Journal, Sort
from gridmill.storage.grids.pages import fold_marks
from gridmill.storage.grids.rows import locate_position
from gridmill.storage.grids.tables import read_version

TEXT = GridColumn(1, DataType.TEXT)
NUMBER = GridColumn(2, DataType.NUMBER)
COLUMNS = {"name": TEXT, "size": NUMBER, "day": GridColumn(3, DataType.DATE)}
HYPOTHESIS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def make_grid(tx: Tx, rows: list[tuple[str | None, ...]]) -> int:
    grid_no = await grids.create_grid(tx, 3)
    await grids.copy_rows(tx, grid_no, 3, [(*row, *[None] * (3 - len(row))) for row in rows])
    return grid_no


async def page(tx: Tx, grid_no: int, query: PageQuery, **options: Any) -> list[int]:
    found = await grids.read_page(tx, grid_no, [1, 2, 3], query, **options)
    return [row.row_no for row in found.rows]


def where(text: str) -> grids.Condition:
    return grids.compile_filter(parse_filter(text), COLUMNS)


class Rollback(Exception):
    pass


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


async def test_row_numbers_have_no_gaps_after_a_rolled_back_insert(
    module_database: Database,
) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a",)])
    with pytest.raises(Rollback):
        async with module_database.transaction() as tx:
            await grids.insert_rows(tx, grid_no, [1], [["b"], ["c"]])
            raise Rollback
    async with module_database.transaction() as tx:
        assert await grids.insert_rows(tx, grid_no, [1], [["d"]]) == 2
        assert await grids.copy_rows(tx, grid_no, 3, [("e", None, None)]) == 1
        assert [row.row_no for row in await grids.read_rows(tx, grid_no, [1])] == [1, 2, 3]
        assert await grids.count_rows(tx, grid_no) == 3


async def test_copy_between_takes_records_by_number_and_maps_columns(
    module_database: Database,
) -> None:
    async with module_database.transaction() as tx:
        source = await make_grid(tx, [(f"n{i}", str(i)) for i in range(1, 11)])
        target = await grids.create_grid(tx, 2)
        taken = await grids.copy_between(tx, source, target, {1: 2}, first_record=4, limit=3)
        assert taken == (1, 3)
        assert await grids.copy_between(tx, source, target, {2: 1}, first_record=10) == (4, 4)
        assert await grids.copy_between(tx, source, target, {2: 1}, first_record=11) is None
        rows = await grids.read_rows(tx, target, [1, 2])
    assert [row.values for row in rows] == [
        (None, "n4"),
        (None, "n5"),
        (None, "n6"),
        ("10", None),
    ]


async def test_columns_come_and_go_and_numbers_are_never_reused(
    module_database: Database,
) -> None:
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a", "1")])
        assert await grids.add_column(tx, grid_no) == 4
        await grids.drop_column(tx, grid_no, 4)
        assert await grids.add_column(tx, grid_no) == 5
        (row,) = await grids.read_rows(tx, grid_no, [5, 1])
        assert row.values == (None, "a")


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


def to_number(text: str) -> Decimal | None:
    import re

    if re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", text, re.ASCII):
        return Decimal(text)
    return None


TESTS: list[tuple[str, Any]] = [
    ("name = 'a'", lambda n, s: n == "a"),
    ("name != 'a'", lambda n, s: n != "a"),
    ("not name = 'a'", lambda n, s: n != "a"),
    ("name contains 'a'", lambda n, s: not is_empty(n) and "a" in n),
    ("name startswith 'a'", lambda n, s: not is_empty(n) and n.startswith("a")),
    ("name is empty", lambda n, s: is_empty(n)),
    ("name is not empty", lambda n, s: not is_empty(n)),
    ("name in ('a', 'B')", lambda n, s: n in {"a", "B"}),
    ("name not in ('a', 'B')", lambda n, s: n not in {"a", "B"}),
    ("name > 'a'", lambda n, s: not is_empty(n) and n.encode() > b"a"),
    ("size > 3", lambda n, s: (v := _number(s)) is not None and v > 3),
    ("size <= -1.5", lambda n, s: (v := _number(s)) is not None and v <= Decimal("-1.5")),
    ("size = 2", lambda n, s: _number(s) == 2),
    ("size != 2", lambda n, s: _number(s) != 2),
    ("size in (1, 2, 3.5)", lambda n, s: _number(s) in {1, 2, Decimal("3.5")}),
    ("size > 0 and (name = 'a' or name is empty)", None),
]


def _number(text: str | None) -> Decimal | None:
    return None if is_empty(text) else to_number(text or "")


@HYPOTHESIS
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.sampled_from(["", " ", "a", "B", "é", "a b", "ba", "%", "_"])),
            st.one_of(
                st.none(), st.sampled_from(["1", "2", "2.0", "-2", "3.5", "x", "", "1e2", "1e999"])
            ),
        ),
        max_size=20,
    )
)
async def test_filters_agree_with_plain_python(
    module_database: Database, rows: list[tuple[str | None, str | None]]
) -> None:
    with pytest.raises(Rollback):
        async with module_database.transaction() as tx:
            grid_no = await make_grid(tx, rows)
            for text, test in TESTS:
                check = test or (lambda n, s: (_number(s) or 0) > 0 and (n == "a" or is_empty(n)))
                expected = [i for i, (name, size) in enumerate(rows, 1) if check(name, size)]
                assert await page(tx, grid_no, PageQuery(1, 50), where=where(text)) == expected, (
                    text
                )
            raise Rollback


async def test_dates_and_times_compare_by_moment_and_never_raise(
    module_database: Database,
) -> None:
    texts = [
        "2024-05-01T10:00:00Z",
        "2024-05-01T10:30:00+02:00",
        "2024-02-30T00:00:00Z",
        "2024-05-01T09:00",
        "0000-01-01T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "soon",
        None,
        "2024-05-01T23:59:59.999999999-05:00",
    ]
    moment = GridColumn(1, DataType.DATETIME)
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [(text,) for text in texts])
        order = await page(tx, grid_no, PageQuery(1, 50), sort=Sort(moment))
        assert order == [3, 2, 4, 1, 9, 5, 6, 7, 8]
        late = grids.compile_filter(parse_filter("at >= '2024-05-01T09:00:00Z'"), {"at": moment})
        assert await page(tx, grid_no, PageQuery(1, 50), where=late) == [1, 4, 9]
        same = grids.compile_filter(parse_filter("at < 2024-04-30"), {"at": moment})
        assert await page(tx, grid_no, PageQuery(1, 50), where=same) == [3]


async def test_dates_compare_as_days(module_database: Database) -> None:
    days = ["2024-05-01", "2023-12-31", "next week", None, date(2024, 5, 2).isoformat()]
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [(None, None, day) for day in days])
        sort = Sort(COLUMNS["day"], descending=True)
        assert await page(tx, grid_no, PageQuery(1, 9), sort=sort) == [5, 1, 2, 3, 4]
        assert await page(tx, grid_no, PageQuery(1, 9), where=where("day >= 2024-05-01")) == [1, 5]


@pytest.mark.parametrize(
    "literal",
    ["'; DROP TABLE grids; --", "%s", "%(x)s", "{}", "{0}", "\\", '"', "$1", "a' OR '1'='1", "%"],
)
async def test_literals_are_never_sql(module_database: Database, literal: str) -> None:
    quoted = literal.replace("'", "''")
    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a",), (literal,), (f"x{literal}y",)])
        for text, expected in (
            (f"name = '{quoted}'", [2]),
            (f"name contains '{quoted}'", [2, 3]),
            (f"name in ('{quoted}', 'q')", [2]),
            (f"name startswith '{quoted}'", [2]),
        ):
            assert await page(tx, grid_no, PageQuery(1, 9), where=where(text)) == expected
        assert await grids.count_rows(tx, grid_no) == 3


def test_a_filter_names_only_known_columns() -> None:
    for text in ('"name; --" = 1', "row_no > 0", "k1 = 'a'", "m is empty"):
        with pytest.raises(InvalidFilter):
            where(text)


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
        before = await read_version(tx, grid_no)
        for _ in range(5):
            await grids.mark_write(tx, grid_no)
        assert await read_version(tx, grid_no) == before + 5
        await fold_marks(tx, grid_no)
        assert await read_version(tx, grid_no) == before + 5
        assert (await grids.get_state(tx, grid_no)).written_at is not None


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
