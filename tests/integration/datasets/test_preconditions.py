"""ETag and If-Match on datasets, columns and cells: no change is lost to another one's."""

import asyncio
from typing import Any

import pytest

from gridmill.kit.ids import new_uuid7
from tests.integration.datasets.conftest import Client


async def _tag(client: Client, path: str) -> str:
    response = await client.call("GET", path)
    assert response.status_code == 200, response.text
    return response.headers["etag"]


async def _places(client: Client) -> dict[str, str]:
    """The paths of a dataset, one of its columns and one of its cells."""
    dataset_id = await client.imported()
    data = await client.data(dataset_id)
    return {
        "dataset": f"/{dataset_id}",
        "column": f"/{dataset_id}/columns/{data['columns'][0]['columnId']}",
        "cell": f"/{dataset_id}/cells/{data['data'][0][0]['cellId']}",
    }


CHANGES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "dataset": ("PATCH", {"name": "first"}, {"name": "second"}),
    "column": ("PATCH", {"name": "first"}, {"name": "second"}),
    "cell": ("PATCH", {"value": "first"}, {"value": "second"}),
}


@pytest.mark.parametrize("kind", list(CHANGES))
async def test_a_change_from_a_stale_state_is_refused_and_the_reply_tells_the_new_tag(
    client: Client, kind: str
) -> None:
    path = (await _places(client))[kind]
    method, one, other = CHANGES[kind]
    before = await _tag(client, path)
    assert await _tag(client, path) == before
    first = await client.call(method, path, json=one, headers={"If-Match": before})
    assert first.status_code == 200, first.text
    assert first.headers["etag"] == await _tag(client, path) != before
    late = await client.call(method, path, json=other, headers={"If-Match": before})
    assert (late.status_code, late.json()["code"]) == (412, "PRECONDITION_FAILED")
    now = late.json()["details"]["etag"]
    assert now == first.headers["etag"]
    assert (await client.call("GET", path)).json() == first.json()
    again = await client.call(method, path, json=other, headers={"If-Match": f'"x", {now}'})
    assert again.status_code == 200
    whatever = await client.call(method, path, json=one, headers={"If-Match": "*"})
    assert whatever.status_code == 200


@pytest.mark.parametrize("kind", list(CHANGES))
async def test_of_two_simultaneous_changes_from_one_state_one_is_refused(
    client: Client, kind: str
) -> None:
    path = (await _places(client))[kind]
    method, one, other = CHANGES[kind]
    headers = {"If-Match": await _tag(client, path)}
    replies = await asyncio.gather(
        *(client.call(method, path, json=body, headers=headers) for body in [one, other] * 4)
    )
    assert sorted(reply.status_code for reply in replies) == [200] + [412] * 7


@pytest.mark.parametrize("kind", list(CHANGES))
async def test_what_the_client_has_is_not_sent_again(client: Client, kind: str) -> None:
    path = (await _places(client))[kind]
    method, one, _ = CHANGES[kind]
    headers = {"If-None-Match": await _tag(client, path)}
    same = await client.call("GET", path, headers=headers)
    assert (same.status_code, same.content) == (304, b"")
    await client.call(method, path, json=one)
    assert (await client.call("GET", path, headers=headers)).status_code == 200


async def test_a_column_and_a_dataset_are_deleted_and_emptied_only_from_the_state_that_is_named(
    client: Client,
) -> None:
    places = await _places(client)
    stale = {"If-Match": '"stale"'}
    put = {"taskType": "enrichment"}
    for method, path, body in (
        ("PUT", places["column"] + "/task-type", put),
        ("DELETE", places["column"], None),
        ("DELETE", places["dataset"], None),
    ):
        reply = await client.call(method, path, json=body, headers=stale)
        assert (reply.status_code, reply.json()["code"]) == (412, "PRECONDITION_FAILED")
    headers = {"If-Match": await _tag(client, places["column"])}
    emptied = await client.call("PUT", places["column"] + "/task-type", json=put, headers=headers)
    assert emptied.status_code == 200
    headers = {"If-Match": emptied.headers["etag"]}
    assert (await client.call("DELETE", places["column"], headers=headers)).status_code == 204
    headers = {"If-Match": await _tag(client, places["dataset"])}
    assert (await client.call("DELETE", places["dataset"], headers=headers)).status_code == 204


async def test_404_422_and_409_come_before_412(client: Client) -> None:
    places = await _places(client)
    stale = {"If-Match": '"stale"'}
    missing = await client.call("PATCH", f"/{new_uuid7()}", json={}, headers=stale)
    malformed = await client.call("PATCH", places["dataset"], json={"x": 1}, headers=stale)
    assert (missing.status_code, malformed.status_code) == (404, 422)
    async with client.world.database.transaction() as tx:
        await tx.execute(
            "UPDATE datasets SET active_task_id = %s WHERE dataset_id = %s",
            [new_uuid7(), places["dataset"][1:]],
        )
    for kind, (method, body, _) in CHANGES.items():
        locked = await client.call(method, places[kind], json=body, headers=stale)
        assert (locked.status_code, locked.json()["code"]) == (409, "DATASET_LOCKED")


async def test_a_new_row_changes_the_tag_of_its_dataset_and_of_no_other_cell(
    client: Client,
) -> None:
    places = await _places(client)
    before = {kind: await _tag(client, path) for kind, path in places.items()}
    made = await client.call("POST", places["dataset"] + "/rows", json={"rows": [{}]})
    assert made.status_code == 201
    after = {kind: await _tag(client, path) for kind, path in places.items()}
    assert after["dataset"] != before["dataset"]
    assert (after["column"], after["cell"]) == (before["column"], before["cell"])


async def test_a_stale_change_under_an_idempotency_key_stays_refused(client: Client) -> None:
    path = (await _places(client))["cell"]
    headers = {"If-Match": '"stale"', "Idempotency-Key": str(new_uuid7())}
    first = await client.call("PATCH", path, json={"value": "x"}, headers=headers)
    again = await client.call("PATCH", path, json={"value": "x"}, headers=headers)
    assert first.status_code == again.status_code == 412
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()


async def test_a_deletion_that_is_repeated_was_done_once(client: Client) -> None:
    path = (await _places(client))["dataset"]
    headers = {"Idempotency-Key": str(new_uuid7())}
    first = await client.call("DELETE", path, headers=headers)
    again = await client.call("DELETE", path, headers=headers)
    plain = await client.call("DELETE", path)
    assert [reply.status_code for reply in (first, again, plain)] == [204, 204, 404]
    assert (again.content, again.headers["idempotent-replayed"]) == (b"", "true")
