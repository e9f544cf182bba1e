"""A server of the demo's own, and the few calls of the API that the demo makes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

START_SECONDS = 120
TASK_SECONDS = 300

console = Console()


@contextmanager
def serve(folder: Path, models: Path) -> Generator[httpx.Client]:
    """A server in `folder` on a free port, stopped at the end; a client with its admin key.

    It sees nothing of the caller's settings; what weights it has lie in the folder `models`.
    """
    foreign = {
        name: value for name, value in os.environ.items() if not name.startswith("GRIDMILL_")
    }
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gridmill", "serve", "--port", "0", "--data-dir", str(folder)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**foreign, "GRIDMILL_MODELS_DIR": str(models)},
        )
    try:
        url = wait_for_address(process, folder)
        key = (folder / "api-key").read_text().strip()
        with httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60
        ) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)


def wait_for_address(process: subprocess.Popen[str], folder: Path) -> str:
    """The address from the server's line `Gridmill is ready on …`."""
    deadline = time.monotonic() + START_SECONDS
    assert process.stdout is not None
    for line in process.stdout:
        if "ready on http" in line:
            return line.split("ready on ", 1)[1].split()[0].rstrip(".")
        if time.monotonic() > deadline:
            break
    raise SystemExit(f"The server did not start:\n{(folder / 'server.log').read_text()[-4000:]}")


def call(client: httpx.Client, method: str, path: str, **body: Any) -> dict[str, Any]:
    """One API call; a refusal ends the demo with the server's own words."""
    response = client.request(method, f"/api/v2{path}", **body)
    if response.is_error:
        raise SystemExit(f"{method} {path}: {response.status_code} {response.text}")
    return response.json()


def fill(
    client: httpx.Client, name: str, text: str, columns: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Upload the table `text`, describe `columns`, fill their empty cells.

    The ended task and the dataset's data, as the API gives them.
    """
    source = call(client, "POST", "/datasources", files={"file": (f"{name}.csv", text.encode())})
    dataset = call(
        client,
        "POST",
        "/datasets",
        json={
            "type": "data_enrichment",
            "name": name,
            "datasourceId": source["datasourceId"],
            "columns": columns,
        },
    )
    dataset = wait_until_imported(client, dataset["datasetId"])
    path = f"/datasets/{dataset['datasetId']}"
    described = {column["name"] for column in columns}
    ids = [column["columnId"] for column in dataset["columns"] if column["name"] in described]
    task = call(client, "POST", f"{path}/tasks/bulk", json={"columnIds": ids})
    follow(client, f"{path}/tasks/{task['taskId']}/events")
    task = call(client, "GET", f"{path}/tasks/{task['taskId']}")
    return task, call(client, "GET", f"{path}/data", params={"limit": 1000})


def wait_until_imported(client: httpx.Client, dataset_id: str) -> dict[str, Any]:
    """The dataset once its rows are in."""
    deadline = time.monotonic() + TASK_SECONDS
    while time.monotonic() < deadline:
        dataset = call(client, "GET", f"/datasets/{dataset_id}")
        if dataset["status"] != "processing":
            return dataset
        time.sleep(0.1)
    raise SystemExit("The import did not finish.")


def follow(client: httpx.Client, path: str, what: str = "filling cells") -> None:
    """Draw a task's progress from its event stream until it ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        row = bar.add_task(what, total=None)
        with client.stream("GET", f"/api/v2{path}", timeout=TASK_SECONDS) as stream:
            event = ""
            for line in stream.iter_lines():
                if line.startswith("event:"):
                    event = line.removeprefix("event:").strip()
                elif line.startswith("data:") and event == "progress":
                    progress = json.loads(line.removeprefix("data:"))
                    done = sum(progress[part] for part in ("completed", "failed", "skipped"))
                    bar.update(row, total=progress["total"] or None, completed=done)
