"""Citations: the quote is the page's text, letter for letter, and holds the value."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType
from gridmill.operations.extraction.grounding import cite, find_place, unite_boxes
from gridmill.operations.extraction.heuristics import find_all
from gridmill.operations.extraction.model import Place, Scope
from gridmill.operations.extraction.records import find_fields
from gridmill.operations.extraction.typed import Writing
from gridmill.operations.model import ColumnSpec
from tests.support.extracting import column, document, listing, page

pytestmark = pytest.mark.unit

SOURCE = UUID(int=7)
WORDS = st.lists(
    st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=1, max_size=8),
    min_size=1,
    max_size=40,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
COLUMNS = [
    column(1, "total", DataType.NUMBER),
    column(2, "date", DataType.DATE),
    column(3, "title"),
    column(4, "party"),
    column(5, "email", DataType.EMAIL),
    column(6, "paid", DataType.BOOLEAN),
]


def place_of(text: str, col: ColumnSpec, value: str, quote: str | None = None) -> str | None:
    scope = Scope(document(text))
    found = find_place(scope, col, value, quote, Writing())
    return None if found is None else text[found.start : found.end]


@pytest.mark.parametrize(
    ("text", "kind", "value", "quote"),
    [
        (
            "signed on the 5th day of March, 2018.",
            DataType.DATE,
            "2018-03-05",
            "5th day of March, 2018",
        ),
        ("a facility of $2.5 billion in all", DataType.NUMBER, "2500000000", "$2.5 billion"),
        ("for two (2) years from", DataType.TEXT, "2 years", "two (2) years"),
        ("ACME   tools,\nINC.", DataType.TEXT, "Acme Tools Inc", "ACME   tools,\nINC"),
        ("call (020) 7946-0958 now", DataType.PHONE, "02079460958", "020) 7946-0958"),
        ("write to Jo@Example.org", DataType.EMAIL, "jo@example.org", "Jo@Example.org"),
    ],
)
def test_a_value_is_found_in_another_writing_of_it(
    text: str, kind: DataType, value: str, quote: str
) -> None:
    assert place_of(text, column(1, "x", kind), value) == quote


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1,250.50 in all", DataType.NUMBER, "250.5"),
        ("the Acmeville office", DataType.TEXT, "Acme"),
        ("on 5 March 2019", DataType.DATE, "2018-03-05"),
        ("for three years", DataType.TEXT, "2 years"),
    ],
)
def test_a_value_that_only_looks_like_it_is_not_grounded(
    text: str, kind: DataType, value: str
) -> None:
    assert place_of(text, column(1, "x", kind), value) is None


def test_a_quote_chooses_among_places_and_must_hold_the_value() -> None:
    text = "Paid 9.00 on account. Total due 9.00 by Friday."
    total = column(1, "total", DataType.NUMBER)
    scope = Scope(document(text))
    found = find_place(scope, total, "9", "Total due 9.00", Writing())
    assert found is not None
    assert found.start == text.index("9.00 by")
    elsewhere = find_place(scope, total, "9", "no such words", Writing())
    assert elsewhere is not None
    assert elsewhere.start == text.index("9.00 on")


@given(WORDS, st.data())
def test_the_words_of_a_page_are_found_and_quoted_exactly(
    words: list[str], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first + 1, len(words)))
    text = "\n".join(" ".join(words[n : n + 5]) for n in range(0, len(words), 5))
    scope = Scope(document(text, boxes=True))
    wanted = " ".join(words[first:last])
    found = find_place(scope, column(1, "x"), wanted, None, Writing())
    assert found is not None
    [source] = cite(scope, SOURCE, [found])
    assert source["quote"] == text[source["start"] : source["end"]]
    assert source["quote"].split() == wanted.split()
    assert source["box"] is not None


@given(TEXTS, TEXTS)
def test_whatever_heuristics_find_its_quote_is_the_pages_text(first: str, second: str) -> None:
    doc = document(first + "\nTotal: 12.50\nDate 5 May 2020\n", second)
    scope = Scope(doc)
    for found in find_all(scope, COLUMNS).values():
        [source] = cite(scope, SOURCE, [found.best.place])
        text = doc.pages[source["page"] - 1].text
        assert source["quote"] == text[source["start"] : source["end"]] != ""


def test_a_box_is_the_union_of_its_words_boxes() -> None:
    one = page("ab cde\nfg", boxes=True)
    assert unite_boxes(one, Place(1, 0, 6)) == [0.0, 0.0, 60.0, 10.0]
    assert unite_boxes(one, Place(1, 3, 9)) == [0.0, 0.0, 60.0, 22.0]
    assert unite_boxes(page("ab"), Place(1, 0, 2)) is None


def test_a_records_value_never_comes_from_its_neighbour() -> None:
    doc = listing(
        ["Item", "Price"],
        [{"Item": "Bolt", "Price": "0.20"}, {"Item": "Nut", "Price": "0.10"}],
        above="Invoice date: 5 May 2020\n",
    )
    price, when = column(1, "price", DataType.NUMBER), column(2, "invoice date", DataType.DATE)
    scope = Scope(doc, doc.records[1])
    assert find_place(scope, price, "0.2", None, Writing()) is None
    assert find_place(scope, price, "0.1", None, Writing()) is not None
    assert set(find_fields(doc.records[1], [price, when])) == {1}
    found = find_all(scope, [price, when])
    assert (found[1].best.value, found[2].best.value) == ("0.1", "2020-05-05")
