"""Gridmill in a minute: a server of its own, a table with holes, and the table without them.

Starts `gridmill serve` on an embedded PostgreSQL in a temporary folder, uploads real data, hides
known answers, lets a task fill them again, and compares with the truth. Speaks plain HTTP, as any
client would. Run it with `make demo`.
"""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

PENGUINS = Path(__file__).with_name("penguins.csv")
TARGETS = ("species", "sex")
SHOWN = ("island", "bill_length_mm", "body_mass_g", *TARGETS)
HIDE_EVERY = 3
START_SECONDS = 120
TASK_SECONDS = 300

console = Console()


@dataclass(frozen=True)
class Hidden:
    """A table with holes, and what stood in them: `(row index, column name) -> value`."""

    text: str
    truth: dict[tuple[int, str], str]


def hide_answers() -> Hidden:
    """Empty every third species and, shifted by one row, every third sex."""
    with PENGUINS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth: dict[tuple[int, str], str] = {}
    for shift, column in enumerate(TARGETS):
        for index in range(shift, len(rows), HIDE_EVERY):
            if rows[index][column]:
                truth[index, column] = rows[index][column]
                rows[index][column] = ""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return Hidden(out.getvalue(), truth)


@contextmanager
def serve(folder: Path) -> Generator[httpx.Client]:
    """A server in `folder` on a free port, stopped at the end; a client with its admin key."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gridmill", "serve", "--port", "0", "--data-dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=(folder / "server.log").open("wb"),
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("GRIDMILL_")},
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


def wait_until_imported(client: httpx.Client, dataset_id: str) -> dict[str, Any]:
    """The dataset once its rows are in."""
    deadline = time.monotonic() + TASK_SECONDS
    while time.monotonic() < deadline:
        dataset = call(client, "GET", f"/datasets/{dataset_id}")
        if dataset["status"] != "processing":
            return dataset
        time.sleep(0.1)
    raise SystemExit("The import did not finish.")


def follow(client: httpx.Client, dataset_id: str, task_id: str) -> None:
    """Draw the task's progress from its event stream until it ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        row = bar.add_task("filling cells", total=None)
        path = f"/api/v2/datasets/{dataset_id}/tasks/{task_id}/events"
        with client.stream("GET", path, timeout=TASK_SECONDS) as stream:
            event = ""
            for line in stream.iter_lines():
                if line.startswith("event:"):
                    event = line.removeprefix("event:").strip()
                elif line.startswith("data:") and event == "progress":
                    progress = json.loads(line.removeprefix("data:"))
                    done = sum(progress[part] for part in ("completed", "failed", "skipped"))
                    bar.update(row, total=progress["total"] or None, completed=done)


def show(data: dict[str, Any], hidden: Hidden) -> None:
    """A few finished rows, the filled cells with their confidence and whether they are right."""
    names: list[str] = [column["name"] for column in data["columns"]]
    rows: list[list[dict[str, Any]]] = data["data"]
    table = Table(title="Filled cells: value, confidence, then ✓ right or ✗ wrong")
    for name in SHOWN:
        table.add_column(name)
    for index in range(150, 162):
        cells = (rows[index][names.index(name)] for name in SHOWN)
        truths = (hidden.truth.get((index, name)) for name in SHOWN)
        table.add_row(*map(render, cells, truths))
    console.print(table)


def render(cell: dict[str, Any], truth: str | None) -> str:
    """A cell for the terminal: grey when it was there, coloured when a task answered it."""
    value, metadata = cell["value"], cell["metadata"]
    if metadata is None:
        return f"[dim]{'' if value is None else value}[/dim]"
    if metadata["error"]:
        return f"[yellow]- {metadata['error']['code']}[/yellow]"
    mark = "" if truth is None else (" ✓" if value == truth else f" ✗ {truth}")
    colour = "red" if "✗" in mark else "green"
    return f"[{colour}]{value} {metadata['confidence']:.2f}{mark}[/{colour}]"


def measure(data: dict[str, Any], hidden: Hidden) -> bool:
    """Print accuracy on the hidden cells, column by column; whether any was answered."""
    names = [column["name"] for column in data["columns"]]
    answered_at_all = False
    for column in TARGETS:
        position = names.index(column)
        asked = [(index, value) for (index, name), value in hidden.truth.items() if name == column]
        answers = [(data["data"][index][position], value) for index, value in asked]
        given = [(cell, value) for cell, value in answers if cell["value"] is not None]
        right = sum(cell["value"] == value for cell, value in given)
        stated = sum(cell["metadata"]["confidence"] for cell, _ in given)
        answered_at_all = answered_at_all or bool(given)
        console.print(
            f"[bold]{column}[/bold]: {len(given)} of {len(asked)} hidden cells answered, "
            f"{right / max(1, len(given)):.0%} of them right at a mean "
            f"confidence of {stated / max(1, len(given)):.0%}",
            soft_wrap=True,
        )
    return answered_at_all


def main() -> None:
    """The whole story, start to end."""
    hidden = hide_answers()
    with tempfile.TemporaryDirectory(prefix="gridmill-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as an ordinary user even when we are root
        console.rule("Gridmill demo: 344 real penguins, answers hidden and found again")
        console.print("Starting a server on an embedded PostgreSQL …")
        with serve(folder) as client:
            run(client, hidden)
        console.print("Server stopped. Next: README.md, five minutes with curl.")


def run(client: httpx.Client, hidden: Hidden) -> None:
    """Upload, describe, start, follow, read back."""
    source = call(
        client, "POST", "/datasources", files={"file": ("penguins.csv", hidden.text.encode())}
    )
    dataset = call(
        client,
        "POST",
        "/datasets",
        json={
            "type": "data_enrichment",
            "name": "Penguins",
            "datasourceId": source["datasourceId"],
            "columns": [
                {"name": "species", "metadata": {"prompt": "Which species of penguin is this?"}},
                {"name": "sex", "dataType": "enum", "metadata": {"options": ["female", "male"]}},
            ],
        },
    )
    dataset = wait_until_imported(client, dataset["datasetId"])
    dataset_id = dataset["datasetId"]
    columns = [column["columnId"] for column in dataset["columns"] if column["name"] in TARGETS]
    task = call(client, "POST", f"/datasets/{dataset_id}/tasks/bulk", json={"columnIds": columns})
    follow(client, dataset_id, task["taskId"])
    task = call(client, "GET", f"/datasets/{dataset_id}/tasks/{task['taskId']}")
    data = call(client, "GET", f"/datasets/{dataset_id}/data", params={"limit": 1000})
    show(data, hidden)
    answered = measure(data, hidden)
    results = task["results"]
    console.print(
        f"Task {task['status']} in {task['durationMs'] / 1000:.1f} s: {results['cellsWritten']} cells "
        f"written, {results['cellsNeedingReview']} of them marked for review",
        soft_wrap=True,
    )
    if task["status"] != "completed" or not answered:
        raise SystemExit("The demo's task did not do its work.")


if __name__ == "__main__":
    main()
