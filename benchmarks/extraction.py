"""How well values are read from documents, how sure the operation is, and whether it cites rightly.

    python -m benchmarks.extraction --data FOLDER [--kinds nda receipts ...] [--model NAME]
        [--documents N] [--half odd|even|all] [--plot FILE.svg] [--fit] [--cache FOLDER]

FOLDER (or GRIDMILL_BENCH_DATA) holds `extraction/` as `extraction_data` describes it. The
operation itself makes one row of each document: heuristics alone, with `--model` also the local
model of that name from the models folder. A field is right when it is one of the true values as
`extraction_scores` compares them; precision is right of answered, recall right of the fields that
have a truth. A citation is correct when the quote stands letter for letter at its place and by
itself reads as a true value. Each document is also asked (not with `--model`) for columns that it
does not hold (`extraction_negatives`): how many of those cells stay empty, wait for review, are
`ok`; what is written for them counts as wrong answers of the fit. Documents are numbered in a fixed order: the table of confidences is
fitted on the even ones (`--fit --half even` prints it), the figures in docs are of the odd ones.
"""

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from benchmarks.extraction_data import COLUMNS, KINDS, Example, list_examples, read_document
from benchmarks.extraction_negatives import NEGATIVES, Refusals
from benchmarks.extraction_scores import is_cited, is_right
from benchmarks.local_model import make_gateway
from benchmarks.reliability import Point, draw_reliability, measure_error
from gridmill.kit.processes import ProcessPool
from gridmill.operations.extraction import confidence
from gridmill.operations.extraction.confidence import Evidence
from gridmill.operations.extraction.model import Method
from gridmill.operations.extraction.service import Extraction
from gridmill.operations.model import (
    CellOutcome,
    ColumnSpec,
    ExampleRow,
    Library,
    Order,
    Passage,
    RecordRef,
)
from gridmill.providers.documents.model import Document


@dataclass
class Tally:
    """Counts over the cells of one field."""

    truths: int = 0
    answered: int = 0
    right: int = 0
    cited: int = 0
    points: list[Point] = field(default_factory=list[Point])

    def add(self, other: "Tally") -> None:
        """Count another tally's cells too."""
        self.truths += other.truths
        self.answered += other.answered
        self.right += other.right
        self.cited += other.cited
        self.points += other.points

    def write(self, name: str) -> str:
        """A row of a table: precision, recall, correct citations of the answered, ECE."""
        answered, error = max(1, self.answered), measure_error(self.points)
        return (
            f"| {name} | {self.truths} | {self.answered} | {self.right / answered:.2f} |"
            f" {self.right / max(1, self.truths):.2f} | {self.cited / answered:.2f} |"
            f" {'–' if error is None else f'{error:.3f}'} |"
        )


@dataclass
class Counts:
    """Answers and right ones by the keys of the confidence table."""

    rows: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def add(self, cell: CellOutcome, *, right: bool) -> None:
        """Count a written cell under all its keys."""
        for key in ("all", *read_evidence(cell).keys):
            self.rows[key][0] += 1
            self.rows[key][1] += right

    def print(self) -> None:
        """Write the table so far as `confidence.COUNTS` holds it."""
        for key, (answers, right) in sorted(self.rows.items()):
            print(f'    "{key}": ({answers}, {right}),', flush=True)


def read_evidence(cell: CellOutcome) -> Evidence:
    """The evidence that a cell's factors were made of."""
    factors = cell.factors or {}
    if factors["method"] == "heuristics":
        return Evidence(Method(factors["finder"]), factors["fit"], factors["contested"])
    grounded, agreement = factors["grounded"], factors["agreement"]
    return Evidence(Method.MODEL, "", False, agreement, grounded=grounded)


async def run_one(
    operation: Extraction, document: Document, columns: Sequence[ColumnSpec]
) -> Sequence[CellOutcome]:
    """The cells of the one row that a document makes."""

    async def load(_: UUID) -> Document | None:
        return document

    async def search(_: Sequence[str], __: str, ___: int) -> Sequence[Passage]:
        return ()

    async def train() -> Sequence[ExampleRow]:
        return ()

    order = Order(
        uuid4(),
        uuid4(),
        "Documents",
        None,
        columns,
        {"rowsPer": "document"},
        [RecordRef(uuid4(), 0)],
        train,
        Library(load, search),
    )
    return (await operation.make(order)).rows[0].cells


def score(
    document: Document, example: Example, cells: Sequence[CellOutcome], counts: Counts
) -> dict[str, Tally]:
    """The tallies of one document by field."""
    columns = {column.number: column for column in COLUMNS[example.kind]}
    tallies: dict[str, Tally] = {}
    for cell in cells:
        column = columns[cell.column_no]
        truth = example.truth.get(cell.column_no, ())
        tally = tallies[column.name] = Tally(truths=bool(truth))
        if cell.value is None:
            continue
        right = is_right(cell.value, truth, column.rules)
        tally.answered, tally.right = 1, int(right)
        tally.cited = int(is_cited(document, cell.sources, truth, column))
        tally.points.append((cell.confidence or 0.0, right))
        counts.add(cell, right=right)
    return tallies


async def refuse(
    operation: Extraction, document: Document, kind: str, counts: Counts
) -> dict[str, Refusals]:
    """Ask a document for what it does not hold: the cells by column name."""
    refusals: dict[str, Refusals] = {}
    names = {column.number: column.name for column in NEGATIVES[kind]}
    for cell in await run_one(operation, document, NEGATIVES[kind]):
        refusals.setdefault(names[cell.column_no], Refusals()).count(cell)
        if cell.value is not None:
            counts.add(cell, right=False)
    return refusals


async def run_kind(
    operation: Extraction,
    kind: str,
    options: argparse.Namespace,
    counts: Counts,
    refused: dict[str, Refusals],
) -> Tally:
    """Run one kind's documents and print its table."""
    fields: dict[str, Tally] = {}
    folder = Path(options.data) / "extraction"
    examples = list_examples(folder if folder.is_dir() else Path(options.data), kind)
    chosen = [e for n, e in enumerate(examples) if options.half in {"all", ("even", "odd")[n % 2]}]
    chosen = chosen[: options.documents]
    begun, pages = time.perf_counter(), 0
    for example in chosen:
        document = read_document(example.path, Path(options.cache))
        pages += len(document.pages)
        cells = await run_one(operation, document, COLUMNS[kind])
        for name, tally in score(document, example, cells, counts).items():
            fields.setdefault(name, Tally()).add(tally)
        if options.model is None:
            for name, part in (await refuse(operation, document, kind, counts)).items():
                refused.setdefault(f"{kind}: {name}", Refusals()).add(part)
    seconds = time.perf_counter() - begun
    total = Tally()
    for name, tally in fields.items():
        print(tally.write(f"{kind}: {name}"))
        total.add(tally)
    print(
        total.write(f"**{kind}, {len(chosen)} documents, {pages} pages**"),
        f"{seconds:.0f} s",
        flush=True,
    )
    return total


def print_refusals(refused: dict[str, Refusals]) -> None:
    """Write the table of columns that the documents do not hold."""
    print("| asked for, not held | cells | left empty | for review | ok |\n|---|---|---|---|---|")
    kinds: dict[str, Refusals] = {}
    for name, part in refused.items():
        if part.review or part.ok:
            print(part.write(name))
        for group in (name.partition(":")[0], "all"):
            kinds.setdefault(group, Refusals()).add(part)
    for group, part in kinds.items():
        print(part.write(f"**{group}**"))


async def run_all(options: argparse.Namespace) -> list[Point]:
    """Run the kinds asked for and print tables and counts; every answer's confidence and truth."""
    if options.fit:
        confidence.COUNTS = {}
    processes = ProcessPool()
    counts, total = Counts(), Tally()
    refused: dict[str, Refusals] = {}
    with tempfile.TemporaryDirectory() as folder:
        gateway = make_gateway(options.model, Path(folder))
        operation = Extraction(gateway, processes)
        print(
            "| field | truths | answered | precision | recall | cited | ECE |\n|---|---|---|---|---|---|---|"
        )
        for kind in options.kinds:
            total.add(await run_kind(operation, kind, options, counts, refused))
            if options.fit:
                counts.print()
        if gateway is not None:
            await gateway.close()
    await processes.close()
    print(total.write("**all**"))
    print_refusals(refused)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"child processes: {spent.ru_utime + spent.ru_stime:.1f} CPU-s")
    return total.points


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("GRIDMILL_BENCH_DATA", "../shared/data"))
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--model")
    parser.add_argument("--documents", type=int)
    parser.add_argument("--half", default="odd", choices=("odd", "even", "all"))
    parser.add_argument("--plot")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--cache", default=str(Path(tempfile.gettempdir()) / "gridmill-ocr"))
    options = parser.parse_args()
    points = asyncio.run(run_all(options))
    if options.plot:
        Path(options.plot).write_text(draw_reliability(points, "Extraction"))


if __name__ == "__main__":
    main()
