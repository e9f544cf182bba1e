"""Columns that a kind of document does not hold: every value written for one is made up.

Each kind is asked for the other kinds' columns and some that none of them has. Left out are those
that a document may hold under another name, so that an answer could be right: an agreement has a
company, a date and addresses, a receipt a date and numbers that identify it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.extraction_data import COLUMNS
from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.model import CellOutcome, CellStatus, ColumnSpec

_MADE_UP = tuple(
    ColumnSpec(1, name, ValueRules(kind))
    for name, kind in (
        ("invoice_number", DataType.TEXT),
        ("invoice_total", DataType.NUMBER),
        ("iban", DataType.TEXT),
        ("patient name", DataType.TEXT),
        ("date of birth", DataType.DATE),
        ("number of bedrooms", DataType.INTEGER),
    )
)
_FOREIGN = {
    "nda": (
        "total maturity_date borrower administrative_agent loan_commitment_amount abstract venue "
        "publication_date"
    ),
    "receipts": (
        "effective_date jurisdiction term agreement_date maturity_date borrower "
        "administrative_agent governing_law loan_commitment_amount abstract publication_date"
    ),
    "credit_agreements": "abstract venue publication_date",
    "papers": (
        "effective_date jurisdiction party term total agreement_date maturity_date borrower "
        "administrative_agent governing_law loan_commitment_amount"
    ),
}
_HELD = {"receipts": {"invoice_number", "invoice_total"}}
"""Made-up columns that documents of a kind may hold after all."""


def _list_negatives(kind: str) -> list[ColumnSpec]:
    known = {column.name: column for columns in COLUMNS.values() for column in columns}
    columns = [known[name] for name in _FOREIGN[kind].split()]
    columns += [column for column in _MADE_UP if column.name not in _HELD.get(kind, set[str]())]
    return [replace(column, number=number) for number, column in enumerate(columns, 1)]


NEGATIVES: Mapping[str, Sequence[ColumnSpec]] = {kind: _list_negatives(kind) for kind in COLUMNS}


@dataclass
class Refusals:
    """Cells without a truth: left empty, written for review, written as ok."""

    empty: int = 0
    review: int = 0
    ok: int = 0

    def count(self, cell: CellOutcome) -> None:
        """Count one cell."""
        if cell.value is None:
            self.empty += 1
        elif cell.status is CellStatus.OK:
            self.ok += 1
        else:
            self.review += 1

    def add(self, other: "Refusals") -> None:
        """Count another's cells too."""
        self.empty += other.empty
        self.review += other.review
        self.ok += other.ok

    def write(self, name: str) -> str:
        """A row of a table: cells, and the shares left empty, for review and ok."""
        cells = self.empty + self.review + self.ok
        shares = (f"{part / max(1, cells):.2f}" for part in (self.empty, self.review, self.ok))
        return f"| {name} | {cells} | {' | '.join(shares)} |"
