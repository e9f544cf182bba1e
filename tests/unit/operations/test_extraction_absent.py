"""What a document does not say is not read from it: numbers and dates of other things."""

from uuid import uuid4

import pytest

from gridmill.kit.values import DataType
from gridmill.operations.extraction.heuristics import find_all
from gridmill.operations.extraction.judging import judge_cell
from gridmill.operations.extraction.model import Scope
from gridmill.operations.model import CellOutcome, CellStatus, ColumnSpec, RecordRef, RowInput
from gridmill.providers.documents.model import Document
from tests.support.extracting import column, document

pytestmark = pytest.mark.unit

AGREEMENT = document(
    "NON-DISCLOSURE AGREEMENT\n"
    "This Agreement is made as of March 5, 2018 between Acme Tools, Inc. and Jane R. Doe.\n"
    "1. The Recipient keeps all information secret for two (2) years.\n"
    "2. Evidence of a breach in 2016 or 2017 is no bar. Its amount of 3 does not matter.\n"
    "Signed in a total of two (2) originals, one for each party.\n"
    "Each party has a total of 6\n"
    "days to return its invoice papers.\n"
    "- 1 -\n",
    "3. The total number of pages is 2 and the total of annexes\n(2)\nPage 2 of 2\nName: J. Doe\n",
)


def read(paper: Document, wanted: ColumnSpec) -> CellOutcome:
    row = RowInput(0, "", {}, (wanted.number,), origin=RecordRef(uuid4(), 0))
    scope = Scope(paper)
    found = find_all(scope, [wanted]).get(wanted.number)
    return judge_cell(row, wanted, scope, found, None, model_there=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("total", DataType.NUMBER),
        ("amount", DataType.NUMBER),
        ("invoice total", DataType.NUMBER),
        ("loan_commitment_amount", DataType.NUMBER),
        ("total", DataType.TEXT),
        ("invoice number", DataType.TEXT),
        ("invoice_number", DataType.INTEGER),
        ("number of bedrooms", DataType.INTEGER),
        ("maturity_date", DataType.DATE),
        ("date of birth", DataType.DATE),
        ("patient name", DataType.TEXT),
    ],
)
def test_what_an_agreement_does_not_hold_stays_empty(name: str, kind: DataType) -> None:
    cell = read(AGREEMENT, column(1, name, kind))
    assert (cell.value, cell.status) == (None, CellStatus.ERROR)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ACME\nTOTAL 57\nThank you", "57"),
        ("ACME\nTotal: 57\nThank you", "57"),
        ("ACME\nTOTAL RM 57.40\nThank you", "57.4"),
        ("ACME\nTOTAL\n57.40\nThank you", "57.4"),
        ("The total price that the buyer pays is $2,500 in cash.", "2500"),
    ],
)
def test_an_amount_with_a_label_or_a_currency_is_a_total(text: str, value: str) -> None:
    assert read(document(text), column(1, "total", DataType.NUMBER)).value == value
