"""What is stored of a page: the page again, to the last digit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.providers.documents.layout import dump_layout, load_page
from gridmill.providers.documents.model import Page, Record, Span, Table, Word

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_POINT = st.floats(allow_nan=False, allow_infinity=False)
_SPANS = st.builds(Span, st.integers(0, 10**6), st.integers(0, 10**6))
_CELLS = st.lists(st.none() | _SPANS, max_size=4).map(tuple)
_TABLES = st.builds(Table, _CELLS, st.lists(_CELLS, max_size=3).map(tuple))
_WORDS = st.builds(
    Word,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.tuples(_POINT, _POINT, _POINT, _POINT),
)
_PAGES = st.builds(
    Page,
    st.integers(1, 10**6),
    _TEXT,
    st.lists(_WORDS, max_size=5).map(tuple),
    st.lists(_TABLES, max_size=2).map(tuple),
    st.none() | _TEXT,
)
_FIELDS = st.lists(st.tuples(_TEXT, _SPANS), max_size=3).map(tuple)


@given(_PAGES, st.lists(st.tuples(st.integers(1, 10**6), _SPANS, _FIELDS), max_size=3))
def test_a_page_comes_back_as_it_was_stored(
    page: Page, entries: list[tuple[int, Span, tuple[tuple[str, Span], ...]]]
) -> None:
    records = tuple(Record(number, page.number, span, fields) for number, span, fields in entries)
    layout = dump_layout(page, records)
    assert "\n" not in layout
    assert "\0" not in layout
    assert load_page(page.number, page.text, layout) == (page, records)


def test_a_page_of_which_only_the_text_was_stored_is_that_text() -> None:
    assert load_page(3, "some text", None) == (Page(3, "some text"), ())


@pytest.mark.parametrize("layout", ["", "{}", "[1]", '[[["a",2,0,0,0,0]]]', "null"])
def test_what_is_no_layout_is_refused(layout: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        load_page(1, "text", layout)
