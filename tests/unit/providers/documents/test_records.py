"""What a page lists, and characters that no reader sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.providers.documents.characters import strip_invisible
from gridmill.providers.documents.model import Page, Span, Table
from gridmill.providers.documents.records import find_records


def _entries(text: str) -> list[str]:
    return [text[one.span.start : one.span.end] for one in find_records(Page(1, text))]


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("- one\n- two\n", ["one", "two"]),
        ("Intro:\n• one\n  goes on\n• two\n\nThe end.", ["one\n  goes on", "two"]),
        ("1. a\n\n2. b\n\n3. c", ["a", "b", "c"]),
        ("(1) a\n(2) b", ["a", "b"]),
        ("1. Title\n\nSome prose.\n\n2. Next title\n\nMore.", []),
        ("1. a\n5. b", []),
        ("- alone", []),
        ("In 2019. Then\n2020. And", []),
        ("- " + "long " * 200 + "\n- b", []),
        ("no list at all", []),
    ],
)
def test_a_list_is_its_entries(text: str, entries: list[str]) -> None:
    assert _entries(text) == entries


def test_repeated_blocks_of_labels_are_records_with_fields() -> None:
    text = (
        "Catalogue\n\nName: Nail\nPrice: 1.50\n\nName: Screw\nin steel\nPrice: 2\nUnit: box\n\n"
        "Contact: Ann\n"
    )
    found = find_records(Page(4, text), first=7)
    assert [(one.number, one.page) for one in found] == [(7, 4), (8, 4)]
    fields = [
        {name: text[span.start : span.end] for name, span in record.fields} for record in found
    ]
    assert fields == [{"Name": "Nail", "Price": "1.50"}, {"Name": "Screw", "Price": "2"}]


@pytest.mark.parametrize(
    "text",
    ["Name: Ann\nCity: Oslo", "Note: a\nNote: b\nNote: c", "At 10: 30\nAt 11: 40", "a: b\n\na: c"],
)
def test_labels_that_describe_one_thing_are_no_records(text: str) -> None:
    assert find_records(Page(1, text)) == ()


def test_a_table_of_names_and_values_describes_one_thing() -> None:
    page = Page(1, "Name\tAnn\nCity\tOslo")
    cells = ((Span(0, 4), Span(5, 8)), (Span(9, 13), Span(14, 18)))
    described = Page(1, page.text, tables=[Table((None, None), cells)])
    assert find_records(described) == ()


@given(
    st.lists(
        st.sampled_from(
            ["- a\n", "1. b\n", "2. c\n", "Name: x\n", "Price: 2\n", "\n", "text\n", " "]
        ),
        max_size=40,
    )
)
def test_records_follow_one_another_and_never_overlap(pieces: list[str]) -> None:
    text = "".join(pieces)
    end = 0
    for number, record in enumerate(find_records(Page(1, text)), 1):
        assert record.number == number
        assert end <= record.span.start < record.span.end <= len(text)
        end = record.span.end
        assert text[record.span.start : end] == text[record.span.start : end].strip()
        assert all(record.span.start <= span.start < span.end <= end for _, span in record.fields)


@pytest.mark.parametrize(
    ("text", "visible", "hidden"),
    [
        ("a\u200bb", "ab", "U+200B × 1"),
        ("x\U000e0041\U000e0042y", "xy", "AB"),
        ("a\u200d\u200cb", "ab", "U+200C × 1, U+200D × 1"),
        ("👩\u200d💻 نمی\u200cخواهم ❤\ufe0f", "👩\u200d💻 نمی\u200cخواهم ❤\ufe0f", ""),
        ("❤\ufe0f\ufe01\ufe02", "❤\ufe0f", "U+FE01 × 1, U+FE02 × 1"),
        ("\ufeffa\u00adb\x07\ufffe", "ab", ""),
        ("a\u202eb", "ab", "U+202E × 1"),
        ("plain\ttext\n", "plain\ttext\n", ""),
    ],
)
def test_characters_that_nobody_sees_are_taken_out_and_told(
    text: str, visible: str, hidden: str
) -> None:
    assert strip_invisible(text) == (visible, hidden)


@given(st.text("ab\u200b\u200d\ufe0f\U000e0041é👩\u00ad", max_size=30))
def test_what_was_cleaned_once_is_clean(text: str) -> None:
    visible, _ = strip_invisible(text)
    assert strip_invisible(visible) == (visible, "")
