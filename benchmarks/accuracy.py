"""Accuracy and calibration of each layer: known values are emptied, filled again and compared.

    python -m benchmarks.accuracy --data FOLDER [--vega WHEEL] [--labelled 5 20 100 all]
        [--models NAME ...] [--cells N] [--only SET] [--plot FILE.svg]

FOLDER holds Buy.csv, hospital.csv and hospital_clean.csv. The other tables are those that packages
carry: penguins (in examples/demo), and airports.csv of `vega_datasets` 0.9, whose wheel is read as
zip data and never installed. Everything goes through the enrichment operation, as a task's batch
does: learners alone, then with each model of GRIDMILL_MODELS_DIR. A number is right when it is as
close as `learners/numbers.py` calls close, text when it is equal but for case and blanks.

Printed for each table, count of labelled rows and layer: cells; accuracy (an empty cell is wrong)
and its ratio to the most frequent value's; the share answered; the share right of the answered;
the expected calibration error; the share right among cells stated at 0.9 or more; seconds and
processor seconds a row, the model's own and its measuring included, and their ratios to the most
frequent value's.

Expected calibration error: ten bins of equal width, sum of |right - stated| by the bins' shares
(Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning,
AAAI 2015; Guo et al., On Calibration of Modern Neural Networks, ICML 2017).
"""

import argparse
import asyncio
import csv
import io
import random
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.enrichment_accuracy import (
    Case,
    infer,
    is_right,
    list_buy,
    list_hospital,
    make_table,
    read_csv,
)
from benchmarks.local_model import count_cpu, cut_case, make_batch, make_gateway
from benchmarks.reliability import BINS, Point, draw_reliability, fill_bins, measure_error
from gridmill.kit.processes import ProcessPool
from gridmill.kit.values import DataType
from gridmill.operations.enrichment.service import Enrichment
from gridmill.providers.llm.model import LOCAL

PENGUINS = Path(__file__).parents[1] / "examples" / "demo" / "penguins.csv"
AIRPORTS = "vega_datasets/_data/airports.csv"
NUMBERS = {DataType.INTEGER, DataType.NUMBER}
HIDDEN_SHARE = 0.3
ALLOWED_ERROR = 0.05

Rows = list[list[str | None]]
Judge = Callable[[str, str], bool]


@dataclass
class Score:
    """Sums over the cells of one layer on one table; a `Point` is a stated confidence and a hit."""

    cells: int = 0
    right: int = 0
    local: int = 0
    local_right: int = 0
    points: list[Point] = field(default_factory=list[Point])
    seconds: float = 0.0
    cpu: float = 0.0

    @property
    def accuracy(self) -> float:
        """The share right of all cells."""
        return self.right / max(1, self.cells)

    def add(self, value: str | None, confidence: float, truth: str, judge: Judge) -> bool:
        """Count one cell; whether it is right."""
        self.cells += 1
        if value is None:
            return False
        right = judge(value, truth)
        self.right += right
        self.points.append((confidence, right))
        return right


def hide(name: str, columns: Sequence[str], rows: Rows, wanted: str, seed: int) -> Case:
    """A case with a drawn share of the known values of `wanted` emptied."""
    position = columns.index(wanted)
    rules = infer([tuple(row) for row in rows], position)
    known = [i for i, row in enumerate(rows) if row[position]]
    random.Random(f"{seed} {wanted}").shuffle(known)
    hidden = sorted(known[: max(1, int(len(known) * HIDDEN_SHARE))])
    truth = [rows[i][position] or "" for i in hidden]
    emptied: Rows = [list(row) for row in rows]
    for i in hidden:
        emptied[i][position] = None
    return Case(name, wanted, make_table(columns, emptied), hidden, truth, rules)


def list_penguins(seed: int) -> Iterator[Case]:
    columns, rows = read_csv(PENGUINS)
    for wanted in ("species", "sex", "body_mass_g", "flipper_length_mm"):
        yield hide("penguins", columns, rows, wanted, seed)


def list_airports(wheel: Path, seed: int) -> Iterator[Case]:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(AIRPORTS).decode("utf-8")
    columns, *lines = list(csv.reader(io.StringIO(text)))
    rows: Rows = [[cell or None for cell in line] for line in lines]
    for wanted in ("state", "latitude"):
        yield hide("airports", columns, rows, wanted, seed)


def make_judge(case: Case) -> Judge:
    """What counts as right in this column; the tolerance is that of the learner for numbers."""
    if case.rules.data_type not in NUMBERS:
        return lambda value, truth: is_right(value, truth, case.rules)
    position = case.table.columns.index(case.column)
    known = sorted(float(row[position] or 0) for row in case.table.rows if row[position])
    known += [float(truth) for truth in case.truth] if not known else []
    reach = known[int(len(known) * 0.9)] - known[int(len(known) * 0.1)]

    def judge(value: str, truth: str) -> bool:
        near = max(min(abs(float(truth)) * 0.1, reach / 10), reach / 50)
        return abs(float(value) - float(truth)) <= near

    return judge


def guess_all(cases: Sequence[Case], judges: Sequence[Judge]) -> Score:
    """The most frequent value for every cell, stated at its share of the filled ones."""
    score = Score()
    wall, cpu = time.perf_counter(), count_cpu()
    guesses: list[tuple[str | None, float]] = []
    for case in cases:
        position = case.table.columns.index(case.column)
        counts = Counter(row[position] for row in case.table.rows if row[position])
        value, count = counts.most_common(1)[0] if counts else (None, 0)
        guesses.append((value, count / max(1, counts.total())))
    score.seconds, score.cpu = time.perf_counter() - wall, count_cpu() - cpu
    for case, judge, (value, share) in zip(cases, judges, guesses, strict=True):
        for truth in case.truth:
            score.add(value, share, truth, judge)
    return score


async def fill_all(
    cases: Sequence[Case], judges: Sequence[Judge], model: str | None, seed: int
) -> Score:
    """The cells as the operation fills them; ended children's processor time is in `cpu`."""
    score = Score()
    cpu = count_cpu()
    with tempfile.TemporaryDirectory() as folder:
        pool, gateway = ProcessPool(1), make_gateway(model, Path(folder))
        operation = Enrichment(gateway, pool, seed=seed)
        for case, judge in zip(cases, judges, strict=True):
            began = time.perf_counter()
            outcome = await operation.run(make_batch(case))
            score.seconds += time.perf_counter() - began
            for cell, truth in zip(outcome.cells, case.truth, strict=True):
                right = score.add(cell.value, cell.confidence or 0.0, truth, judge)
                score.local += cell.provider == LOCAL and cell.value is not None
                score.local_right += right and cell.provider == LOCAL
        if gateway is not None:
            await gateway.close()
        await pool.close()
    score.cpu = count_cpu() - cpu
    return score


HEAD = (
    f"{'table':9} {'rows':>4} {'layer':20} {'cells':>5} {'accuracy':>8} {'ratio':>6} {'answered':>8}"
    f" {'right of':>8} {'ECE':>6} {'at 0.9+':>13} {'local':>9} {'s/row':>8} {'CPU s/row':>9}"
)


def report(title: str, score: Score, frequent: Score) -> None:
    """One line, and a line for each bin that is off where the error is over the allowed one."""
    sure = [right for stated, right in score.points if stated >= 0.9]
    answered = len(score.points)
    error = measure_error(score.points)
    high = f"{sum(sure) / len(sure):.3f} of {len(sure)}" if sure else "none"
    ratio = f"{score.accuracy / frequent.accuracy:.2f}" if frequent.right else "-"
    print(
        f"{title:35} {score.cells:5} {score.accuracy:8.3f} {ratio:>6}"
        f" {answered / score.cells:8.3f} {score.right / max(1, answered):8.3f}"
        f" {'-' if error is None else format(error, '.3f'):>6} {high:>13}"
        f" {f'{score.local_right} of {score.local}':>9} {score.seconds / score.cells:8.4f}"
        f" {score.cpu / score.cells:9.4f}"
        f" = {score.seconds / frequent.seconds:,.0f} x the time of the most frequent value",
        flush=True,
    )
    if error is not None and error > ALLOWED_ERROR:
        for number, found in enumerate(fill_bins(score.points)):
            if found.count and abs(found.stated - found.right) > ALLOWED_ERROR:
                print(
                    f"{'':15}off at {number / BINS:.1f}-{(number + 1) / BINS:.1f}: stated"
                    f" {found.stated:.2f}, right {found.right:.2f}, {found.count} cells"
                )


def measure(name: str, cases: Sequence[Case], options: argparse.Namespace) -> list[Point]:
    """All layers on one table at each count of labelled rows; the points of the learners."""
    # From the whole tables: how close is close must not hang on how many rows are labelled.
    judges = [make_judge(case) for case in cases]
    points: list[Point] = []
    for labelled in options.labelled:
        known = None if labelled == "all" else int(labelled)
        each = max(1, options.cells // len(cases))
        chosen = [cut_case(case, each, known) for case in cases]
        frequent = guess_all(chosen, judges)
        report(f"{name:9} {labelled:>4} {'most frequent':20}", frequent, frequent)
        for model in (None, *options.models):
            score = asyncio.run(fill_all(chosen, judges, model, options.seed))
            report(f"{name:9} {labelled:>4} {model or 'learners':20}", score, frequent)
            points += score.points if model is None else []
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="Buy.csv and hospital*.csv")
    parser.add_argument("--vega", type=Path, help="wheel of vega_datasets 0.9: adds airports")
    parser.add_argument("--labelled", nargs="+", default=["5", "20", "100", "all"])
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--cells", type=int, default=60, help="hidden cells a table, all columns")
    parser.add_argument("--only", help="buy, hospital, penguins or airports")
    parser.add_argument("--plot", type=Path, help="write the learners' reliability as SVG")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    tables: dict[str, Callable[[], Iterator[Case]]] = {
        "buy": lambda: list_buy(options.data, options.seed),
        "hospital": lambda: list_hospital(options.data, options.seed),
        "penguins": lambda: list_penguins(options.seed),
    }
    if options.vega is not None:
        tables["airports"] = lambda: list_airports(options.vega, options.seed)
    if options.only is not None and options.only not in tables:
        parser.error(f"--only is one of: {', '.join(tables)} (airports needs --vega)")
    print(HEAD, flush=True)
    points: list[Point] = []
    for name, find in tables.items():
        if options.only in {None, name}:
            points += measure(name, list(find()), options)
    if options.plot is not None:
        options.plot.write_text(draw_reliability(points, "Learners: stated and found"))


if __name__ == "__main__":
    main()
