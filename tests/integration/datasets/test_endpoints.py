import csv
import io
import json
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from gridmill.datasets import service
from gridmill.datasets.model import CellWrite, Writer
from gridmill.kit.ids import new_uuid7
from gridmill.kit.pages import encode_cursor
from tests.integration.datasets.conftest import TABLE, Client


async def test_a_dataset_is_made_read_changed_and_deleted(client: Client) -> None:
    columns = [
        {"name": "a"},
        {
            "name": "b",
            "dataType": "enum",
            "taskType": "generation",
            "metadata": {"extractionPrompt": "of {{a}}", "options": ["x", "y"], "cache": False},
        },
    ]
    dataset_id = await client.make(columns=columns, description="what")
    got = (await client.call("GET", f"/{dataset_id}")).json()
    assert got["type"] == "data_enrichment"
    assert got["status"] == "completed"
    assert (got["locked"], got["activeTaskId"]) == (False, None)
    assert (got["rowCount"], got["columnCount"], got["linkedDatasources"]) == (0, 2, [])
    assert got["createdAt"].endswith("Z")
    assert [column["taskType"] for column in got["columns"]] == ["data_enrichment", "ai_generation"]
    assert got["columns"][1]["metadata"] == {
        "prompt": "of {{a}}",
        "options": ["x", "y"],
        "cache": False,
    }
    listed = (await client.call("GET", "?search=a+s&type=enrichment&status=completed")).json()
    assert listed["datasets"][0]["datasetId"] == dataset_id
    assert "columns" not in listed["datasets"][0]
    changed = await client.call("PATCH", f"/{dataset_id}", json={"name": "z", "description": None})
    assert (changed.json()["name"], changed.json()["description"]) == ("z", None)
    assert (await client.call("DELETE", f"/{dataset_id}")).status_code == 204
    assert (await client.call("GET", f"/{dataset_id}")).json()["code"] == "DATASET_NOT_FOUND"


async def test_a_column_keeps_numbers_that_no_64_bits_hold(client: Client) -> None:
    metadata = {
        "minimum": -1e300,
        "maximum": 1e20,
        "examples": [{"input": {"big": 1e25}, "output": 2**63 - 1}],
    }
    columns = [{"name": "a", "dataType": "number", "metadata": metadata}]
    dataset_id = await client.make(columns=columns)
    got = (await client.call("GET", f"/{dataset_id}")).json()
    assert got["columns"][0]["metadata"] == metadata


async def test_404_comes_before_the_body_and_strangers_see_nothing(client: Client) -> None:
    dataset_id = await client.imported()
    data = await client.data(dataset_id)
    cell, row = data["data"][0][0]["cellId"], data["rowIds"][0]
    column = data["columns"][0]["columnId"]
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/data"),
        ("POST", "/rows"),
        ("DELETE", "/rows"),
        ("DELETE", f"/rows/{row}"),
        ("POST", "/columns"),
        ("PATCH", f"/columns/{column}"),
        ("DELETE", f"/columns/{column}"),
        ("PUT", f"/columns/{column}/task-type"),
        ("GET", f"/cells/{cell}"),
        ("PATCH", f"/cells/{cell}"),
        ("GET", f"/cells/{cell}/history"),
        ("POST", "/cells/review"),
        ("POST", "/export"),
    ):
        for key, place in ((client.stranger, dataset_id), (client.key, str(new_uuid7()))):
            response = await client.call(method, f"/{place}{path}", key=key, content=b"{not json")
            assert (response.status_code, response.json()["code"]) == (404, "DATASET_NOT_FOUND")
        if method != "GET" and path != "/export":
            refused = await client.call(method, f"/{dataset_id}{path}", key=client.read_key)
            assert refused.json()["code"] == "INSUFFICIENT_SCOPE"
    for path, code in (
        ("/columns/x", "COLUMN_NOT_FOUND"),
        ("/cells/x", "CELL_NOT_FOUND"),
        (f"/cells/{cell}9", "CELL_NOT_FOUND"),
    ):
        response = await client.call("PATCH", f"/{dataset_id}{path}", content=b"{")
        assert (response.status_code, response.json()["code"]) == (404, code)
    gone = await client.call("DELETE", f"/{dataset_id}/rows/{row}9")
    assert gone.json()["code"] == "ROW_NOT_FOUND"


async def test_the_data_page_is_a_2d_array(client: Client) -> None:
    dataset_id = await client.imported()
    data = await client.data(dataset_id)
    assert [column["name"] for column in data["columns"]] == list(TABLE)
    assert [[cell["value"] for cell in row] for row in data["data"]] == [
        ["=1+1", 1, -1.5],
        ['a "quoted"\nname', "9007199254740993", None],
        [None, None, 2],
    ]
    assert data["data"][0][0]["metadata"] is None
    assert len(data["rowIds"]) == 3
    assert data["pagination"] == {
        "page": 1,
        "limit": 50,
        "total": 3,
        "totalPages": 1,
        "nextCursor": None,
    }
    wanted = f"{data['columns'][2]['columnId']},{data['columns'][0]['columnId']}"
    values = await client.data(
        dataset_id, f"?cells=values&columnIds={wanted}&sort=ratio&order=desc&limit=2"
    )
    assert values["data"] == [[2, None], [-1.5, "=1+1"]]
    following = values["pagination"]["nextCursor"]
    rest = await client.data(
        dataset_id, f"?cells=values&sort=ratio&order=desc&limit=2&cursor={following}"
    )
    assert rest["rowIds"] == [data["rowIds"][1]]
    found = await client.data(dataset_id, "?filter=size+%3E+1&cells=values")
    assert found["pagination"]["total"] == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=1001", "VALIDATION_ERROR"),
        ("page=0", "VALIDATION_ERROR"),
        ("page=1&page=2", "VALIDATION_ERROR"),
        ("cursor=x", "VALIDATION_ERROR"),
        ("sort=nope", "VALIDATION_ERROR"),
        ("order=up", "VALIDATION_ERROR"),
        ("status=done", "VALIDATION_ERROR"),
        ("columnIds=", "INVALID_SELECTION"),
        ("filter=name", "INVALID_FILTER"),
        ("filter=nope+%3D+1", "INVALID_FILTER"),
        ("filter=" + "name+%3D+1+or+" * 1_000, "INVALID_FILTER"),
        ("filter=%00", "INVALID_TEXT"),
        ("nope=1", "VALIDATION_ERROR"),
    ],
)
async def test_bad_queries_are_422(client: Client, query: str, code: str) -> None:
    dataset_id = await client.make(columns=[{"name": "name"}])
    response = await client.call("GET", f"/{dataset_id}/data?{query}")
    assert (response.status_code, response.json()["code"]) == (422, code)


@pytest.mark.parametrize("cursor", ["x", encode_cursor("no id"), encode_cursor("a", 1)])
async def test_a_cursor_that_no_list_gave_is_422(client: Client, cursor: str) -> None:
    await client.make()
    response = await client.call("GET", f"?cursor={cursor}")
    assert (response.status_code, response.json()["code"]) == (422, "VALIDATION_ERROR")


async def test_pages_beyond_the_end_are_empty(client: Client) -> None:
    dataset_id = await client.imported()
    for query in ("?page=1000000000&limit=1000", "?page=1000000000&limit=1000&sort=size"):
        data = await client.data(dataset_id, query)
        assert (data["data"], data["pagination"]["total"]) == ([], 3)


async def test_cells_are_patched_and_told(client: Client) -> None:
    dataset_id = await client.imported()
    data = await client.data(dataset_id)
    cell = data["data"][0][1]["cellId"]
    patched = await client.call("PATCH", f"/{dataset_id}/cells/{cell}", json={"value": 2**60})
    assert patched.json() == {
        "cellId": cell,
        "rowId": data["rowIds"][0],
        "columnId": data["columns"][1]["columnId"],
        "value": str(2**60),
        "metadata": None,
    }
    assert (await client.call("GET", f"/{dataset_id}/cells/{cell}")).json() == patched.json()
    for body in ({"value": "x"}, {"value": 1.5}, {"value": True}, {}, {"value": 1, "metadata": {}}):
        response = await client.call("PATCH", f"/{dataset_id}/cells/{cell}", json=body)
        assert (response.status_code, response.json()["code"]) == (422, "VALIDATION_ERROR")
    history = (await client.call("GET", f"/{dataset_id}/cells/{cell}/history?limit=1")).json()
    assert history["pagination"]["total"] == 2
    assert history["history"][0]["value"] == str(2**60)
    assert history["history"][0]["writtenBy"]["kind"] == "user"
    cursor = history["pagination"]["nextCursor"]
    rest = await client.call("GET", f"/{dataset_id}/cells/{cell}/history?limit=1&cursor={cursor}")
    assert rest.json()["history"][0]["writtenBy"]["kind"] == "import"
    assert rest.json()["history"][0]["value"] == 1


async def test_rows_columns_and_reviews_through_the_api(client: Client) -> None:
    dataset_id = await client.make(columns=[{"name": "a"}])
    made = await client.call("POST", f"/{dataset_id}/rows", json={"rows": [{"a": "x"}, {}]})
    assert made.status_code == 201
    first, second = made.json()["rowIds"]
    for rows in ([], [{"zz": 1}], [{}] * 10_001):
        refused = await client.call("POST", f"/{dataset_id}/rows", json={"rows": rows})
        assert (refused.status_code, refused.json()["code"]) == (422, "VALIDATION_ERROR")
    column = await client.call(
        "POST", f"/{dataset_id}/columns", json={"name": "b", "dataType": "json"}
    )
    assert column.status_code == 201
    column_id = column.json()["columnId"]
    assert (column.json()["position"], column.json()["dataType"]) == (1, "json")
    taken = await client.call("POST", f"/{dataset_id}/columns", json={"name": "b"})
    assert taken.json()["details"]["fields"][0]["field"] == "name"
    patched = await client.call(
        "PATCH", f"/{dataset_id}/columns/{column_id}", json={"metadata": {"unit": "m"}}
    )
    assert patched.json()["metadata"] == {"unit": "m"}
    cell = (await client.data(dataset_id))["data"][0][1]["cellId"]
    await client.call("PATCH", f"/{dataset_id}/cells/{cell}", json={"value": {"n": [1, 2**70]}})
    assert f'{{"n":[1,{2**70}]}}' in (
        await client.call("GET", f"/{dataset_id}/cells/{cell}")
    ).text.replace(" ", "")
    put = await client.call(
        "PUT", f"/{dataset_id}/columns/{column_id}/task-type", json={"taskType": "none"}
    )
    assert (put.json()["taskType"], put.json()["columnId"]) == ("none", column_id)
    history = await client.call("GET", f"/{dataset_id}/cells/{cell}/history")
    assert history.status_code == 200
    assert history.json()["history"][0]["value"] is None
    for body in (
        {"action": "approve"},
        {"action": "approve", "taskId": "x"},
        {"action": "approve", "taskId": str(new_uuid7())},
        {"action": "approve", "cellIds": []},
        {"action": "approve", "cellIds": [cell], "columnIds": [column_id]},
    ):
        refused = await client.call("POST", f"/{dataset_id}/cells/review", json=body)
        assert refused.json()["code"] == "INVALID_SELECTION"
    assert (await client.call("DELETE", f"/{dataset_id}/columns/{column_id}")).status_code == 204
    assert (await client.call("DELETE", f"/{dataset_id}/rows/{first}")).status_code == 204
    deleted = await client.call("DELETE", f"/{dataset_id}/rows", json={"rowIds": [second]})
    assert deleted.json() == {"rows": 1}


async def export(client: Client, dataset_id: str, **body: Any) -> httpx2.Response:
    made = await client.call("POST", f"/{dataset_id}/export", json=body)
    assert made.status_code == 200, made.text
    url = urlsplit(made.json()["downloadUrl"])
    assert made.json()["fileName"].endswith(body["format"])
    return await client.http.get(url.path)


async def test_an_export_says_what_the_dataset_holds(client: Client) -> None:
    dataset_id = await client.imported()
    response = await export(client, dataset_id, format="csv")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(response.content.decode(), newline="")))
    assert rows == [
        ["name", "size", "ratio"],
        ["'=1+1", "1", "-1.5"],
        ['a "quoted"\nname', "9007199254740993", ""],
        ["", "", "2"],
    ]
    response = await export(client, dataset_id, format="jsonl", filter="size > 0")
    assert [json.loads(line) for line in response.text.splitlines()] == [
        {"name": "=1+1", "size": 1, "ratio": -1.5},
        {"name": 'a "quoted"\nname', "size": "9007199254740993", "ratio": None},
    ]
    columns = (await client.data(dataset_id))["columns"]
    response = await export(client, dataset_id, format="csv", columnIds=[columns[1]["columnId"]])
    assert response.content.decode().splitlines() == [
        "size",
        "1",
        "9007199254740993",
        '""',
    ]


async def test_an_export_carries_metadata_when_asked(client: Client) -> None:
    dataset_id = await client.imported()
    task = new_uuid7()
    async with client.world.database.transaction() as tx:
        dataset = await service.get_dataset(tx, client.world.principal, dataset_id)
        columns = await service.list_columns(tx, dataset)
        metadata = {"status": "ok", "confidence": 0.75, "sources": [{"kind": "model"}]}
        write = CellWrite(1, columns[0].column_no, "new", metadata=metadata)
        await service.write_cells(tx, dataset, columns, [write], Writer("task", task, 0))
    response = await export(client, dataset_id, format="jsonl", includeMetadata=True)
    first = json.loads(response.text.splitlines()[0])
    assert first["values"]["name"] == "new"
    assert first["metadata"]["name"]["confidence"] == 0.75
    response = await export(client, dataset_id, format="csv", includeMetadata=True)
    head, row = list(csv.reader(io.StringIO(response.content.decode())))[:2]
    found = dict(zip(head, row, strict=True))
    assert found["name (status)"] == "ok"
    assert found["name (confidence)"] == "0.75"
    assert json.loads(found["name (sources)"]) == [{"kind": "model"}]


async def test_bad_exports_are_422(client: Client) -> None:
    dataset_id = await client.imported()
    for body, code in (
        ({"format": "geojson"}, "VALIDATION_ERROR"),
        ({"format": "csv", "expiresIn": 0}, "VALIDATION_ERROR"),
        ({"format": "csv", "filter": "x ="}, "INVALID_FILTER"),
        ({"format": "csv", "columnIds": ["x"]}, "INVALID_SELECTION"),
    ):
        response = await client.call("POST", f"/{dataset_id}/export", json=body)
        assert (response.status_code, response.json()["code"]) == (422, code)


async def test_a_link_to_a_deleted_dataset_is_404(client: Client) -> None:
    dataset_id = await client.imported()
    made = await client.call("POST", f"/{dataset_id}/export", json={"format": "csv"})
    await client.call("DELETE", f"/{dataset_id}")
    response = await client.http.get(urlsplit(made.json()["downloadUrl"]).path)
    assert response.json()["code"] == "DATASET_NOT_FOUND"


async def test_an_upload_makes_sources_and_a_dataset(client: Client) -> None:
    files = [
        ("files[]", ("a.csv", b"name,size\nada,1\n", "text/csv")),
        ("files[]", ("b.csv", b"name,size\nbob,2\n", "text/csv")),
    ]
    fields = {"type": "enrichment", "name": "both"}
    made = await client.call("POST", "/upload", files=files, data=fields)
    assert made.status_code == 201, made.text
    body = made.json()
    assert body["status"] == "processing"
    assert len(body["linkedDatasources"]) == 2
    for bad, status in (
        ({"type": "nope", "name": "x"}, 422),
        ({"type": "blank"}, 422),
        ({"type": "blank", "name": "x", "config": "{}"}, 422),
    ):
        response = await client.call("POST", "/upload", files=files, data=bad)
        assert response.status_code == status, response.text
    assert (await client.call("POST", "/upload", data=fields)).status_code in {415, 422}


async def test_unknown_sources_in_a_body_are_404(client: Client) -> None:
    for extra in (
        {"datasourceId": str(new_uuid7())},
        {"datasourceIds": ["x"]},
        {"columns": [{"name": "a", "metadata": {"knowledge": [str(new_uuid7())]}}]},
    ):
        body = {"type": "blank", "name": "a"} | extra
        response = await client.call("POST", json=body)
        assert (response.status_code, response.json()["code"]) == (404, "DATASOURCE_NOT_FOUND")
