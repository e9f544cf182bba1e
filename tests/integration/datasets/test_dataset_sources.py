from typing import Any

import pytest

from gridmill.kit.values import DataType
from tests.integration.datasets.conftest import ROWS, TABLE, Client

NUMBERS = {"size": DataType.INTEGER}


async def test_sources_may_be_named_one_by_one_and_together(client: Client) -> None:
    first = str(await client.world.add_source(NUMBERS, [["1"], ["2"]]))
    second = str(await client.world.add_source(NUMBERS, [["3"]]))
    dataset_id = await client.make(datasourceId=first, datasourceIds=[second, first])
    found = (await client.call("GET", f"/{dataset_id}")).json()
    assert found["linkedDatasources"] == [first, second]
    page = await client.data(dataset_id, "?cells=values")
    assert page["data"] == [[1], [2], [3]]


@pytest.mark.parametrize("kind", ["enrichment", "generation", "blank"])
async def test_a_short_table_is_there_when_its_dataset_is_made(client: Client, kind: str) -> None:
    source = await client.world.add_source(TABLE, ROWS)
    body = {"type": kind, "name": "a", "datasourceId": str(source)}
    made = (await client.call("POST", json=body)).json()
    assert (made["status"], made["rowCount"], made["columnCount"]) == ("completed", 3, 3)
    assert [column["name"] for column in made["columns"]] == list(TABLE)
    added = await client.call("POST", f"/{made['datasetId']}/columns", json={"name": "more"})
    assert added.status_code == 201
    assert client.world.jobs.waiting == []


async def test_a_source_that_is_still_read_is_imported_later(client: Client) -> None:
    source = await client.world.add_source(NUMBERS, [], status="processing")
    dataset_id = await client.make(datasourceId=str(source))
    found = (await client.call("GET", f"/{dataset_id}")).json()
    assert (found["status"], found["rowCount"]) == ("processing", 0)


async def test_an_import_that_fails_at_once_leaves_nothing_half_made(client: Client) -> None:
    source = await client.world.add_source(
        {"name": DataType.TEXT, "size": DataType.TEXT}, [["a", "1"], ["b", "many"]]
    )
    declared: list[dict[str, Any]] = [{"name": "size", "dataType": "integer"}]
    dataset_id = await client.make(datasourceId=str(source), columns=declared)
    found = (await client.call("GET", f"/{dataset_id}")).json()
    assert (found["status"], found["rowCount"]) == ("failed", 0)
    assert found["error"]["code"] == "VALUE_MISMATCH"
    assert [column["name"] for column in found["columns"]] == ["size"]


async def test_column_metadata_is_told_as_it_was_said(client: Client) -> None:
    said = {"prompt": "p", "required": False, "readOnly": False, "cache": True}
    dataset_id = await client.make(columns=[{"name": "a", "metadata": said}, {"name": "b"}])
    first, second = (await client.call("GET", f"/{dataset_id}")).json()["columns"]
    assert (first["metadata"], second["metadata"]) == (said, {})
    path = f"/{dataset_id}/columns/{first['columnId']}"
    patched = await client.call("PATCH", path, json={"metadata": {"readOnly": True, "cache": None}})
    assert patched.json()["metadata"] == {"prompt": "p", "required": False, "readOnly": True}
