"""What the local model adds to the learners: the same hidden cells filled by one and by both.

    python -m benchmarks.local_model [--models NAME ...] [--rows N] [--known N] [--only NAME]

Takes the tables of `enrichment_accuracy` (GRIDMILL_BENCH_DATA), at most `--rows` hidden cells a
column; with `--known` only so many filled cells of the column are left to learn from. Runs the
enrichment operation itself: learners alone, then with each model of the models folder
(GRIDMILL_MODELS_DIR). CPU counts the learners' process and the model's; the local columns are
the cells that the local model answered.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from benchmarks.enrichment_accuracy import Case, find_data, is_right, list_buy, list_hospital
from gridmill.kit.processes import ProcessPool
from gridmill.kit.values import ValueRules
from gridmill.operations.enrichment.service import Enrichment
from gridmill.operations.model import Batch, CellOutcome, ColumnSpec, ExampleRow, RowInput
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import LOCAL, Access, Limits, ModelRef
from gridmill.providers.local.server import LocalServer
from gridmill.providers.local.transport import LocalTransport
from gridmill.providers.local.weights import choose_installed
from gridmill.settings import load_settings


@dataclass
class Tally:
    """Sums over the cells of one configuration."""

    cells: int = 0
    answered: int = 0
    right: int = 0
    local: int = 0
    local_right: int = 0
    stated: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0

    def add(self, cells: Sequence[CellOutcome], case: Case) -> None:
        """Count a case's cells."""
        for cell, truth in zip(cells, case.truth, strict=True):
            self.cells += 1
            if cell.value is None:
                continue
            right = is_right(cell.value, truth, case.rules)
            self.answered += 1
            self.right += right
            self.stated += cell.confidence or 0.0
            self.local += cell.provider == LOCAL
            self.local_right += right and cell.provider == LOCAL

    def print(self, name: str) -> None:
        """Write one line of the table."""
        answered = self.answered or 1
        print(
            f"{name:34} {self.cells:5} {self.right / self.cells:9.3f}"
            f" {self.answered / self.cells:9.3f} {self.right / answered:9.3f}"
            f" {abs(self.stated - self.right) / answered:9.3f} {self.local:6} {self.local_right:6}"
            f" {self.seconds / self.cells:8.2f} {self.cpu / self.cells:8.2f}",
            flush=True,
        )


def cut_case(case: Case, rows: int, known: int | None) -> Case:
    """At most `rows` hidden cells; of the filled ones `known` stay, evenly chosen."""
    step = max(1, len(case.hidden) // rows)
    hidden, truth = case.hidden[::step][:rows], case.truth[::step][:rows]
    table = case.table
    if known is not None:
        position = table.columns.index(case.column)
        filled = [i for i, row in enumerate(table.rows) if row[position]]
        keep = set(filled[:: max(1, len(filled) // known)][:known])
        emptied = tuple(
            row if i in keep else (*row[:position], None, *row[position + 1 :])
            for i, row in enumerate(table.rows)
        )
        table = replace(table, rows=emptied)
    return replace(case, hidden=hidden, truth=truth, table=table)


def make_batch(case: Case) -> Batch:
    table = case.table
    columns = [
        ColumnSpec(n, name, case.rules if name == case.column else ValueRules())
        for n, name in enumerate(table.columns, 1)
    ]
    target = table.columns.index(case.column)
    values = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    training = [
        ExampleRow(i + 1, table.row_ids[i], values[i])
        for i, row in enumerate(table.rows)
        if row[target]
    ]

    async def load() -> Sequence[ExampleRow]:
        return training

    wanted = [RowInput(i + 1, table.row_ids[i], values[i], (target + 1,)) for i in case.hidden]
    return Batch(uuid4(), uuid4(), case.name, None, columns, wanted, (), load)


def make_gateway(model: str | None, folder: Path) -> Gateway | None:
    if model is None:
        return None
    weights = choose_installed(load_settings().models_dir, model)
    limits = Limits(2)
    return Gateway(
        [Access(LOCAL, base_url="http://local/v1", limits=limits, models=(weights.name,))],
        default=ModelRef(LOCAL, weights.name),
        transports={LOCAL: LocalTransport(LocalServer(weights.path, folder / weights.name))},
    )


def count_cpu() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


async def run(cases: Sequence[Case], model: str | None, seed: int) -> list[Tally]:
    """A tally for each case, and one for all with the processor time of ended children."""
    whole = Tally()
    parts: list[Tally] = []
    cpu = count_cpu()
    with tempfile.TemporaryDirectory() as folder:
        pool, gateway = ProcessPool(1), make_gateway(model, Path(folder))
        operation = Enrichment(gateway, pool, seed=seed)
        for case in cases:
            began = time.perf_counter()
            outcome = await operation.run(make_batch(case))
            tally = Tally(seconds=time.perf_counter() - began)
            tally.add(outcome.cells, case)
            whole.add(outcome.cells, case)
            whole.seconds += tally.seconds
            parts.append(tally)
        if gateway is not None:
            await gateway.close()
        await pool.close()
    whole.cpu = count_cpu() - cpu
    return [*parts, whole]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="*", default=["qwen2.5-coder-0.5b"])
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--known", type=int)
    parser.add_argument("--only", help="buy, hospital, or a column's name")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    data = find_data()
    print(
        f"{'table, column, by whom':34} {'cells':>5} {'accuracy':>9} {'answered':>9}"
        f" {'right of':>9} {'conf.off':>9} {'local':>6} {'right':>6} {'s/row':>8} {'CPU s':>8}"
    )
    for cases in (list_buy(data, options.seed), list_hospital(data, options.seed)):
        chosen = [
            cut_case(case, options.rows, options.known)
            for case in cases
            if options.only in {None, case.name, case.column}
        ]
        for model in (None, *options.models) if chosen else ():
            tallies = asyncio.run(run(chosen, model, options.seed))
            who = model or "learners"
            for case, tally in zip(chosen, tallies[:-1], strict=True):
                if len(chosen) > 1:
                    tally.print(f"{case.column}, {who}")
            tallies[-1].print(f"{chosen[0].name}, {who}")


if __name__ == "__main__":
    main()
