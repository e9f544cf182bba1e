"""What every run starts with: the server's settings, a client, a dataset of companies, a webhook."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2

from benchmarks.nemesis.clients import ENDED
from benchmarks.nemesis.cluster import Cluster
from benchmarks.nemesis.record import Json

_SECRET = "a secret of the nemesis"
_EVENTS = [
    "dataset.created",
    "dataset.task.started",
    *(f"dataset.task.{status}" for status in sorted(ENDED)),
    "datasource.processed",
    "datasource.failed",
]
_COLUMN: Json = {"name": "sector", "metadata": {"prompt": "The sector of {{company}}"}}


def make_environment(model_url: str) -> dict[str, str]:
    """Settings of a server that asks the fake model and may deliver to loopback."""
    return {
        "GRIDMILL_LLM_BASE_URL": model_url,
        "GRIDMILL_LLM_API_KEY": "fake",
        "GRIDMILL_LLM_MODEL": "fake-model",
        "GRIDMILL_EGRESS_ALLOW": "127.0.0.0/8",
        "GRIDMILL_WEBHOOK_ALLOW_HTTP": "true",
    }


def open_client(cluster: Cluster) -> httpx2.AsyncClient:
    """A client with the admin key."""
    return httpx2.AsyncClient(
        base_url=f"{cluster.url}/api/v2",
        headers={"Authorization": f"Bearer {cluster.key}"},
        timeout=10,
    )


async def make(client: httpx2.AsyncClient, path: str, body: Mapping[str, Any]) -> Json:
    """One object, made while everything is well."""
    reply = await client.post(path, json=body)
    assert reply.status_code < 300, reply.text
    return reply.json()


async def make_webhook(client: httpx2.AsyncClient, url: str) -> Json:
    """An endpoint that is told everything; tasks name it too."""
    body: Json = {"name": "nemesis", "url": url, "events": _EVENTS, "secret": _SECRET}
    return await make(client, "/webhooks", body)


async def make_companies(client: httpx2.AsyncClient, name: str, rows: int) -> str:
    """An imported enrichment dataset with an empty column `sector`; its id."""
    table = "company\n" + "".join(f"Company {name}-{row} Ltd\n" for row in range(rows))
    reply = await client.post("/datasources", files={"file": ("c.csv", table.encode())})
    assert reply.status_code == 201, reply.text
    body: Json = {
        "type": "data_enrichment",
        "name": name,
        "datasourceId": reply.json()["datasourceId"],
        "columns": [_COLUMN],
    }
    made = await make(client, "/datasets", body)
    while True:
        found = (await client.get(f"/datasets/{made['datasetId']}")).json()
        if found["status"] != "processing":
            return str(found["datasetId"])
        await asyncio.sleep(0.05)
