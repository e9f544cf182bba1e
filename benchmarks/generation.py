"""The synthesizer beside open peers on the same tables, in one run.

    .venv/bin/python -m benchmarks.generation [--rows N] [--tables adult ...] [--environment FOLDER]

Makes two environments in a temporary folder (or keeps them in FOLDER) and installs there: SDMetrics,
which scores, and plotnine, whose package carries a table; the peers arfpy (adversarial random forests), py-synthpop (CART) and DataSynthesizer
(Bayesian networks), MIT all of them. SDMetrics needs copulas (BUSL-1.1, free for evaluation), which is why none of it is among Gridmill's dependencies.

Tables: `adult` from `../shared/data` or `GRIDMILL_BENCH_DATA` (UCI, CC BY 4.0), 12,000 of plotnine's
diamonds (from ggplot2, MIT), scikit-learn's breast cancer (UCI, CC BY 4.0). Each peer and Gridmill's
synthesizer fits a table and draws as many rows as it has, in a fresh process with one thread;
seconds and CPU leave out imports, peak memory holds them. What SDMetrics and Gridmill's own
report then say is printed: quality, diagnostic, how well rows are told from real ones, the distance
to the closest real row over that among real rows (5th percentile, median), copies.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gridmill.kit.canonical import DataType
from gridmill.kit.values import TypeInference, ValueRules, coerce
from gridmill.providers.synthesizer.model import ColumnShape, Row

PEERS = ("arfpy", "py-synthpop", "DataSynthesizer")
SCORING = ("sdmetrics", "plotnine", "scikit-learn")
# The peers have had no release since numpy 2 and pandas 2 took away what they call.
COMPARED = (*PEERS, "numpy<2", "pandas<2", "scikit-learn<1.6", "scipy<1.14")
TABLES = ("adult", "diamonds", "cancer")
SEED = 1
SECONDS = 1_800
SCRIPT = Path(__file__).with_name("generation_peers.py")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "LOKY_MAX")}


def make_environment(folder: Path, packages: Sequence[str]) -> Path:
    """The Python of an environment with these packages in it."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(command, check=True)
    return python


def ask(python: Path, *arguments: str) -> Any:  # noqa: ANN401 - any JSON
    """What the script printed last, as JSON; `None` when it failed or took too long."""
    command = [str(python), str(SCRIPT), *arguments]
    environment = {**os.environ, **ONE_THREAD, "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        print(f"  over {SECONDS} s")
        return None
    if done.returncode:
        print("  failed:", done.stderr.strip().splitlines()[-1])
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def read_table(
    path: Path, shapes: Sequence[ColumnShape] = ()
) -> tuple[list[ColumnShape], list[Row]]:
    """A CSV file; its types are found unless `shapes` say them."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        names = next(reader)
        rows: list[Row] = [tuple(text or None for text in row) for row in reader]
    if not shapes:
        kinds = [TypeInference() for _ in names]
        for place, kind in enumerate(kinds):
            kind.add_all(row[place] for row in rows)
        return [ColumnShape(n, k.result()) for n, k in zip(names, kinds, strict=True)], rows
    places = [names.index(shape.name) for shape in shapes]
    rules = [ValueRules(shape.data_type) for shape in shapes]
    table = [
        tuple(read_cell(row[place], rule) for place, rule in zip(places, rules, strict=True))
        for row in rows
    ]
    return list(shapes), table


def read_cell(text: str | None, rules: ValueRules) -> str | None:
    """A peer's cell: it may write an integer as 3.0, or something that is no value."""
    try:
        return coerce(text, rules)
    except ValueError:
        return None


def run_ours(real: Path, made: Path, rows: int, seed: int) -> dict[str, float]:
    """Fit and draw here; this process was started for it."""
    from gridmill.providers.synthesizer.service import fit

    __import__("sklearn.tree")
    shapes, table = read_table(real)
    start, began = time.perf_counter(), time.process_time()
    drawn = fit(shapes, table, seed).draw(0, rows)
    cost = {"wall": time.perf_counter() - start, "cpu": time.process_time() - began}
    with made.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([shape.name for shape in shapes])
        writer.writerows(drawn.rows)
    return cost | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def start_ours(real: Path, made: Path, rows: int) -> dict[str, float]:
    """`run_ours` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.generation", "--alone", str(real), str(made)]
    done = subprocess.run(
        [*command, "--rows", str(rows)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ONE_THREAD},
    )
    return json.loads(done.stdout)


def compare(
    pythons: tuple[Path, Path], name: str, real: Path, rows: int | None, folder: Path
) -> None:
    """Score everybody on one table: `pythons` are those of the scoring and of the peers."""
    from gridmill.providers.synthesizer.report import measure

    scorer, python = pythons
    shapes, table = read_table(real)
    numeric = {DataType.INTEGER, DataType.NUMBER}
    types = {s.name: "numerical" if s.data_type in numeric else "categorical" for s in shapes}
    print(f"{name}: {len(table)} rows x {len(shapes)} columns", flush=True)
    for peer in ("gridmill", *PEERS):
        made = folder / f"{name}-{peer}.csv"
        count = rows or len(table)
        if peer == "gridmill":
            cost = start_ours(real, made, count)
        else:
            cost = ask(python, peer, str(real), str(made), str(count), str(SEED))
        if cost is None:
            print(f"  {peer}: no result", flush=True)
            continue
        scores = ask(scorer, "score", str(real), str(made), json.dumps(types))
        report = measure(shapes, table, read_table(made, shapes)[1])
        print(f"  {peer:16} {describe(cost, scores or {}, report)}", flush=True)


def describe(cost: dict[str, float], scores: dict[str, float], report: dict[str, Any]) -> str:
    """One line of figures."""
    privacy = report["privacy"]
    near, new = privacy["realDistance"], privacy["madeDistance"]
    ratios = [new[part] / max(near[part], 1e-4) for part in ("percentile5", "median")]
    sd = " ".join(f"{part} {value:.3f}" for part, value in scores.items())
    return (
        f"{sd} | own quality {report['quality']['overall']:.3f} "
        f"ROC AUC {report['detection']['rocAuc']:.2f} "
        f"distance {ratios[0]:.2f} {ratios[1]:.2f} copies {privacy['copies']} | "
        f"{cost['wall']:.2f} s {cost['cpu']:.2f} CPU-s {cost['peak'] / 2**20:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--environment", type=Path)
    parser.add_argument("--alone", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        real, made = options.alone
        print(json.dumps(run_ours(real, made, options.rows, SEED)))
        return
    data = Path(os.environ.get("GRIDMILL_BENCH_DATA", "../shared/data"))
    with tempfile.TemporaryDirectory(prefix="gridmill-bench-") as name:
        folder = Path(name)
        environments = options.environment or folder
        scorer = make_environment(environments / "scoring", SCORING)
        python = make_environment(environments / "peers", COMPARED)
        ask(scorer, "tables", name)
        for table in options.tables:
            real = folder / f"{table}.csv"
            if table == "adult":
                real = data / "generation" / "adult_12000.csv"
            compare((scorer, python), table, real, options.rows, folder)


if __name__ == "__main__":
    main()
