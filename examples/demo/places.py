"""Maps: every café inside a drawn boundary of central Helsinki, as a table and as GeoJSON."""

import json
from pathlib import Path
from typing import Any

import httpx2 as httpx
from rich.table import Table
from server import call, console, follow

BOUNDARY = {
    "type": "Polygon",
    "coordinates": [
        [[24.935, 60.165], [24.955, 60.165], [24.958, 60.172], [24.94, 60.174], [24.935, 60.165]]
    ],
}
COLUMNS = (
    {"name": "name"},
    {"name": "address"},
    {"name": "opening_hours"},
    {"name": "website", "dataType": "url"},
    {"name": "latitude", "dataType": "number"},
    {"name": "longitude", "dataType": "number"},
)
SHOWN = 6


def find_places(client: httpx.Client, out: Path) -> None:
    """A map dataset of the boundary, a row a place; all of them as GeoJSON in `out`."""
    config = {"boundary": BOUNDARY, "categories": ["café"]}
    new = {"type": "map_extraction", "name": "Cafés", "config": config, "columns": COLUMNS}
    path = f"/datasets/{call(client, 'POST', '/datasets', json=new)['datasetId']}"
    task = call(client, "POST", f"{path}/tasks/new-rows", json={"rowCount": 200})
    follow(client, f"{path}/tasks/{task['taskId']}/events", "finding places")
    task = call(client, "GET", f"{path}/tasks/{task['taskId']}")
    data = call(client, "GET", f"{path}/data", params={"limit": SHOWN})
    show_rows(data)
    link = call(client, "POST", f"{path}/export", json={"format": "geojson"})
    out.write_bytes(client.get(link["downloadUrl"]).raise_for_status().content)
    written = len(json.loads(out.read_bytes())["features"])
    source: dict[str, Any] = data["data"][0][0]["metadata"]["sources"][0] if data["data"] else {}
    console.print(
        f"{task['results']['rowsCreated']} places, coverage {task['results'].get('coverage')}; "
        f"{written} features written to {out.name}. {source.get('license')}, {source.get('quote')}",
        soft_wrap=True,
    )
    if task["status"] != "completed" or not written:
        raise SystemExit("The demo's map did not find its places.")


def show_rows(data: dict[str, Any]) -> None:
    """The first places; what the source does not say is empty."""
    table = Table(
        *(column["name"] for column in data["columns"]), title="Cafés inside the boundary"
    )
    for row in data["data"]:
        table.add_row(*("" if cell["value"] is None else str(cell["value"]) for cell in row))
    console.print(table)
