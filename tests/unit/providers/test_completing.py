"""Cells that are filled to go with the rest of their row."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gridmill.kit.values import DataType
from gridmill.providers.synthesizer.completing import Completer
from gridmill.providers.synthesizer.model import ColumnShape, Row

TOWNS = {"Paris": "France", "Lyon": "France", "Rome": "Italy", "Oslo": "Norway"}
SHAPES = (
    ColumnShape("town"),
    ColumnShape("country"),
    ColumnShape("net", DataType.INTEGER),
    ColumnShape("tax", DataType.INTEGER),
    ColumnShape("gross", DataType.INTEGER),
    ColumnShape("start", DataType.DATE),
    ColumnShape("end", DataType.DATE),
    ColumnShape("grade", DataType.ENUM, options=("a", "b")),
)


def real(count: int = 80) -> list[Row]:
    names = list(TOWNS)
    rows: list[Row] = []
    for number in range(count):
        town, net, tax = names[number * 7 % 4], number * 37 % 61 + 5, number * 11 % 23 + 1
        start = date(2024, 1, 1) + timedelta(days=number * 31 % 200)
        end = start + timedelta(days=number * 13 % 90)
        amounts = (str(net), str(tax), str(net + tax))
        dates = (start.isoformat(), end.isoformat())
        rows.append((town, TOWNS[town], *amounts, *dates, "ab"[number % 2]))
    return rows


COMPLETER = Completer(SHAPES, real(), -3)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(real()), st.sets(st.integers(0, 7), min_size=1, max_size=8), st.integers(1, 99)
)
def test_what_is_filled_is_valid_keeps_the_rules_and_leaves_the_rest(
    row: Row, wanted: set[int], place: int
) -> None:
    given_row = tuple(None if number in wanted else text for number, text in enumerate(row))
    targets = [sorted(wanted)]
    (made,) = COMPLETER.complete([place], [given_row], targets).rows
    assert all(made[number] == row[number] for number in range(8) if number not in wanted)
    assert COMPLETER.complete([place], [given_row], targets).rows == [made]
    town, country, net, tax, gross, start, end, grade = made
    if town is not None and country is not None:
        assert TOWNS[town] == country
    if net is not None and tax is not None and gross is not None and len(wanted & {2, 3, 4}) == 1:
        assert int(net) + int(tax) == int(gross)
    if start is not None and end is not None:
        assert start <= end
    assert grade in {"a", "b"}


def test_rows_that_teach_nothing_leave_the_shape_to_say_what_fits() -> None:
    empty = Completer(SHAPES, [], 1)
    rows: list[Row] = [(None,) * 8] * 3
    drawn = empty.complete([1, 2, 3], rows, [[2, 7]] * 3)
    assert all(row[7] in {"a", "b"} and row[2] is not None for row in drawn.rows)
    assert all(row[0] is None for row in drawn.rows)
    assert empty.complete([], [], []).rows == []
