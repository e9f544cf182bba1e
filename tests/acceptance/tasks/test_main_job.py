"""A table in, enriched cells out: with no key and no network, as a newcomer does it."""

import csv
import io
from pathlib import Path

import httpx2

from tests.support.api import (
    Json,
    ask,
    column_id,
    end_of,
    make_dataset,
    read_events,
    read_grid,
    refuse,
    start_bulk,
)

PENGUINS = Path(__file__).parents[3] / "examples" / "demo" / "penguins.csv"
SPECIES: Json = {"name": "species", "metadata": {"prompt": "Which species of penguin is this?"}}


def hide_species() -> tuple[str, dict[int, str]]:
    """The penguins with every fifth species emptied, and what stood there."""
    rows = list(csv.DictReader(io.StringIO(PENGUINS.read_text())))
    truth = {index: row["species"] for index, row in enumerate(rows) if index % 5 == 2}
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(
        row | {"species": "" if index in truth else row["species"]}
        for index, row in enumerate(rows)
    )
    return out.getvalue(), truth


async def test_hidden_answers_are_found_again_with_confidence_and_sources(
    client: httpx2.AsyncClient,
) -> None:
    text, truth = hide_species()
    dataset = await make_dataset(client, text, [SPECIES])
    task = await start_bulk(client, dataset, columnIds=[column_id(dataset, "species")])
    assert task["status"] in {"queued", "processing"}
    ended = await end_of(client, task)
    progress = ended["progress"]
    assert ended["status"] == "completed", ended
    # Filled cells of a named column are part of the selection and skipped.
    assert progress["total"] == progress["completed"] + progress["failed"] + progress["skipped"]
    assert progress["total"] == 344
    assert ended["operation"] == "data_enrichment"
    grid = await read_grid(client, dataset)
    answered = [(grid["data"][index][0], right) for index, right in truth.items()]
    given = [(cell, right) for cell, right in answered if cell["value"] is not None]
    assert len(given) > len(truth) * 0.8
    assert sum(cell["value"] == right for cell, right in given) > len(given) * 0.9
    for cell, _ in given:
        metadata = cell["metadata"]
        assert metadata["taskId"] == task["taskId"]
        assert metadata["status"] in {"ok", "needs_review"}
        assert 0 <= metadata["confidence"] <= 1
        assert metadata["sources"]
    for row in grid["data"]:
        assert all(cell["metadata"] is None for cell in row[1:])


async def test_a_person_reads_the_stream_corrects_reviews_and_takes_the_table_along(
    client: httpx2.AsyncClient,
) -> None:
    text, truth = hide_species()
    strict = SPECIES | {"metadata": {"prompt": "The species", "confidence": 1.0}}
    dataset = await make_dataset(client, text, [strict])
    path = f"/datasets/{dataset['datasetId']}"
    task = await start_bulk(client, dataset, columnIds=[column_id(dataset, "species")])
    events = [event async for event in read_events(client, task, cells=True)]
    kinds = [kind for _, kind, _ in events]
    assert kinds[-1] == "completed"
    assert kinds.count("completed") == 1
    assert "progress" in kinds
    assert "cell" in kinds
    ids = [number for number, _, _ in events]
    middle = len(ids) // 2
    rest = [event async for event in read_events(client, task, last=ids[middle], cells=True)]
    assert [number for number, _, _ in rest] == ids[middle + 1 :]

    grid = await read_grid(client, dataset, status="needs_review")
    assert grid["pagination"]["total"] > 0
    first = grid["data"][0][0]
    corrected = await ask(
        client, "PATCH", f"{path}/cells/{first['cellId']}", json={"value": "Adelie"}
    )
    assert corrected["value"] == "Adelie"
    assert corrected["metadata"] is None
    history = (await ask(client, "GET", f"{path}/cells/{first['cellId']}/history"))["history"]
    assert [write["writtenBy"]["kind"] for write in history[:2]] == ["user", "task"]
    reviewed = await ask(
        client,
        "POST",
        f"{path}/cells/review",
        json={"action": "approve", "taskId": task["taskId"]},
    )
    assert reviewed["cells"] == grid["pagination"]["total"] - 1
    assert (await read_grid(client, dataset, status="needs_review"))["data"] == []

    export = await ask(client, "POST", f"{path}/export", json={"format": "csv"})
    async with httpx2.AsyncClient() as stranger:
        download = await stranger.get(export["downloadUrl"])
    assert download.status_code == 200
    rows = list(csv.DictReader(io.StringIO(download.text)))
    assert len(rows) == 344
    filled = sum(bool(rows[index]["species"]) for index in truth)
    assert filled > len(truth) * 0.8


async def test_what_a_person_approved_and_rejected_tells_in_the_next_run(
    client: httpx2.AsyncClient,
) -> None:
    text, _ = hide_species()
    strict = SPECIES | {"metadata": {"prompt": "The species", "confidence": 1.0}}
    dataset = await make_dataset(client, text, [strict])
    path = f"/datasets/{dataset['datasetId']}"
    species = [column_id(dataset, "species")]
    await end_of(client, await start_bulk(client, dataset, columnIds=species))
    waiting = [row[0] for row in (await read_grid(client, dataset, status="needs_review"))["data"]]
    refused, approved = waiting[0], waiting[1:]
    for action, cells in (("reject", [refused]), ("approve", approved)):
        chosen = {"action": action, "cellIds": [cell["cellId"] for cell in cells]}
        await ask(client, "POST", f"{path}/cells/review", json=chosen)
    known = (await read_grid(client, dataset))["data"][0][0]
    await ask(client, "PATCH", f"{path}/cells/{known['cellId']}", json={"value": None})

    await end_of(client, await start_bulk(client, dataset, columnIds=species))
    again = await ask(client, "GET", f"{path}/cells/{refused['cellId']}")
    assert again["value"] is None
    assert again["metadata"]["error"]["code"] == "NOT_CONFIDENT"
    assert again["metadata"]["confidenceFactors"]["rejectedBefore"] is True
    filled = await ask(client, "GET", f"{path}/cells/{known['cellId']}")
    assert filled["value"] == known["value"]
    assert filled["metadata"]["confidenceFactors"]["verdicts"] == {
        "approved": len(approved),
        "rejected": 1,
    }


async def test_a_run_is_undone_as_a_whole(client: httpx2.AsyncClient) -> None:
    text, truth = hide_species()
    dataset = await make_dataset(client, text, [SPECIES])
    before = await read_grid(client, dataset)
    task = await end_of(client, await start_bulk(client, dataset))
    path = f"/datasets/{dataset['datasetId']}"
    grid = await read_grid(client, dataset)
    kept = grid["data"][min(truth)][0]["cellId"]
    await ask(client, "PATCH", f"{path}/cells/{kept}", json={"value": "mine"})
    undone = await ask(client, "POST", f"{path}/tasks/{task['taskId']}/revert")
    assert undone["rowsDeleted"] == 0
    assert undone["cellsLeft"] == 1
    after = await read_grid(client, dataset)
    before["data"][min(truth)][0] |= {"value": "mine"}
    assert after["data"] == before["data"]


async def test_a_locked_dataset_is_read_but_not_changed(client: httpx2.AsyncClient) -> None:
    text, _ = hide_species()
    dataset = await make_dataset(client, text, [SPECIES])
    path = f"/datasets/{dataset['datasetId']}"
    task = await start_bulk(client, dataset)
    cell = f"{path}/cells/{(await read_grid(client, dataset))['data'][0][0]['cellId']}"
    locked = await client.patch(cell, json={"value": "x"})
    if locked.status_code == 409:  # the task may be faster than we are
        assert locked.json()["code"] == "DATASET_LOCKED"
        assert locked.json()["details"]["taskId"] == task["taskId"]
    await end_of(client, task)
    found = await ask(client, "GET", path)
    assert found["locked"] is False
    assert found["activeTaskId"] is None
    await ask(client, "PATCH", cell, json={"value": "x"})


async def test_nothing_to_learn_from_stays_empty_and_says_why(client: httpx2.AsyncClient) -> None:
    columns = [{"name": "founder", "metadata": {"prompt": "Who founded {{company}}?"}}]
    dataset = await make_dataset(client, "company\nAcme\nGlobex\n", columns)
    task = await end_of(client, await start_bulk(client, dataset))
    assert task["status"] == "completed"
    assert task["progress"]["skipped"] == 2
    grid = await read_grid(client, dataset)
    for row in grid["data"]:
        assert row[1]["value"] is None
        assert row[1]["metadata"]["error"]["code"] == "MODEL_REQUIRED"


async def test_another_workspace_sees_nothing(
    client: httpx2.AsyncClient, other_client: httpx2.AsyncClient
) -> None:
    dataset = await make_dataset(client, "a,b\n1,\n")
    task = await end_of(client, await start_bulk(client, dataset))
    path = f"/datasets/{dataset['datasetId']}"
    await refuse(other_client, "GET", path, 404, "DATASET_NOT_FOUND")
    await refuse(other_client, "POST", f"{path}/tasks/bulk", 404, "DATASET_NOT_FOUND", json={})
    await refuse(other_client, "GET", f"{path}/tasks/{task['taskId']}", 404, "DATASET_NOT_FOUND")
    mine = await make_dataset(other_client, "a\n1\n")
    await refuse(
        other_client,
        "GET",
        f"/datasets/{mine['datasetId']}/tasks/{task['taskId']}",
        404,
        "TASK_NOT_FOUND",
    )
