"""Ends a process of the server at its 1st, 2nd, 3rd ... boundary of a task, until one run passes.

    python -m benchmarks.nemesis.boundaries [--first 0] [--step 1]

A boundary lies before and after every commit and every call over HTTP, in the API, the worker and
what delivers webhooks. After each run the task has ended once, every cell was written once, its
event arrived and the dataset is free.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.nemesis.checker import Checker
from benchmarks.nemesis.clients import ENDED, Caller
from benchmarks.nemesis.cluster import Cluster, running_cluster
from benchmarks.nemesis.events import EventChecker
from benchmarks.nemesis.reader import Reader
from benchmarks.nemesis.receiver import Received, receiving
from benchmarks.nemesis.record import Record, TaskSeen
from benchmarks.nemesis.setting import make_companies, make_environment, make_webhook, open_client
from benchmarks.support import running_model

INJECTED = Path(__file__).with_name("injected")
ROWS = 120
_MOST = 2_000


async def run_all(folder: Path, model_url: str, first: int, step: int) -> int:
    """Boundary after boundary; how many runs did not hold."""
    countdown = folder / "countdown"
    injected = {"NEMESIS_COUNTDOWN": str(countdown), "PYTHONPATH": str(INJECTED)}
    failed = 0
    async with running_cluster(folder, make_environment(model_url) | injected) as cluster:
        try:
            for number in range(first, _MOST, step):
                async with receiving(seed=0, faulty_share=0.0) as received:
                    faults = await _run(cluster, received, countdown, number)
                failed += bool(faults)
                place = countdown.with_suffix(".place")
                told = place.read_text() if place.exists() else "untouched"
                place.unlink(missing_ok=True)
                print(f"boundary {number}: {told}", *faults, sep="\n    ", flush=True)
                if told == "untouched":
                    break
        finally:
            set_countdown(countdown, None)
    return failed


async def _run(cluster: Cluster, received: Received, countdown: Path, number: int) -> list[str]:
    record = Record()
    async with open_client(cluster) as client:
        webhook = await make_webhook(client, received.url)
        webhook_id = webhook["webhookId"]
        dataset_id = await make_companies(client, f"b{number}", ROWS)
        caller = Caller(client, record)
        watching = asyncio.create_task(cluster.keep_up())
        try:
            set_countdown(countdown, number)
            path = f"/datasets/{dataset_id}/tasks"
            reply = await caller.call("POST", f"{path}/bulk", {"webhookId": webhook_id})
            assert reply.status_code == 202, reply.text
            task = TaskSeen(reply.json()["taskId"], dataset_id)
            record.tasks[task.task_id] = task
            while not task.seen or task.seen[-1] not in ENDED:
                reply = await caller.call("GET", f"{path}/{task.task_id}")
                task.seen.append(reply.json()["status"])
                await asyncio.sleep(0.05)
            reader = Reader(client)
            checker = Checker(reader, record)
            await checker.check_worked([dataset_id])
            told = await EventChecker(reader, record, received, webhook).check()
            faults = [*checker.faults, *told]
            if task.seen[-1] != "completed":
                faults.append(f"the task is {task.seen[-1]}")
        finally:
            set_countdown(countdown, None)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await cluster.heal()
        reply = await client.delete(f"/webhooks/{webhook_id}")
        assert reply.status_code == 204, reply.text
    return faults


def set_countdown(file: Path, boundaries: int | None) -> None:
    """Have a process end after so many boundaries; `None`: no process."""
    if boundaries is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(str(boundaries))


def main() -> int:
    """Run them; 1 when something did not hold."""
    parser = argparse.ArgumentParser(description="A kill at every boundary of a task.")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--step", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="gridmill-nemesis-") as name,
        running_model("--latency", "0.02") as model,
    ):
        Path(name).chmod(0o755)  # PostgreSQL runs as an ordinary user even when we are root
        failed = asyncio.run(run_all(Path(name), model.url, options.first, options.step))
    print("every boundary holds" if not failed else f"{failed} runs did not hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
