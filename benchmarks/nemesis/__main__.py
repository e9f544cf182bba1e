"""Run the nemesis: python -m benchmarks.nemesis [--seeds 5] [--first 1] [--faults 11]."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.nemesis.attack import Outcome, Size, attack
from benchmarks.nemesis.cluster import running_cluster
from benchmarks.nemesis.setting import make_environment
from benchmarks.support import running_model


def run_seed(seed: int, size: Size) -> Outcome:
    """One run on a server of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="gridmill-nemesis-") as name,
        running_model("--latency", "0.05", "--seed", str(seed)) as model,
    ):
        Path(name).chmod(0o755)  # PostgreSQL runs as an ordinary user even when we are root

        async def run() -> Outcome:
            async with running_cluster(Path(name), make_environment(model.url)) as cluster:
                return await attack(cluster, seed, size)

        return asyncio.run(run())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the seeds; 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many runs")
    parser.add_argument("--first", type=int, default=1, help="the first one's seed")
    parser.add_argument("--faults", type=int, default=Size().faults, help="in each")
    parser.add_argument("--longest", type=float, default=Size().longest, help="seconds of a fault")
    options = parser.parse_args(arguments)
    size = Size(faults=options.faults, longest=options.longest)
    failed = 0
    for seed in range(options.first, options.first + options.seeds):
        print(f"seed {seed}", flush=True)
        outcome = run_seed(seed, size)
        record = outcome.record
        print(
            f"    {record.answered} of {record.operations} operations answered,"
            f" {len(record.tasks)} tasks, {outcome.messages} messages, faults:"
            f" {', '.join(map(str, outcome.struck))}",
            flush=True,
        )
        for fault in outcome.failed:
            print(f"    DOES NOT HOLD: {fault}", flush=True)
        failed += bool(outcome.failed)
    print(f"{options.seeds - failed} of {options.seeds} seeds hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
