"""What acceptance tests do again and again over HTTP: make datasets, run tasks, read grids."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2

from tests.support.waiting import eventually

Json = dict[str, Any]
ENDED = frozenset({"completed", "failed", "cancelled"})


async def ask(client: httpx2.AsyncClient, method: str, path: str, **options: Any) -> Json:
    """One call that must succeed; the body of its reply."""
    response = await client.request(method, path, **options)
    assert response.status_code < 400, f"{method} {path}: {response.status_code} {response.text}"
    return response.json() if response.content else {}


async def refuse(
    client: httpx2.AsyncClient, method: str, path: str, status: int, code: str, **options: Any
) -> Json:
    """One call that must be refused with `status` and `code`, in the contract's shape; its details."""
    response = await client.request(method, path, **options)
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error", "code", "details"}, body
    assert body["code"] == code, body
    assert isinstance(body["error"], str)
    assert body["error"]
    return body["details"]


async def upload(client: httpx2.AsyncClient, content: bytes | str, name: str = "table.csv") -> Json:
    """A data source, read to its end (completed or failed)."""
    data = content.encode() if isinstance(content, str) else content
    made = await ask(client, "POST", "/datasources", files={"file": (name, data)})

    async def read() -> Json | None:
        source = await ask(client, "GET", f"/datasources/{made['datasourceId']}")
        return None if source["status"] == "processing" else source

    return await eventually(read, timeout=60)


async def make_dataset(
    client: httpx2.AsyncClient,
    content: str,
    columns: Sequence[Mapping[str, Any]] = (),
    **fields: Any,
) -> Json:
    """An enrichment dataset of a CSV text, imported to its end."""
    source = await upload(client, content)
    body: Json = {
        "type": "data_enrichment",
        "name": "made",
        "datasourceId": source["datasourceId"],
        **fields,
    }
    if columns:
        body["columns"] = list(columns)
    made = await ask(client, "POST", "/datasets", json=body)

    async def read() -> Json | None:
        dataset = await ask(client, "GET", f"/datasets/{made['datasetId']}")
        return None if dataset["status"] == "processing" else dataset

    dataset = await eventually(read, timeout=60)
    assert dataset["status"] == "completed", dataset
    return dataset


def column_id(dataset: Json, name: str) -> str:
    """The id of a column by its name."""
    return next(c["columnId"] for c in dataset["columns"] if c["name"] == name)


async def start_bulk(client: httpx2.AsyncClient, dataset: Json, **body: Any) -> Json:
    """A bulk task just started."""
    return await ask(client, "POST", f"/datasets/{dataset['datasetId']}/tasks/bulk", json=body)


async def read_task(client: httpx2.AsyncClient, task: Json) -> Json:
    """The task as it stands."""
    return await ask(client, "GET", f"/datasets/{task['datasetId']}/tasks/{task['taskId']}")


async def end_of(client: httpx2.AsyncClient, task: Json, *, seconds: float = 90) -> Json:
    """The task once it has ended; connection errors meanwhile are waited out."""

    async def read() -> Json | None:
        try:
            response = await client.get(f"/datasets/{task['datasetId']}/tasks/{task['taskId']}")
        except httpx2.TransportError:
            return None
        if response.status_code >= 500:
            return None
        found = response.json()
        return found if found["status"] in ENDED else None

    return await eventually(read, timeout=seconds)


async def read_grid(client: httpx2.AsyncClient, dataset: Json, **params: Any) -> Json:
    """The data of up to 1,000 rows."""
    path = f"/datasets/{dataset['datasetId']}/data"
    return await ask(client, "GET", path, params={"limit": 1000, **params})


async def read_events(
    client: httpx2.AsyncClient, task: Json, *, last: str | None = None, cells: bool = False
) -> AsyncIterator[tuple[str, str, Json]]:
    """`(id, event, data)` of the task's stream, to its end."""
    path = f"/datasets/{task['datasetId']}/tasks/{task['taskId']}/events"
    headers = {} if last is None else {"Last-Event-ID": last}
    params = {"cells": "true"} if cells else {}
    async with client.stream("GET", path, headers=headers, params=params, timeout=90) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        found: dict[str, str] = {}
        async for line in stream.aiter_lines():
            if line and not line.startswith(":"):
                name, _, text = line.partition(":")
                found[name] = text.strip()
            elif found:
                yield found.get("id", ""), found["event"], json.loads(found["data"])
                found = {}
