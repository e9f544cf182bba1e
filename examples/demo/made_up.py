"""Rows that follow a table: made up by the embedded synthesizer, and measured beside the real ones."""

from pathlib import Path
from typing import Any

import httpx2 as httpx
from rich.table import Table
from server import call, console, follow, wait_until_imported

ROWS = 200
SHOWN = 6


def make_rows_up(client: httpx.Client, path: Path) -> None:
    """A generation dataset of the file, `ROWS` rows more, and what its report says of them."""
    source = call(client, "POST", "/datasources", files={"file": (path.name, path.read_bytes())})
    new = {
        "type": "ai_generation",
        "name": "More penguins",
        "datasourceId": source["datasourceId"],
        "config": {"seed": 1},
    }
    dataset = call(client, "POST", "/datasets", json=new)
    dataset = wait_until_imported(client, dataset["datasetId"])
    tasks = f"/datasets/{dataset['datasetId']}/tasks"
    task = call(client, "POST", f"{tasks}/new-rows", json={"rowCount": ROWS})
    follow(client, f"{tasks}/{task['taskId']}/events", "making rows")
    task = call(client, "GET", f"{tasks}/{task['taskId']}")
    data = call(
        client,
        "GET",
        f"/datasets/{dataset['datasetId']}/data",
        params={"limit": 1000, "cells": "values"},
    )
    show_rows([column["name"] for column in data["columns"]], data["data"][-SHOWN:])
    report = call(client, "GET", f"{tasks}/{task['taskId']}/report")["generation"]
    tell_report(report, task)
    if task["status"] != "completed" or task["results"]["rowsCreated"] != ROWS:
        raise SystemExit("The demo's generation did not make its rows.")


def show_rows(names: list[str], rows: list[list[Any]]) -> None:
    """The last rows that were made up."""
    table = Table(*names, title="Penguins that never were")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


def tell_report(report: dict[str, Any], task: dict[str, Any]) -> None:
    """The report's figures in a sentence."""
    console.print(
        f"{task['results']['rowsCreated']} rows in {task['durationMs'] / 1000:.1f} s: "
        f"{report['quality']['overall']:.2f} alike the real ones (1 is the same), told from them with "
        f"an AUC of {report['detection']['rocAuc']} (0.5 is not at all), "
        f"{report['privacy']['copies']} copies",
        soft_wrap=True,
    )
