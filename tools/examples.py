"""Records the examples of docs/openapi.json: `python -m tools.examples`, then `make openapi`.

A server is started in a temporary folder, every operation is called once in a short story about a
list of companies, and what was sent and answered is written to src/gridmill/api/examples.json.
Ids, times and the one API key in it are those of that server, which is gone.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx2
import orjson

from benchmarks.support import running_server
from gridmill.api.openapi_examples import FILE

Json: TypeAlias = dict[str, Any]

_SECONDS = 60.0
_SETTINGS = {"GRIDMILL_MODELS_DIR": "/nowhere", "GRIDMILL_PUBLIC_URL": "https://gridmill.example"}
_ENDED = {"completed", "failed", "cancelled"}
_PLACES = ["Hamburg", "Rotterdam", "Antwerp", "Gdansk", "Genoa", "Marseille"]
_TRADES = {"Harbour": "logistics", "Fish": "food", "Steel": "metal", "Rope": "textiles"}
_FIRST = "company,city,trade\n" + "".join(
    # Every fifth trade is unknown: that is what the task is for.
    f"{city} {word},{city},{'' if (row + place) % 5 == 0 else trade}\n"
    for place, city in enumerate(_PLACES)
    for row, (word, trade) in enumerate(_TRADES.items())
)
_SECOND = "company,city,trade\nBremen Fish,Bremen,\nPorto Rope,Porto,\nRiga Steel,Riga,metal\n"


class Refused(Exception):
    """A call was not answered by its success."""


@dataclass
class Recorder:
    """Calls operations by their id, in the words of the description."""

    client: httpx2.AsyncClient
    document: Json
    found: dict[str, Json] = field(default_factory=dict[str, Json])

    async def call(
        self,
        name: str,
        body: Json | None = None,
        *,
        form: Mapping[str, str] | None = None,
        file: tuple[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
        ids: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON or text
        """Call an operation, keep what was sent and answered, give the answer.

        Raises `Refused` when it was not answered by its success.
        """
        path, method, operation = self._find(name)
        options: Json = {}
        example: Json = {}
        if file is not None:
            options = {"data": form, "files": {"file": (file[0], file[1].encode())}}
            example["request"] = {**(form or {}), "file": file[1]}
        elif "requestBody" in operation:
            options = {"json": body or {}}
            example["request"] = body or {}
        reply = await self.client.request(
            method, path.format(**(ids or {})), params=dict(query or {}), **options
        )
        status = next(iter(operation["responses"]))
        if str(reply.status_code) != status:
            raise Refused(f"{name}: {reply.status_code} {reply.text}")
        answer: Any = None
        if reply.content:
            is_json = reply.headers["content-type"].startswith("application/json")
            answer = reply.json() if is_json else reply.text
            example["reply"] = answer
        self.found[name] = example
        return answer

    def _find(self, name: str) -> tuple[str, str, Json]:
        return next(
            (path, method, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if operation["operationId"] == name
        )

    async def read_until(
        self, name: str, check: Callable[[Json], bool], ids: Mapping[str, str]
    ) -> Json:
        """The answer to a reading operation once `check` holds of it."""
        deadline = time.monotonic() + _SECONDS
        while not check(answer := await self.call(name, ids=ids)):
            if time.monotonic() > deadline:
                raise TimeoutError(name)
            await asyncio.sleep(0.05)
        return answer

    async def read_ended(self, task: Json) -> Json:
        """The task once it has ended."""
        return await self.read_until(
            "getTask",
            lambda found: found["status"] in _ENDED,
            {"dataset_id": task["datasetId"], "task_id": task["taskId"]},
        )


async def record(client: httpx2.AsyncClient) -> dict[str, Json]:
    """An example of every operation; `client` has an admin key of an empty workspace."""
    document = (await client.get("/openapi.json")).json()
    recorder = Recorder(client, document)
    source_id = await _record_sources(recorder)
    webhook_id = await _record_webhooks(recorder)
    dataset = await _record_datasets(recorder, source_id)
    dataset_id: str = dataset["datasetId"]
    task = await _record_tasks(recorder, dataset, webhook_id)
    await _record_cells(recorder, dataset, task)
    await _record_columns(recorder, dataset_id)
    await _record_exports(recorder, dataset_id)
    await _record_keys(recorder, dataset_id)
    await _record_ends(recorder, dataset_id, source_id, webhook_id)
    return recorder.found


async def _upload(recorder: Recorder, name: str, table: str) -> str:
    """The id of a data source that was read to its end."""
    made = await recorder.call("createDatasource", form={"header": "true"}, file=(name, table))
    source_id: str = made["datasourceId"]
    await recorder.read_until(
        "getDatasource", lambda found: found["status"] == "completed", {"datasource_id": source_id}
    )
    return source_id


async def _record_sources(recorder: Recorder) -> str:
    call = recorder.call
    more = ("more.csv", _SECOND)
    await call("previewDatasource", form={"delimiter": "comma"}, file=more)
    await call("uploadDatasource", form={"name": "More companies"}, file=more)
    source_id = await _upload(recorder, "companies.csv", _FIRST)
    ids = {"datasource_id": source_id}
    await call("listDatasources", query={"limit": 2})
    await call("readDatasource", query={"limit": 2, "filter": "trade is empty"}, ids=ids)
    await call("downloadDatasource", {"expiresIn": 600}, ids=ids)
    return source_id


async def _record_webhooks(recorder: Recorder) -> str:
    call = recorder.call
    body: Json = {
        "name": "Ends of tasks",
        "url": "https://hooks.example.com/gridmill",
        "events": ["dataset.task.completed", "dataset.task.failed"],
        "headers": {"X-Team": "data"},
        "secret": "correct horse battery staple",
    }
    webhook_id: str = (await call("createWebhook", body))["webhookId"]
    ids = {"webhook_id": webhook_id}
    await call("updateWebhook", {"name": "Ends of all tasks"}, ids=ids)
    delivery = await call("testWebhook", ids=ids)
    await recorder.read_until(
        "listDeliveries", lambda found: found["deliveries"][0]["attempt"] > 0, ids
    )
    await call("retryDelivery", ids={**ids, "delivery_id": delivery["deliveryId"]})
    return webhook_id


async def _record_datasets(recorder: Recorder, source_id: str) -> Json:
    call = recorder.call
    form = {"type": "data_enrichment", "name": "Companies, uploaded"}
    await call("uploadDataset", form=form, file=("more.csv", _SECOND))
    options = sorted(_TRADES.values())
    metadata: Json = {
        "prompt": "What does {{company}} trade in?",
        "options": options,
        "confidence": 0.95,
    }
    body: Json = {
        "type": "data_enrichment",
        "name": "Companies",
        "datasourceId": source_id,
        "columns": [{"name": "trade", "dataType": "enum", "metadata": metadata}],
    }
    ids = {"dataset_id": (await call("createDataset", body))["datasetId"]}
    await call("listDatasets", query={"limit": 2})
    await call("updateDataset", {"description": "Companies in European ports"}, ids=ids)
    return await recorder.read_until("getDataset", lambda one: one["status"] == "completed", ids)


async def _record_tasks(recorder: Recorder, dataset: Json, webhook_id: str) -> Json:
    call, ids = recorder.call, {"dataset_id": dataset["datasetId"]}
    body: Json = {"columnIds": [dataset["columns"][-1]["columnId"]]}
    await call("estimateTask", {"type": "bulk", **body}, ids=ids)
    await _record_cancels(recorder, ids, ("cancelTask", "deleteTask"))
    task = await call("createBulkTask", {**body, "webhookId": webhook_id}, ids=ids)
    first = await recorder.read_ended(task)
    of_task = {**ids, "task_id": task["taskId"]}
    await call("getTask", ids=of_task)
    await call("getTaskReport", ids=of_task)
    await call("streamTaskEvents", ids=of_task)
    added = await _upload(recorder, "more.csv", _SECOND)
    await call("updateDataset", {"datasourceIds": [added]}, ids=ids)
    rows = await call("createNewRowsTask", {"rowCount": 3}, ids=ids)
    await recorder.read_ended(rows)
    await call("revertTask", ids={**ids, "task_id": rows["taskId"]})
    await recorder.read_ended(await call("retryTask", ids=of_task))
    await call("getTask", ids=of_task)
    await call("listTasks", query={"limit": 2}, ids=ids)
    await call("listAllTasks", query={"limit": 1, "status": "completed"})
    await call("getUsage")
    return first


async def _record_cancels(
    recorder: Recorder, ids: Mapping[str, str], names: tuple[str, ...]
) -> None:
    """Cancel tasks; one that has ended before its cancel comes is followed by another."""
    for name in names:
        for _ in range(20):
            task = await recorder.call("createBulkTask", {"processOnlyEmpty": False}, ids=ids)
            try:
                await recorder.call(name, ids={**ids, "task_id": task["taskId"]})
                break
            except Refused:
                await recorder.read_ended(task)


async def _record_cells(recorder: Recorder, dataset: Json, task: Json) -> None:
    call, ids = recorder.call, {"dataset_id": dataset["datasetId"]}
    query = {"limit": 2, "sort": "company", "filter": "city = 'Genoa'"}
    page = await call("readData", query=query, ids=ids)
    filled = {**ids, "cell_id": next(r[2]["cellId"] for r in page["data"] if r[2]["metadata"])}
    await call("getCell", ids=filled)
    await call("listCellHistory", ids=filled)
    await call("reviewCells", {"action": "approve", "taskId": task["taskId"]}, ids=ids)
    await call(
        "updateCell", {"value": "logistics"}, ids={**ids, "cell_id": page["data"][0][2]["cellId"]}
    )
    made = await call(
        "createRows", {"rows": [{"company": "Oslo Fish", "city": "Oslo"}] * 2}, ids=ids
    )
    await call("deleteRows", {"rowIds": made["rowIds"][:1]}, ids=ids)
    await call("deleteRow", ids={**ids, "row_id": made["rowIds"][1]})


async def _record_columns(recorder: Recorder, dataset_id: str) -> None:
    call, ids = recorder.call, {"dataset_id": dataset_id}
    body: Json = {
        "name": "founded",
        "dataType": "integer",
        "metadata": {"prompt": "The year when {{company}} was founded", "minimum": 1000},
    }
    column = {**ids, "column_id": (await call("createColumn", body, ids=ids))["columnId"]}
    await call("updateColumn", {"metadata": {"confidence": 0.7, "unit": "year"}}, ids=column)
    await call("getColumn", ids=column)
    await call("setTaskType", {"taskType": "none"}, ids=column)
    await call("deleteColumn", ids=column)


async def _record_exports(recorder: Recorder, dataset_id: str) -> None:
    body: Json = {"format": "csv", "filter": "city in ('Genoa', 'Gdansk')"}
    link = await recorder.call("exportDataset", body, ids={"dataset_id": dataset_id})
    await recorder.call("download", ids={"token": link["downloadUrl"].rpartition("/")[2]})


async def _record_keys(recorder: Recorder, dataset_id: str) -> None:
    body: Json = {"name": "reports", "scopes": ["read"], "datasetIds": [dataset_id]}
    ids = {"key_id": (await recorder.call("createKey", body))["keyId"]}
    await recorder.call("rotateKey", ids=ids)
    await recorder.call("listKeys")
    await recorder.call("revokeKey", ids=ids)


async def _record_ends(
    recorder: Recorder, dataset_id: str, source_id: str, webhook_id: str
) -> None:
    call = recorder.call
    await call("getDatasource", ids={"datasource_id": source_id})
    await call("getWebhook", ids={"webhook_id": webhook_id})
    await call("listWebhooks")
    secret = {"secret": "another horse, another staple"}
    await call("rotateWebhookSecret", secret, ids={"webhook_id": webhook_id})
    await call("deleteWebhook", ids={"webhook_id": webhook_id})
    await call("deleteDataset", ids={"dataset_id": dataset_id})
    await call("deleteDatasource", ids={"datasource_id": source_id})


async def _run(url: str, key: str) -> dict[str, Json]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        return await record(client)


def main() -> None:
    """Record them on a server of our own, which learns what it answers and asks no model."""
    with running_server(**_SETTINGS) as server:
        key = (server.folder / "api-key").read_text().strip()
        found = asyncio.run(_run(server.url, key))
    FILE.write_bytes(
        orjson.dumps(
            found, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        )
    )


if __name__ == "__main__":
    main()
