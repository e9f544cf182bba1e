"""The main job against a fake model server with 200 ms a reply: speed, thrift, crash, faults.

    .venv/bin/python -m benchmarks.main_job [speed] [distinct] [crash] [faults] [broken]

Each part prints what it measured beside its limit; the ideal is rows / concurrency x latency.
"""

import os
import signal
import sys
import time
from datetime import datetime
from typing import Any

from benchmarks.support import Server, cpu_seconds, running_model, running_server, wait_for

LATENCY = 0.2
CONCURRENCY = 64
COLUMN = {"name": "sector", "metadata": {"prompt": "The sector of {{company}}"}}


def table(rows: int, distinct: int | None = None) -> str:
    """A CSV of company names, `distinct` of them different."""
    names = (f"Company {index % (distinct or rows)} Ltd" for index in range(rows))
    return "company\n" + "\n".join(names) + "\n"


def settings(url: str) -> dict[str, str]:
    """A server that asks the fake model."""
    return {
        "GRIDMILL_LLM_BASE_URL": url,
        "GRIDMILL_LLM_API_KEY": "fake",
        "GRIDMILL_LLM_MODEL": "fake-model",
        "GRIDMILL_LLM_MAX_CONCURRENCY": str(CONCURRENCY),
    }


def run_task(server: Server, dataset: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """A bulk task over the whole dataset and its wall seconds, from POST to its `completedAt`.

    The end is the server's own word, on the same clock, so that asking for it need not be so
    frequent that it takes the processor from what is measured.
    """
    started = time.time()
    task = server.call("POST", f"/datasets/{dataset['datasetId']}/tasks/bulk", json={})
    task = server.wait_for_task(dataset["datasetId"], task["taskId"])
    return task, datetime.fromisoformat(task["completedAt"]).timestamp() - started


def speed() -> None:
    """1,000 rows x 1 column: wall <= 1.10 x ideal, under 1 ms of worker CPU a row."""
    rows = 1000
    ideal = rows / CONCURRENCY * LATENCY
    with (
        running_model("--latency", str(LATENCY)) as model,
        running_server(**settings(model.url)) as server,
    ):
        for attempt in range(3):
            text = table(rows).replace("Company", f"Company {attempt}-")
            dataset = server.make_dataset(text, [COLUMN])
            before = sum(map(cpu_seconds, server.worker_pids()))
            task, wall = run_task(server, dataset)
            cpu = sum(map(cpu_seconds, server.worker_pids())) - before
            assert task["results"]["cellsWritten"] == rows, task
            print(
                f"speed {attempt}: wall {wall:.3f} s = {wall / ideal:.3f} x ideal (limit 1.10), "
                f"worker CPU {cpu / rows * 1000:.2f} ms a row (limit 1.00)"
            )


def distinct() -> None:
    """500 rows with 50 distinct inputs: at most 50 calls."""
    with (
        running_model("--latency", str(LATENCY)) as model,
        running_server(**settings(model.url)) as server,
    ):
        task, wall = run_task(server, server.make_dataset(table(500, 50), [COLUMN]))
        print(
            f"distinct: {model.stats()['calls']} calls for {task['results']['cellsWritten']} cells "
            f"(limit 50) in {wall:.2f} s"
        )


def crash() -> None:
    """SIGKILL of the whole server half-way through 400 rows, then a restart on the same folder."""
    rows = 400
    with (
        running_model("--latency", str(LATENCY)) as model,
        running_server(**settings(model.url)) as server,
    ):
        dataset = server.make_dataset(table(rows), [COLUMN])
        path = f"/datasets/{dataset['datasetId']}"
        task = server.call("POST", f"{path}/tasks/bulk", json={})
        wait_for(lambda: model.stats()["calls"] >= rows // 2, 60, "half of the calls")
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(10)
        in_flight = model.stats()["in_flight"]
        server.start()
        task = server.wait_for_task(dataset["datasetId"], task["taskId"])
        calls = model.stats()["calls"]
        data = server.call("GET", f"{path}/data", params={"limit": 1000, "cells": "values"})["data"]
        filled = sum(row[1] is not None for row in data)
        print(
            f"crash: {filled} of {rows} rows filled, task {task['status']}, {calls - rows} calls paid twice "
            f"(in flight at the kill: at most {CONCURRENCY}, seen {in_flight})"
        )


def faults() -> None:
    """300 rows with 5% HTTP 500 and 5% 429: all filled, within 3 x the ideal."""
    rows = 300
    ideal = rows / CONCURRENCY * LATENCY
    options = ("--latency", str(LATENCY), "--errors", "0.05", "--limited", "0.05")
    with running_model(*options) as model, running_server(**settings(model.url)) as server:
        task, wall = run_task(server, server.make_dataset(table(rows), [COLUMN]))
        print(
            f"faults: {task['results']['cellsWritten']} of {rows} filled, wall {wall / ideal:.2f} x ideal (limit 3)"
        )


def broken() -> None:
    """300 rows with 5% broken JSON: repaired or an error in the cell, nothing broken stored."""
    rows = 300
    with (
        running_model("--latency", str(LATENCY), "--broken", "0.05") as model,
        running_server(**settings(model.url)) as server,
    ):
        dataset = server.make_dataset(table(rows), [COLUMN])
        task, _ = run_task(server, dataset)
        path = f"/datasets/{dataset['datasetId']}/data"
        cells = [row[1] for row in server.call("GET", path, params={"limit": 1000})["data"]]
        odd = [
            cell["value"] for cell in cells if cell["value"] is not None and "{" in cell["value"]
        ]
        errors = sum(cell["metadata"]["error"] is not None for cell in cells)
        print(
            f"broken: {task['results']['cellsWritten']} of {rows} filled, {errors} cells with an error, "
            f"{len(odd)} broken values stored (limit 0)"
        )


PARTS = {"speed": speed, "distinct": distinct, "crash": crash, "faults": faults, "broken": broken}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
