from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.errors import InvalidFilter
from gridmill.kit.filters import parse_filter
from gridmill.kit.pages import PageQuery
from gridmill.kit.values import DataType, is_empty
from gridmill.storage import grids
from gridmill.storage.database import Database
from gridmill.storage.grids import GridColumn, Sort
from tests.support.grid_tables import (
    COLUMNS,
    HYPOTHESIS,
    Rollback,
    make_grid,
    page,
    to_number,
    where,
)


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


async def test_blank_is_what_python_calls_blank_whatever_the_first_character(
    module_database: Database,
) -> None:
    # Every character up to the last blank one, alone and before others, and the ends of planes.
    first = [chr(code) for code in range(1, 0x3002)] + ["\ufeff", "\uffff", "\U0010ffff"]
    texts = [*first, *[one + " " for one in first], *[" " + one for one in first], "\x7f\x7f"]
    with pytest.raises(Rollback):
        async with module_database.transaction() as tx:
            grid_no = await make_grid(tx, [(text,) for text in texts])
            rows = await grids.read_rows(tx, grid_no, [1], where=where("name is empty"))
            assert [row.values[0] for row in rows] == [text for text in texts if is_empty(text)]
            raise Rollback
