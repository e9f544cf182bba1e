"""The filter language: what it reads, what it refuses and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.errors import GridmillError, InvalidFilter, InvalidText
from gridmill.kit.filters import (
    And,
    Compare,
    Empty,
    In,
    Literal,
    Node,
    Not,
    Op,
    Or,
    format_filter,
    parse_filter,
    resolve_filter,
)
from gridmill.kit.values import DataType

_COLUMNS = {
    "name": DataType.TEXT,
    "age": DataType.INTEGER,
    "price": DataType.NUMBER,
    "active": DataType.BOOLEAN,
    "born": DataType.DATE,
    "seen": DataType.DATETIME,
    "extra": DataType.JSON,
}


def _strip(node: Node) -> Node:
    """The tree without positions."""
    match node:
        case Compare(column, op, literal):
            return Compare(column, op, Literal(literal.text, literal.quoted))
        case In(column, literals):
            return In(column, tuple(Literal(one.text, one.quoted) for one in literals))
        case Empty(column):
            return Empty(column)
        case Not(part):
            return Not(_strip(part))
        case And(parts):
            return And(tuple(map(_strip, parts)))
        case Or(parts):
            return Or(tuple(map(_strip, parts)))


def _bare(text: str) -> Literal:
    return Literal(text, quoted=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age>=18", Compare("age", Op.GE, _bare("18"))),
        ("age = -1.5e3", Compare("age", Op.EQ, _bare("-1.5e3"))),
        ("a != 'it''s'", Compare("a", Op.NE, Literal("it's"))),
        ('a = "say ""hi"""', Compare("a", Op.EQ, Literal('say "hi"'))),
        ('"first name" CONTAINS \'x\'', Compare("first name", Op.CONTAINS, Literal("x"))),
        ("ort.stra\u00dfe-2 startswith ''", Compare("ort.stra\u00dfe-2", Op.STARTSWITH, Literal(""))),
        ("born < 2024-01-31", Compare("born", Op.LT, _bare("2024-01-31"))),
        ("seen > 2024-01-31T10:00:00Z", Compare("seen", Op.GT, _bare("2024-01-31T10:00:00Z"))),
        ("active = TRUE", Compare("active", Op.EQ, _bare("true"))),
        ("a in (1, 'x')", In("a", (_bare("1"), Literal("x")))),
        ("a not in (1)", Not(In("a", (_bare("1"),)))),
        ("a is empty", Empty("a")),
        ("a IS NOT EMPTY", Not(Empty("a"))),
        ("a is empty and b is empty or c is empty", Or((And((Empty("a"), Empty("b"))), Empty("c")))),
        ("a is empty and (b is empty or not c is empty)", And((Empty("a"), Or((Empty("b"), Not(Empty("c"))))))),
        ('"and" is empty', Empty("and")),
        ("a\n=\t1", Compare("a", Op.EQ, _bare("1"))),
    ],
)  # fmt: skip
def test_an_expression_is_read_as_it_is_written(text: str, expected: Node) -> None:
    assert _strip(parse_filter(text)) == expected


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("   ", 0),
        ("age", 3),
        ("age =", 5),
        ("age = x", 6),
        ("age = 1 or", 10),
        ("age = 1 name = 2", 8),
        ("(age = 1", 8),
        ("age = 1)", 7),
        ("age = 1; DROP TABLE x", 7),
        ("age = 1 -- x", 8),
        ("age == 1", 5),
        ("age = 1.2.3", 6),
        ("age = 12ab", 6),
        ("name = 'x", 7),
        ('"name = 1', 0),
        ("and = 1", 0),
        ("'age' = 1", 0),
        ('"" = 1', 0),
        ("1 = 1", 0),
        ("age in ()", 8),
        ("age in 1", 7),
        ("age in (1,)", 10),
        ("age is null", 7),
        ("age not 5", 4),
        ("not", 3),
        ("()", 1),
        ("age = (1)", 6),
        ("age = and", 6),
    ],
)
def test_what_is_no_expression_is_refused_at_its_position(text: str, position: int) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(text)
    assert caught.value.details == {"position": position}
    assert caught.value.status == 422


def test_length_depth_and_number_of_values_are_bounded() -> None:
    assert parse_filter("(" * 50 + "a = 1" + ")" * 50)
    for text in (
        "(" * 51 + "a = 1" + ")" * 51,
        "not " * 2_000 + "a = 1",
        "(" * 9_000,
        f"a in ({', '.join(['1'] * 1_001)})",
        "a = '" + "x" * 10_000 + "'",
    ):
        with pytest.raises(InvalidFilter):
            parse_filter(text)


def test_characters_that_cannot_be_stored_are_invalid_text() -> None:
    for text in ("a = 'x\0'", "a = '\ud800'"):
        with pytest.raises(InvalidText):
            parse_filter(text)


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
_LITERALS = st.one_of(
    st.builds(Literal, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)),
    st.builds(
        Literal,
        st.one_of(
            st.integers(-(10**12), 10**12).map(str),
            st.dates().map(str),
            st.sampled_from(["true", "false", "1.5", "1e3", ".5"]),
        ),
        st.just(False),
    ),
)
_NODES = st.recursive(
    st.one_of(
        st.builds(Compare, _NAMES, st.sampled_from(Op), _LITERALS),
        st.builds(In, _NAMES, st.lists(_LITERALS, min_size=1, max_size=3).map(tuple)),
        st.builds(Empty, _NAMES),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(_NODES)
def test_a_printed_tree_is_read_as_the_same_tree(node: Node) -> None:
    assert _strip(parse_filter(format_filter(node))) == node


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                ["a", '"b c"', "'x'", "1", "(", ")", ",", "=", "!=", "in", "is", "not", "empty", "and", "or", "contains", "true", "2024-01-01", "'", '"']
            ),
            max_size=14,
        ).map(" ".join),
    )
)  # fmt: skip
def test_any_text_is_a_tree_or_a_refusal(text: str) -> None:
    node: Node | None = None
    refusal: GridmillError | None = None
    try:
        node = parse_filter(text)
    except GridmillError as error:
        refusal = error
    if node is not None:
        assert _strip(parse_filter(format_filter(node))) == _strip(node)
    else:
        assert refusal is not None
        assert refusal.status == 422
        assert not isinstance(refusal, InvalidFilter) or 0 <= refusal.position <= len(text)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("age = +007", "7"),
        ("age > '12'", "12"),
        ("price <= 1e3", "1000"),
        ("price = 1.50", "1.5"),
        ("price = .5", "0.5"),
        ("active = 'True'", "true"),
        ("born = 2024-01-31", "2024-01-31"),
        ("seen >= 2024-01-31", "2024-01-31"),
        ("name = 007", "007"),
        ("age contains 7x", None),
        ("age contains '7x'", "7x"),
    ],
)
def test_literals_take_the_canonical_form_of_their_column(text: str, literal: str | None) -> None:
    if literal is None:
        with pytest.raises(InvalidFilter):
            parse_filter(text)
        return
    node = resolve_filter(parse_filter(text), _COLUMNS)
    assert isinstance(node, Compare)
    assert node.literal.text == literal


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("age = 1 and nope is empty", 12),
        ("not (Age = 1)", 5),
        ("age = 'x'", 6),
        ("age in (1, 'x')", 11),
        ("price = 1e999", 8),
        ("active = 1", 9),
        ("active > true", 0),
        ("extra < '1'", 0),
        ("born = 5", 7),
        ("born = 'soon'", 7),
        ("seen < true", 7),
    ],
)
def test_unknown_columns_and_values_that_do_not_fit_are_refused(text: str, position: int) -> None:
    with pytest.raises(InvalidFilter) as caught:
        resolve_filter(parse_filter(text), _COLUMNS)
    assert caught.value.position == position
