"""How right the embedded learners are: known cells are hidden, filled in again, and compared.

    python benchmarks/enrichment_accuracy.py [--only NAME] [--seed N]

Reads `enrichment/` under GRIDMILL_BENCH_DATA (default: ../shared/data). Buy.csv: half of the known
manufacturers are hidden. hospital.csv: a fifth of the cells of all columns are emptied at once and
each column is filled again; the truth is the clean file. Printed for each: the most frequent
value's accuracy, accuracy over all hidden cells (an unanswered one is wrong), the share answered,
accuracy of the answered, expected calibration error, wall seconds and processor ms a row.
"""

import argparse
import csv
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridmill.kit.values import DataType, TypeInference, ValueRules
from gridmill.operations.enrichment.learners import memory
from gridmill.operations.enrichment.learners.exchange import (
    Prediction,
    Question,
    Row,
    Table,
    Target,
)
from gridmill.operations.outcomes import FLOOR

BATCH = 500


@dataclass(frozen=True)
class Case:
    """One column to fill: the table with holes, the hidden rows, their truth."""

    name: str
    column: str
    table: Table
    hidden: list[int]
    truth: list[str]
    rules: ValueRules


@dataclass(frozen=True)
class Figures:
    """What was measured of one column; `error` is the expected calibration error."""

    cells: int
    baseline: float
    accuracy: float
    coverage: float
    answered: float
    error: float
    seconds: float
    cpu_ms: float


def find_data() -> Path:
    """The folder of the tables."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("GRIDMILL_BENCH_DATA") or default) / "enrichment"


def read_csv(path: Path) -> tuple[list[str], list[list[str | None]]]:
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    return lines[0], [[cell or None for cell in line] for line in lines[1:]]


def make_table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Table:
    ids = tuple(f"r{number}" for number in range(1, len(rows) + 1))
    return Table(tuple(columns), ids, tuple(tuple(row) for row in rows))


def infer(rows: Sequence[Row], position: int) -> ValueRules:
    inference = TypeInference()
    for row in rows:
        inference.add(row[position])
    return ValueRules(inference.result())


def list_buy(folder: Path, seed: int) -> Iterator[Case]:
    columns, rows = read_csv(folder / "Buy.csv")
    position = columns.index("manufacturer")
    known = [i for i, row in enumerate(rows) if row[position]]
    random.Random(seed).shuffle(known)
    hidden = sorted(known[: len(known) // 2])
    truth = [rows[i][position] or "" for i in hidden]
    for i in hidden:
        rows[i][position] = None
    yield Case("buy", "manufacturer", make_table(columns, rows), hidden, truth, ValueRules())


def list_hospital(folder: Path, seed: int) -> Iterator[Case]:
    columns, rows = read_csv(folder / "hospital.csv")
    clean: dict[tuple[int, str], str] = {}
    with (folder / "hospital_clean.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            clean[int(line["tid"]), line["attribute"]] = line["correct_val"]
    order = random.Random(seed)
    holes = {
        (i, j)
        for i, row in enumerate(rows)
        for j, cell in enumerate(row)
        if cell and order.random() < 0.2
    }
    full = [tuple(row) for row in rows]
    for i, j in holes:
        rows[i][j] = None
    table = make_table(columns, rows)
    for j, name in enumerate(columns):
        hidden = sorted(i for i, k in holes if k == j and clean.get((i, name)))
        if hidden:
            truth = [clean[i, name] for i in hidden]
            yield Case("hospital", name, table, hidden, truth, infer(full, j))


def fill(case: Case, seed: int) -> list[Prediction]:
    target = Target(case.column, case.rules, case.column)
    predictions: list[Prediction] = []
    for start in range(0, len(case.hidden), BATCH):
        part = case.hidden[start : start + BATCH]
        ids = tuple(case.table.row_ids[i] for i in part)
        rows = tuple(case.table.rows[i] for i in part)
        key = f"{case.name} {case.column}"
        answer = memory.answer(Question(key, seed, target, ids, rows), case.table)
        predictions += [said or Prediction(None, 0.0, {}) for said in answer.spread(len(part))]
    return predictions


def is_right(value: str, truth: str, rules: ValueRules) -> bool:
    if rules.data_type in {DataType.INTEGER, DataType.NUMBER}:
        return float(value) == float(truth)
    return " ".join(value.casefold().split()) == " ".join(truth.casefold().split())


def measure(case: Case, seed: int) -> Figures:
    wall, cpu = time.perf_counter(), time.process_time()
    predictions = fill(case, seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    position = case.table.columns.index(case.column)
    common = Counter(row[position] for row in case.table.rows if row[position]).most_common(1)
    guess = common[0][0] or ""
    count = len(case.hidden)
    bins: dict[int, list[tuple[float, bool]]] = {}
    hits = answered = 0
    for said, truth in zip(predictions, case.truth, strict=True):
        if said.value is None or said.confidence < FLOOR:
            continue
        right = is_right(said.value, truth, case.rules)
        answered += 1
        hits += right
        bins.setdefault(min(int(said.confidence * 10), 9), []).append((said.confidence, right))
    error = sum(
        abs(sum(c for c, _ in members) - sum(right for _, right in members))
        for members in bins.values()
    )
    return Figures(
        cells=count,
        baseline=sum(is_right(guess, truth, case.rules) for truth in case.truth) / count,
        accuracy=hits / count,
        coverage=answered / count,
        answered=hits / answered if answered else 0.0,
        error=error / answered if answered else 0.0,
        seconds=wall,
        cpu_ms=cpu / count * 1000,
    )


def report(name: str, figures: Figures) -> None:
    print(
        f"{name:32} {figures.cells:6} {figures.baseline:9.3f} {figures.accuracy:9.3f} "
        f"{figures.coverage:9.3f} {figures.answered:9.3f} {figures.error:7.3f} "
        f"{figures.seconds:8.1f} {figures.cpu_ms:8.1f}"
    )


def total(parts: Sequence[Figures]) -> Figures:
    cells = sum(part.cells for part in parts)
    answered = sum(part.cells * part.coverage for part in parts) or 1.0
    return Figures(
        cells,
        sum(part.cells * part.baseline for part in parts) / cells,
        sum(part.cells * part.accuracy for part in parts) / cells,
        answered / cells,
        sum(part.cells * part.accuracy for part in parts) / answered,
        sum(part.cells * part.coverage * part.error for part in parts) / answered,
        sum(part.seconds for part in parts),
        sum(part.cpu_ms * part.cells for part in parts) / cells,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", help="buy, hospital, or a column's name")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    folder = find_data()
    print(
        f"{'column':32} {'cells':>6} {'frequent':>9} {'accuracy':>9} {'coverage':>9} "
        f"{'answered':>9} {'ECE':>7} {'seconds':>8} {'ms/row':>8}"
    )
    for cases in (list_buy(folder, options.seed), list_hospital(folder, options.seed)):
        parts: list[Figures] = []
        last = ""
        for case in cases:
            if options.only in {None, case.name, case.column}:
                parts.append(measure(case, options.seed))
                report(f"{case.name} {case.column}", parts[-1])
                last = case.name
        if len(parts) > 1:
            report(f"{last}, all columns", total(parts))


if __name__ == "__main__":
    main()
