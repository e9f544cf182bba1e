"""Which rows a document makes."""

import pytest

from gridmill.operations.extraction.names import compare
from gridmill.operations.extraction.records import find_fields, list_records, match_fields
from gridmill.providers.documents.model import Document, Page, Record, Span
from tests.support.extracting import column, document, listing

pytestmark = pytest.mark.unit

LINES = listing(
    ["Item", "Qty", "Unit price"],
    [
        {"Item": "Bolt", "Qty": "4", "Unit price": "0.20"},
        {"Item": "Nut", "Qty": "9", "Unit price": "0.10"},
    ],
)
COLUMNS = [column(1, "item"), column(2, "quantity"), column(3, "unitPrice")]


def test_a_document_is_one_row_when_told_so() -> None:
    assert list_records(LINES, COLUMNS, "document") == (0,)


def test_records_whose_fields_name_most_columns_become_rows_by_themselves() -> None:
    assert list_records(LINES, COLUMNS, "auto") == (1, 2)


def test_a_list_about_something_else_leaves_the_document_one_row() -> None:
    assert list_records(LINES, [column(1, "governing law"), column(2, "item")], "auto") == (0,)


def test_a_document_that_lists_nothing_makes_no_records() -> None:
    assert list_records(document("Dear Sir"), COLUMNS, "auto") == (0,)
    assert list_records(document("Dear Sir"), COLUMNS, "record") == ()


def test_of_two_lists_the_one_that_fits_becomes_rows() -> None:
    other = Record(3, 1, Span(0, 4), (("Branch", Span(0, 4)),))
    both = Document("list.pdf", LINES.pages, [*LINES.records, other])
    assert list_records(both, COLUMNS, "record") == (1, 2)


def test_records_without_named_fields_are_rows_when_asked_for() -> None:
    entries = [Record(n, 1, Span(0, 3)) for n in (1, 2, 3)]
    assert list_records(Document("a.txt", [Page(1, "one")], entries), COLUMNS, "record") == (
        1,
        2,
        3,
    )


def test_another_word_for_rows_per_is_refused() -> None:
    with pytest.raises(ValueError, match="document, record or auto"):
        list_records(LINES, COLUMNS, "page")


def test_every_field_goes_to_one_column_the_best_pair_first() -> None:
    matched = match_fields(["Price", "Unit price"], [column(1, "unit price"), column(2, "price")])
    assert matched == {1: 1, 2: 0}


def test_a_records_fields_are_found_by_their_columns() -> None:
    fields = find_fields(LINES.records[0], COLUMNS)
    assert {n: LINES.pages[0].text[s.start : s.end] for n, (_, s) in fields.items()} == {
        1: "Bolt",
        2: "4",
        3: "0.20",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dueDate", "Due dates:"),
        ("Qty", "quantity"),
        ("E-mail", "email"),
        ("Invoice No.", "invoice_number"),
        ("Straße", "straße"),
        ("Tél.", "phone"),
    ],
)
def test_spellings_of_one_name_are_the_same(one: str, other: str) -> None:
    assert compare(one, other) == 1.0


def test_names_without_a_common_word_have_nothing_in_common() -> None:
    assert compare("total", "address") == 0.0
