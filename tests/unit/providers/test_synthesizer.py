import pickle
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from gridmill.kit.canonical import DataType
from gridmill.kit.values import check_bounds, fits, parse_wire
from gridmill.providers.synthesizer.model import ColumnShape, Drawn, Row
from gridmill.providers.synthesizer.service import fit

WORDS = ["Ada", "Berlin mitte", "x1", "INV-0042", "ß-Straße 7", "ok", "a@b", "12 Main St", "z" * 70]


def amounts(data_type: DataType) -> st.SearchStrategy[str]:
    if data_type is DataType.INTEGER:
        return st.integers(-(10**6), 10**20).map(str)
    rules = ColumnShape("", data_type).rules
    numbers = st.one_of(
        st.floats(-1e6, 1e6, allow_nan=False), st.decimals(0, 999, places=2).map(float)
    )
    return numbers.map(lambda number: str(parse_wire(number, rules)))


def values(data_type: DataType) -> st.SearchStrategy[str]:
    """Canonical texts of a type."""
    known: dict[DataType, st.SearchStrategy[str]] = {
        DataType.INTEGER: amounts(data_type),
        DataType.NUMBER: amounts(data_type),
        DataType.BOOLEAN: st.sampled_from(["true", "false"]),
        DataType.DATE: st.dates().map(str),
        DataType.DATETIME: st.datetimes().map(lambda moment: moment.isoformat()),
        DataType.URL: st.sampled_from(WORDS).map(lambda w: f"https://e.org/{w.replace(' ', '-')}"),
        DataType.EMAIL: st.sampled_from("abcdef").map(lambda name: f"{name}.{name}@mail.org"),
        DataType.PHONE: st.integers(10**6, 10**9).map(lambda number: f"+44 {number}"),
        DataType.JSON: st.lists(st.integers(0, 9), max_size=3).map(
            lambda items: str(parse_wire({"a": items}, ColumnShape("", DataType.JSON).rules))
        ),
        DataType.LOCATION: st.tuples(st.floats(-90, 90), st.floats(-180, 180)).map(
            lambda at: str(
                parse_wire({"lat": at[0], "lon": at[1]}, ColumnShape("", DataType.LOCATION).rules)
            )
        ),
    }
    return known.get(data_type, st.one_of(st.sampled_from(WORDS), st.text("ab c1-", min_size=1)))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[ColumnShape], list[Row]]:
    """A small table of any types with values that fit them; some columns are declared unique."""
    count = draw(st.sampled_from([0, 1, 3, 15, 40]))
    shapes: list[ColumnShape] = []
    columns: list[list[str | None]] = []
    for number in range(draw(st.integers(1, 5))):
        data_type = draw(st.sampled_from(list(DataType)))
        pool = draw(st.lists(values(data_type), min_size=1, max_size=40))
        cells = st.one_of(st.none(), st.sampled_from(pool))
        column = draw(st.lists(cells, min_size=count, max_size=count))
        options = tuple(dict.fromkeys(pool)) if data_type is DataType.ENUM else ()
        low = high = None
        if data_type in {DataType.INTEGER, DataType.NUMBER} and draw(st.booleans()):
            low, high = min(map(float, pool)), max(map(float, pool))
        unique = draw(st.sampled_from([None, None, False, True]))
        if unique:
            column = [text if text not in column[:at] else None for at, text in enumerate(column)]
        name = draw(st.sampled_from(["id", "name", "total", "Größe"])) + str(number)
        shapes.append(ColumnShape(name, data_type, options, low, high, None, unique))
        columns.append(column)
    return shapes, list(zip(*columns, strict=True))


def check_valid(shapes: Sequence[ColumnShape], rows: Sequence[Row], drawn: Drawn) -> None:
    for number, shape in enumerate(shapes):
        made = [row[number] for row in drawn.rows if row[number] is not None]
        for text in made:
            assert text is not None
            assert fits(text, shape.data_type), (shape, text)
            check_bounds(text, shape.rules)
        if shape.unique:
            known = [row[number] for row in rows if row[number] is not None]
            assert len({*made, *known}) == len(made) + len(known), shape


@settings(max_examples=40)
@given(tables(), st.integers(0, 2**32), st.integers(0, 250), st.integers(1, 130))
def test_any_small_table_gives_valid_new_rows_that_do_not_depend_on_who_asks(
    table: tuple[list[ColumnShape], list[Row]], seed: int, first: int, count: int
) -> None:
    shapes, rows = table
    synthesizer = fit(shapes, rows, seed)
    drawn = synthesizer.draw(first, count)
    check_valid(shapes, rows, drawn)
    assert not set(drawn.rows) & set(rows)
    assert len(drawn.rows) <= count
    assert (drawn.message is None) == (len(drawn.rows) == count)
    again = pickle.loads(pickle.dumps(fit(shapes, rows, seed)))
    split = count // 3
    parts = [*again.draw(first + split, count - split).rows, *again.draw(first, split).rows]
    assert sorted(parts, key=repr) == sorted(drawn.rows, key=repr)


def test_keys_go_on_where_they_ended_and_sums_and_orders_hold() -> None:
    rows = [
        (
            f"INV-{number:04d}",
            str(number * 7 % 50),
            str(number * 11 % 30),
            str(number * 7 % 50 + number * 11 % 30),
            f"2024-{number % 12 + 1:02d}-01",
            f"2024-{number % 12 + 1:02d}-{2 + number % 20:02d}",
        )
        for number in range(1, 121)
    ]
    types = [DataType.TEXT, *[DataType.INTEGER] * 3, *[DataType.DATE] * 2]
    names = ["invoice", "net", "tax", "gross", "start", "end"]
    drawn = fit([ColumnShape(n, t) for n, t in zip(names, types, strict=True)], rows, 3).draw(
        0, 150
    )
    assert [row[0] for row in drawn.rows] == [f"INV-{number:04d}" for number in range(121, 271)]
    for _, net, tax, gross, start, end in drawn.rows:
        assert int(str(net)) + int(str(tax)) == int(str(gross))
        assert str(start) <= str(end)


def test_what_one_column_says_of_another_stays_true() -> None:
    lands = {"Oslo": "Norway", "Bergen": "Norway", "Lyon": "France", "Nice": "France"}
    rows = [(city, lands[city], str(n)) for n in range(100) for city in [list(lands)[n % 4]]]
    shapes = [
        ColumnShape("city"),
        ColumnShape("country"),
        ColumnShape("visits", DataType.INTEGER, unique=False),
    ]
    drawn = fit(shapes, rows, 3).draw(0, 200)
    assert drawn.rows
    assert all(lands[str(city)] == country for city, country, _ in drawn.rows)


def test_rows_end_with_the_values_of_a_unique_column_and_say_so() -> None:
    shapes = [ColumnShape("seat", DataType.ENUM, options=("a", "b", "c"), unique=True)]
    drawn = fit(shapes, [("a",)], 1).draw(0, 10)
    assert sorted(str(row[0]) for row in drawn.rows) == ["b", "c"]
    assert drawn.message is not None
    assert "seat" in drawn.message


def test_a_table_whose_every_combination_exists_gives_no_copies() -> None:
    rows = [("true", "true"), ("true", "false"), ("false", "true"), ("false", "false")] * 5
    shapes = [ColumnShape(name, DataType.BOOLEAN) for name in "ab"]
    drawn = fit(shapes, rows, 1).draw(0, 10)
    assert not drawn.rows
    assert drawn.message is not None


def test_empty_and_constant_columns_stay_what_they_are() -> None:
    rows = [(None, "same", str(n * n)) for n in range(30)]
    shapes = [ColumnShape("none"), ColumnShape("one"), ColumnShape("n", DataType.INTEGER)]
    drawn = fit(shapes, rows, 1).draw(0, 50)
    assert {row[:2] for row in drawn.rows} == {(None, "same")}


def test_a_hundred_thousand_categories_are_drawn_within_bounds() -> None:
    rows = [(f"c{n % 100_000:x}q", str(n % 13)) for n in range(120_000)]
    shapes = [ColumnShape("c", DataType.ENUM), ColumnShape("n", DataType.INTEGER)]
    drawn = fit(shapes, rows, 1).draw(0, 100)
    assert len(drawn.rows) == 100
    assert not set(drawn.rows) & set(rows)
