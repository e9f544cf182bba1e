"""A workspace with an object of every kind, made over HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from tests.support.api import Json, ask, column_id, end_of, make_dataset, read_grid, start_bulk
from tests.support.waiting import eventually

SECRET = "a secret of some length"


@dataclass(frozen=True, slots=True)
class Inhabitants:
    """The ids of a workspace's objects by kind, and a text that stands in every one of them."""

    mark: str
    ids: Mapping[str, str]
    link: str

    def is_shown_in(self, text: str) -> bool:
        """Whether a reply tells anything of them."""
        return self.mark in text or any(one in text for one in self.ids.values())


async def inhabit(client: httpx2.AsyncClient, hook_url: str, mark: str) -> Inhabitants:
    """Make two of whatever is listed, so that each list has a cursor; the ids are of one."""
    webhooks = [await _make_webhook(client, hook_url, f"{mark} {n}") for n in range(2)]
    blank = {"type": "blank", "name": mark, "description": mark, "config": {}}
    await ask(client, "POST", "/datasets", json=blank)
    await ask(client, "POST", "/datasources", files={"file": (f"{mark}.csv", b"a\n1\n")})
    table = f"name,kind\n{mark} a,x\n{mark} b,\n"
    dataset = await make_dataset(client, table, name=mark)
    tasks = [await _run_task(client, dataset, webhooks[-1]) for _ in range(2)]
    grid = await read_grid(client, dataset)
    # A second write of a cell that an import made, so that its history has pages too.
    cells = [grid["data"][n][0]["cellId"] for n in range(2)]
    for cell in cells:
        path = f"/datasets/{dataset['datasetId']}/cells/{cell}"
        await ask(client, "PATCH", path, json={"value": f"{mark} edited"})
    keys = [
        await ask(client, "POST", "/keys", json={"name": f"{mark} {n}", "scopes": ["read"]})
        for n in range(2)
    ]
    export = await ask(
        client, "POST", f"/datasets/{dataset['datasetId']}/export", json={"format": "csv"}
    )
    return Inhabitants(
        mark,
        {
            "source": dataset["linkedDatasources"][0],
            "dataset": dataset["datasetId"],
            "column": column_id(dataset, "kind"),
            "row": grid["rowIds"][0],
            "other row": grid["rowIds"][1],
            "cell": cells[0],
            "other cell": cells[1],
            "task": tasks[0]["taskId"],
            "webhook": webhooks[-1]["webhookId"],
            "delivery": await _find_delivery(client, webhooks[-1]),
            "key": keys[-1]["keyId"],
        },
        export["downloadUrl"],
    )


async def vacate(client: httpx2.AsyncClient, gone: Inhabitants) -> None:
    """Delete the objects that are named, and with them what hangs on them."""
    ids = gone.ids
    for path in (
        f"/datasets/{ids['dataset']}",
        f"/datasources/{ids['source']}",
        f"/webhooks/{ids['webhook']}",
        f"/keys/{ids['key']}",
    ):
        await ask(client, "DELETE", path)


async def _make_webhook(client: httpx2.AsyncClient, url: str, name: str) -> Json:
    body = {"name": name, "url": url, "events": [], "headers": {"X-Mark": name}, "secret": SECRET}
    return await ask(client, "POST", "/webhooks", json=body)


async def _run_task(client: httpx2.AsyncClient, dataset: Json, webhook: Json) -> Json:
    return await end_of(client, await start_bulk(client, dataset, webhookId=webhook["webhookId"]))


async def _find_delivery(client: httpx2.AsyncClient, webhook: Json) -> str:
    async def arrived() -> list[Json] | None:
        path = f"/webhooks/{webhook['webhookId']}/deliveries"
        found = (await ask(client, "GET", path))["deliveries"]
        done = len(found) == 2 and all(one["status"] == "succeeded" for one in found)
        return found if done else None

    told: list[Json] = await eventually(arrived, timeout=60)
    return told[0]["deliveryId"]
