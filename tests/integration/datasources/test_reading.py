"""Lists, rows, links, deletion: what is seen of data sources, and by whom."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.datasources.conftest import BASE, Sources


async def _rows(sources: Sources, datasource_id: str, **query: Any) -> list[list[Any]]:
    response = await sources.call("GET", f"{BASE}/{datasource_id}/data", params=query)
    assert response.status_code == 200, response.text
    return response.json()["data"]


_TABLE = "n,city,price\n10,Oslo,1.5\n9,Bergen,\n100,oslo,20\n,Åse,3\n"


async def test_rows_are_paged_sorted_and_filtered_by_their_types(sources: Sources) -> None:
    made = await sources.add(_TABLE)
    rows = [[10, "Oslo", 1.5], [9, "Bergen", None], [100, "oslo", 20], [None, "Åse", 3]]
    one = made["datasourceId"]
    assert await _rows(sources, one) == rows
    assert await _rows(sources, one, page=2, limit=3) == rows[3:]
    assert await _rows(sources, one, page=9) == []
    assert await _rows(sources, one, order="desc") == rows[::-1]
    assert await _rows(sources, one, order="asc") == rows
    assert await _rows(sources, one, filter="n > 1", order="desc") == rows[2::-1]
    assert await _rows(sources, one, sort="n") == [rows[1], rows[0], rows[2], rows[3]]
    assert await _rows(sources, one, sort="n", order="desc") == [rows[2], rows[0], rows[1], rows[3]]
    assert await _rows(sources, one, filter="n >= 10 and price < 5") == [rows[0]]
    assert await _rows(sources, one, filter="price is empty or city = 'Åse'") == [rows[1], rows[3]]
    assert await _rows(sources, one, filter="n in (9, '100')", sort="city") == [rows[1], rows[2]]
    first = await sources.call("GET", f"{BASE}/{one}/data", params={"limit": 3})
    cursor = first.json()["pagination"]["nextCursor"]
    assert await _rows(sources, one, limit=3, cursor=cursor) == rows[3:]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"filter": "nope = 1"}, "INVALID_FILTER"),
        ({"filter": "n = 1; DROP TABLE grids"}, "INVALID_FILTER"),
        ({"filter": "n = 'x'"}, "INVALID_FILTER"),
        ({"filter": ""}, "INVALID_FILTER"),
        ({"filter": "n = 1 or " * 1_200 + "n = 1"}, "INVALID_FILTER"),
        ({"filter": "city = 'a\0'"}, "INVALID_TEXT"),
        ({"sort": "nope"}, "VALIDATION_ERROR"),
        ({"sort": "n; DROP TABLE grids"}, "VALIDATION_ERROR"),
        ({"sort": "n", "order": "up"}, "VALIDATION_ERROR"),
        ({"limit": 1001}, "VALIDATION_ERROR"),
        ({"page": 0}, "VALIDATION_ERROR"),
        ({"page": "1_000"}, "VALIDATION_ERROR"),
        ({"cursor": "x"}, "VALIDATION_ERROR"),
        ({"nope": 1}, "VALIDATION_ERROR"),
    ],
)
async def test_bad_questions_are_refused(
    sources: Sources, query: dict[str, Any], code: str
) -> None:
    made = await sources.add(_TABLE)
    response = await sources.call("GET", f"{BASE}/{made['datasourceId']}/data", params=query)
    assert response.status_code == 422, response.text
    assert response.json()["code"] == code


async def test_an_injection_in_a_value_is_a_value(sources: Sources) -> None:
    evil = "x'); DROP TABLE grids; --"
    made = await sources.add(f'name,n\n"{evil}",1\ny,2\n')
    quoted = evil.replace("'", "''")
    assert await _rows(sources, made["datasourceId"], filter=f"name = '{quoted}'") == [[evil, 1]]


async def test_lists_are_newest_first_with_filters_and_cursors(sources: Sources) -> None:
    made = [await sources.add("a,b\n1,2\n") for _ in range(3)]
    made.append(await sources.add("text only", "x.txt"))
    made.append(await sources.add("a,b\n1,2,3\n"))
    newest = [one["datasourceId"] for one in reversed(made)]

    async def ask(**query: Any) -> dict[str, Any]:
        response = await sources.call("GET", BASE, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    page = await ask(limit=5)
    assert [item["datasourceId"] for item in page["dataSources"]] == newest
    assert page["pagination"]["total"] >= 5
    second = await ask(limit=2, page=2)
    assert [item["datasourceId"] for item in second["dataSources"]] == newest[2:4]
    following = await ask(limit=2, cursor=second["pagination"]["nextCursor"])
    assert following["dataSources"][0]["datasourceId"] == newest[4]
    failed = await ask(status="failed", limit=1)
    assert failed["dataSources"][0]["datasourceId"] == newest[0]
    texts = await ask(contentType="text/plain", limit=1)
    assert texts["dataSources"][0]["datasourceId"] == newest[1]
    assert (await ask(contentType="image/png"))["dataSources"] == []
    for bad in ({"status": "done"}, {"limit": 101}, {"cursor": "eA"}, {"contentType": ""}):
        response = await sources.call("GET", BASE, params=bad)
        assert response.status_code == 422


async def test_another_workspace_sees_nothing(sources: Sources, strangers: Sources) -> None:
    made = await sources.add("a,b\n1,2\n")
    for path, method in (("", "GET"), ("/data", "GET"), ("/download", "POST"), ("", "DELETE")):
        bodies: list[Any] = []
        for one in (made["datasourceId"], str(uuid4()), "x", made["datasourceId"].upper()):
            response = await strangers.call(method, f"{BASE}/{one}{path}")
            assert response.status_code == 404
            bodies.append(response.json())
        assert all(body == bodies[0] for body in bodies)
        assert bodies[0]["code"] == "DATASOURCE_NOT_FOUND"
    assert (await strangers.call("GET", BASE)).json()["dataSources"] == []
    assert (await sources.call("GET", f"{BASE}/{made['datasourceId']}")).status_code == 200


async def test_a_link_works_without_a_key_until_it_is_altered_or_the_source_deleted(
    sources: Sources,
) -> None:
    raw = b"a,b\n" + b"1,2\n" * 600_000
    made = (await sources.upload(raw)).json()
    path = f"{BASE}/{made['datasourceId']}"
    link = (await sources.call("POST", f"{path}/download", json={"expiresIn": 60})).json()
    assert link["fileName"] == "data.csv"
    assert link["expiresAt"].endswith("Z")
    found = await sources.http.get(link["downloadUrl"])
    assert found.content == raw
    assert found.headers["content-length"] == str(len(raw))
    altered = await sources.http.get(link["downloadUrl"][:-4] + "AAAA")
    assert (altered.status_code, altered.json()["code"]) == (403, "LINK_INVALID")
    for bad in ({"expiresIn": 0}, {"expiresIn": 86_401}, {"expiresIn": "60"}, {"x": 1}):
        assert (await sources.call("POST", f"{path}/download", json=bad)).status_code == 422
    assert (await sources.call("DELETE", path)).status_code == 204
    assert (await sources.http.get(link["downloadUrl"])).status_code == 404


async def test_deletion_removes_everything(sources: Sources) -> None:
    made = await sources.add("a,b\n1,2\n")
    one = made["datasourceId"]
    ((grid_no, file_id),) = await sources.fetch(
        "SELECT grid_no, file_id FROM datasources WHERE datasource_id = %s", UUID(one)
    )
    assert (await sources.call("DELETE", f"{BASE}/{one}")).status_code == 204
    assert (await sources.call("DELETE", f"{BASE}/{one}")).status_code == 404
    assert await sources.fetch("SELECT to_regclass(%s)", f"grid_{grid_no}") == [(None,)]
    assert await sources.fetch("SELECT 1 FROM grids WHERE grid_no = %s", grid_no) == []
    assert await sources.fetch("SELECT 1 FROM file_chunks WHERE file_id = %s", file_id) == []


async def test_a_source_of_a_dataset_that_is_locked_or_being_imported_stays(
    sources: Sources,
) -> None:
    made = await sources.add("a,b\n1,2\n")
    one, dataset, task = UUID(made["datasourceId"]), uuid4(), uuid4()
    await sources.fetch(
        "WITH g AS (INSERT INTO grids (next_physical) VALUES (1) RETURNING grid_no) "
        "INSERT INTO datasets (dataset_id, workspace_id, name, type, status, grid_no, active_task_id) "
        "SELECT %s, workspace_id, 'd', 'blank', 'completed', g.grid_no, %s FROM datasources, g "
        "WHERE datasource_id = %s",
        dataset,
        task,
        one,
    )
    await sources.fetch(
        "INSERT INTO dataset_sources (dataset_id, datasource_id, position) VALUES (%s, %s, 1)",
        dataset,
        one,
    )
    refused = await sources.call("DELETE", f"{BASE}/{one}")
    assert (refused.status_code, refused.json()["code"]) == (409, "DATASOURCE_IN_USE")
    assert refused.json()["details"] == {"datasetId": str(dataset), "taskId": str(task)}
    linked = (await sources.call("GET", f"{BASE}/{one}")).json()["linkedDatasets"]
    assert linked == [{"datasetId": str(dataset), "name": "d"}]
    await sources.fetch(
        "UPDATE datasets SET active_task_id = NULL, status = 'processing' WHERE dataset_id = %s",
        dataset,
    )
    refused = await sources.call("DELETE", f"{BASE}/{one}")
    assert (refused.status_code, refused.json()["code"]) == (409, "DATASOURCE_IN_USE")
    assert refused.json()["details"] == {"datasetId": str(dataset), "taskId": None}
    await sources.fetch("UPDATE datasets SET status = 'completed' WHERE dataset_id = %s", dataset)
    assert (await sources.call("DELETE", f"{BASE}/{one}")).status_code == 204


async def test_a_key_limited_to_datasets_deletes_no_data_source(
    sources: Sources, limited: Sources
) -> None:
    made = await limited.add("a,b\n1,2\n")
    for one in (made["datasourceId"], str(uuid4())):
        refused = await limited.call("DELETE", f"{BASE}/{one}")
        assert (refused.status_code, refused.json()["code"]) == (403, "INSUFFICIENT_SCOPE")
    assert (await sources.call("DELETE", f"{BASE}/{made['datasourceId']}")).status_code == 204
