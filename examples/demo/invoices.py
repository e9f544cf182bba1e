"""Documents: three invoices, a text, a web page and a mail, to a table with its evidence."""

import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
from rich.table import Table
from server import TASK_SECONDS, call, console, follow

COLUMNS = (
    {"name": "invoice number"},
    {"name": "invoice date", "dataType": "date"},
    {"name": "customer"},
    {"name": "total", "dataType": "number"},
)
TRUTH = {
    "lamp.txt": ("NL-2041", "2026-03-03", "Hotel Meridian", 367.16),
    "repair.eml": ("7733", "2026-03-30", "Ines Duarte", 61),
    "seeds.html": ("G/118", "2026-03-19", "Allotment Society East", 84.2),
}


def extract_invoices(client: httpx.Client, folder: Path) -> None:
    """Upload the files of `folder`, take a row from each, and hold the values against the truth."""
    ids = [upload(client, folder / name) for name in TRUTH]
    new = {"type": "data_extraction", "name": "Invoices", "datasourceIds": ids, "columns": COLUMNS}
    path = f"/datasets/{call(client, 'POST', '/datasets', json=new)['datasetId']}"
    task = call(client, "POST", f"{path}/tasks/new-rows", json={"rowCount": 10})
    follow(client, f"{path}/tasks/{task['taskId']}/events", "reading documents")
    task = call(client, "GET", f"{path}/tasks/{task['taskId']}")
    data = call(client, "GET", f"{path}/data")
    right = show_rows(data)
    hidden = [cell["metadata"]["hiddenText"] for row in data["data"] for cell in row]
    console.print(
        f"{right} of {len(TRUTH) * len(COLUMNS)} values right, each with the words it was read from. "
        f"Text that no reader sees, left out: {next((text for text in hidden if text), 'none')!r}",
        soft_wrap=True,
    )
    if task["status"] != "completed" or not right:
        raise SystemExit("The demo's extraction did not do its work.")


def upload(client: httpx.Client, path: Path) -> str:
    """The id of the file's data source, once it has been read."""
    source = call(client, "POST", "/datasources", files={"file": (path.name, path.read_bytes())})
    deadline = time.monotonic() + TASK_SECONDS
    while source["status"] == "processing" and time.monotonic() < deadline:
        time.sleep(0.1)
        source = call(client, "GET", f"/datasources/{source['datasourceId']}")
    return source["datasourceId"]


def show_rows(data: dict[str, Any]) -> int:
    """Draw values with confidence and quote; how many are as the documents say."""
    table = Table("document", *(column["name"] for column in data["columns"]))
    right = 0
    for row in data["data"]:
        sources = [source for cell in row for source in cell["metadata"]["sources"] or ()]
        name = sources[0]["fileName"] if sources else ""
        told: list[str] = []
        for cell, truth in zip(row, TRUTH.get(name, (None,) * len(row)), strict=True):
            right += cell["value"] == truth
            found = cell["metadata"]["sources"]
            quote = f"\n“{found[0]['quote']}”" if found else ""
            confidence = cell["metadata"]["confidence"]
            mark = "✓" if cell["value"] == truth else "✗"
            told.append(
                f"{cell['value']} {confidence:.2f} {mark}{quote}"
                if confidence is not None
                else f"- {cell['metadata']['error']['code']}"
            )
        table.add_row(name, *told)
    console.print(table)
    return right
