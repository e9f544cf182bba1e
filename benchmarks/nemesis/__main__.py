"""Run the nemesis: python -m benchmarks.nemesis [--seeds 5] [--first 1] [--seconds 10]."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.nemesis.checker import Checker
from benchmarks.nemesis.clients import Caller, NoteWriter, TaskRunner
from benchmarks.nemesis.cluster import Cluster
from benchmarks.nemesis.receiver import Received, receiving
from benchmarks.nemesis.record import Record
from benchmarks.nemesis.setting import make, make_cluster, make_companies, make_webhook, open_client
from benchmarks.support import running_model

WRITERS = 3
RUNNERS = 2
ROWS = 70


def run_seed(seed: int, seconds: float) -> list[str]:
    """One run: `seconds` of faults, healing, checks; what did not hold."""
    with (
        tempfile.TemporaryDirectory(prefix="gridmill-nemesis-") as name,
        running_model("--latency", "0.05", "--seed", str(seed)) as model,
    ):
        Path(name).chmod(0o755)  # PostgreSQL runs as an ordinary user even when we are root
        cluster = make_cluster(Path(name), model.url)
        return asyncio.run(_run(cluster, seed, seconds))


async def _run(cluster: Cluster, seed: int, seconds: float) -> list[str]:
    async with receiving(seed) as received:
        try:
            return await _attack(cluster, received, random.Random(seed), seconds)
        finally:
            await cluster.stop()


async def _attack(
    cluster: Cluster, received: Received, dice: random.Random, seconds: float
) -> list[str]:
    record = Record()
    await cluster.heal()
    async with open_client(cluster) as client:
        caller = Caller(client, record)
        webhook_id = await make_webhook(client, received.url)
        columns = [{"name": "key"}, {"name": "value"}]
        notes = await make(
            client, "/datasets", {"type": "blank", "name": "notes", "columns": columns}
        )
        worked = [await make_companies(client, str(number), ROWS) for number in range(RUNNERS)]
        until = time.monotonic() + seconds
        clients = [
            NoteWriter(f"w{n}", caller, notes["datasetId"], random.Random(dice.random())).run(until)
            for n in range(WRITERS)
        ]
        clients += [
            TaskRunner(caller, one, webhook_id, random.Random(dice.random())).run(until)
            for one in worked
        ]
        running = asyncio.gather(*clients)
        while time.monotonic() < until:
            await asyncio.sleep(0.3 + 2 * dice.random())
            await cluster.hurt(dice)
        await cluster.heal()
        await running
        checker = Checker(client, record, received)
        await checker.check_notes(notes["datasetId"])
        faults = await checker.check(worked)
    print(
        f"    {record.operations} operations, {record.unanswered} unanswered,"
        f" {len(record.tasks)} tasks, {len(received.messages)} messages,"
        f" {len(cluster.told)} faults: {', '.join(told.split()[1] for told in cluster.told)}"
    )
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the seeds; 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many runs")
    parser.add_argument("--first", type=int, default=1, help="the first one's seed")
    parser.add_argument("--seconds", type=float, default=10.0, help="of faults in each")
    options = parser.parse_args(arguments)
    failed = 0
    for seed in range(options.first, options.first + options.seeds):
        print(f"seed {seed}")
        faults = run_seed(seed, options.seconds)
        for fault in faults:
            print(f"    DOES NOT HOLD: {fault}")
        failed += bool(faults)
    print(f"{options.seeds - failed} of {options.seeds} seeds hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
