"""Rows that are made up, over HTTP: like the table, none twice, and marked for what they are."""

import csv
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from tests.acceptance.conftest import connect
from tests.acceptance.tasks.test_crashes import find_child
from tests.support.api import Json, ask, end_of, make_dataset, read_grid, refuse, upload
from tests.support.fake_model import FakeModel
from tests.support.serving import Served
from tests.support.waiting import eventually

PENGUINS = Path(__file__).parents[3] / "examples" / "demo" / "penguins.csv"


def number_penguins(count: int = 344) -> str:
    """Penguins with a tag that goes up by one."""
    rows = list(csv.DictReader(io.StringIO(PENGUINS.read_text())))[:count]
    out = io.StringIO()
    writer = csv.DictWriter(out, ["tag", *rows[0]])
    writer.writeheader()
    writer.writerows({"tag": f"P-{n:04d}", **row} for n, row in enumerate(rows, 1))
    return out.getvalue()


async def make(client: httpx2.AsyncClient, text: str, **body: Any) -> Json:
    return await make_dataset(client, text, [], type="generation", **body)


async def blank(client: httpx2.AsyncClient, columns: list[Json], **body: Any) -> Json:
    new = {"type": "ai_generation", "name": "made up", "columns": columns, **body}
    return await ask(client, "POST", "/datasets", json=new)


async def add_rows(client: httpx2.AsyncClient, dataset: Json, count: int, **body: Any) -> Json:
    path = f"/datasets/{dataset['datasetId']}/tasks/new-rows"
    task = await ask(client, "POST", path, json={"rowCount": count, **body})
    return await end_of(client, task)


async def refuse_rows(client: httpx2.AsyncClient, dataset: Json, **body: Any) -> str:
    """Why one more row cannot be made."""
    path = f"/datasets/{dataset['datasetId']}/tasks/new-rows"
    reply = await client.post(path, json={"rowCount": 1, **body})
    assert (reply.status_code, reply.json()["code"]) == (422, "INVALID_TASK_FOR_DATASET")
    return reply.json()["error"]


async def read_values(client: httpx2.AsyncClient, dataset: Json) -> list[list[Any]]:
    grid = await read_grid(client, dataset, limit=1000, cells="values")
    return grid["data"]


async def test_made_up_rows_follow_the_table_and_a_seed_gives_them_again(
    client: httpx2.AsyncClient,
) -> None:
    text = number_penguins()
    first = await make(client, text, config={"seed": 11})
    real = await read_values(client, first)
    ended = await add_rows(client, first, 30)
    assert ended["status"] == "completed", ended
    assert ended["operation"] == "ai_generation"
    assert ended["results"]["rowsCreated"] == 30
    grid = await read_grid(client, first, limit=1000)
    names = [column["name"] for column in grid["columns"]]
    made = grid["data"][344:]
    assert len(made) == 30
    species = {row[names.index("species")] for row in real}
    for row in made:
        assert row[names.index("species")]["value"] in species
        for cell in row:
            if cell["value"] is not None:
                said = cell["metadata"]
                assert (said["status"], said["operation"]) == ("ok", "ai_generation")
                assert said["sources"] == [{"kind": "model"}]
                assert said["confidenceFactors"]["seed"] == 11
    values = [[cell["value"] for cell in row] for row in made]
    assert [row[0] for row in values] == [f"P-{n:04d}" for n in range(345, 375)]
    assert not [row for row in values if row in real]
    # The same seed on the same data, though in two tasks: the second goes on where the first ended.
    second = await make(client, text, config={"seed": 11})
    for count in (10, 20):
        assert (await add_rows(client, second, count))["results"]["rowsCreated"] == count
    assert (await read_values(client, second))[344:] == values
    # Taken back and made again: the same rows.
    path = f"/datasets/{first['datasetId']}/tasks/{ended['taskId']}"
    assert (await ask(client, "POST", f"{path}/revert"))["rowsDeleted"] == 30
    await add_rows(client, first, 30)
    assert (await read_values(client, first))[344:] == values
    # Without a seed a task draws a stream of its own, and keys go on all the same.
    third = await make(client, text)
    await add_rows(client, third, 5)
    await add_rows(client, third, 5)
    free = (await read_values(client, third))[344:]
    assert [row[0] for row in free] == [f"P-{n:04d}" for n in range(345, 355)]
    assert [row[1:] for row in free[:5]] != [row[1:] for row in values[:5]]


async def test_a_report_says_how_like_the_real_rows_are_as_json_and_as_a_page(
    client: httpx2.AsyncClient,
) -> None:
    name = "<script>alert(1)</script>"
    dataset = await make(client, number_penguins(), config={"seed": 2}, name=name)
    ended = await add_rows(client, dataset, 200)
    path = f"/datasets/{dataset['datasetId']}/tasks/{ended['taskId']}/report"
    report = await ask(client, "GET", path)
    made_up = report["generation"]
    assert made_up["rows"] == {"real": 344, "made": 200}
    assert made_up["quality"]["overall"] > 0.8
    assert made_up["privacy"]["copies"] == 0
    columns = {column["name"]: column for column in made_up["columns"]}
    assert columns["species"]["similarity"] > 0.8
    assert columns["tag"]["kind"] == "key"
    page = await client.get(path, params={"format": "html"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<svg" in page.text
    assert "<script" not in page.text
    asked = await client.get(path, headers={"Accept": "text/html,application/xhtml+xml"})
    assert asked.text == page.text
    # Kept: what happens to the rows later changes nothing.
    await ask(client, "POST", f"{path.removesuffix('/report')}/revert")
    assert (await ask(client, "GET", path))["generation"] == made_up
    other = await ask(client, "POST", f"/datasets/{dataset['datasetId']}/tasks/bulk", json={})
    path = path.replace(ended["taskId"], (await end_of(client, other))["taskId"])
    assert (await ask(client, "GET", path))["generation"] is None
    assert "no rows up" in (await client.get(path, params={"format": "html"})).text


async def test_rows_come_from_columns_alone_from_one_row_and_from_three(
    client: httpx2.AsyncClient,
) -> None:
    columns: list[Json] = [
        {"name": "id", "dataType": "integer", "metadata": {"minimum": 1, "maximum": 90}},
        {"name": "grade", "dataType": "enum", "metadata": {"options": ["a", "b", "c"]}},
        {"name": "since", "dataType": "date"},
        {"name": "code", "metadata": {"pattern": "[A-Z]{2}-[0-9]{3}"}},
        {"name": "town"},
    ]
    columns[3]["metadata"]["examples"] = [{"input": "", "output": "AB-123"}]
    dataset = await blank(client, columns)
    path = f"/datasets/{dataset['datasetId']}"
    for more in (0, 1, 2):
        row = {"id": 40 + more, "grade": "b", "since": "2024-05-06", "code": f"AB-12{more}"}
        if more:
            await ask(client, "POST", f"{path}/rows", json={"rows": [row] * more})
        before = len(await read_values(client, dataset))
        ended = await add_rows(client, dataset, 8)
        assert ended["status"] == "completed", ended
        made = (await read_values(client, dataset))[before:]
        assert len(made) == ended["results"]["rowsCreated"] == ended["progress"]["total"]
        assert made
        for number, grade, since, code, _ in made:
            assert number is None or 1 <= number <= 90
            assert grade in {None, "a", "b", "c"}
            assert since is None or len(since) == 10
            assert code is None or code[2] == "-"
    nothing = await ask(client, "POST", "/datasets", json={"type": "generation", "name": "n"})
    assert "column" in await refuse_rows(client, nothing)


async def test_more_rows_than_keys_admit_are_as_many_as_there_are_and_say_why(
    client: httpx2.AsyncClient,
) -> None:
    text = "code,kind\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(1, 21))
    limits = {"name": "code", "dataType": "integer", "metadata": {"minimum": 1, "maximum": 30}}
    dataset = await make_dataset(client, text, [limits], type="generation")
    ended = await add_rows(client, dataset, 50)
    assert ended["status"] == "completed", ended
    assert ended["results"]["rowsCreated"] == ended["progress"]["total"] == 10
    assert "code" in ended["results"]["message"]
    codes = [row[0] for row in await read_values(client, dataset)]
    assert sorted(codes) == list(range(1, 31))
    again = await add_rows(client, dataset, 5)
    assert (again["status"], again["results"]["rowsCreated"]) == ("completed", 0)


async def test_rows_can_follow_another_data_source(client: httpx2.AsyncClient) -> None:
    source = await upload(client, number_penguins(60))
    columns: list[Json] = [{"name": "tag"}, {"name": "species"}, {"name": "island"}]
    config = {"rowsFrom": source["datasourceId"], "seed": 3}
    dataset = await blank(client, columns, config=config)
    assert (await add_rows(client, dataset, 4))["results"]["rowsCreated"] == 4
    rows = await read_values(client, dataset)
    assert [row[0] for row in rows] == [f"P-{n:04d}" for n in range(61, 65)]
    assert {row[1] for row in rows} <= {"Adelie", "Gentoo", "Chinstrap"}
    path = f"/datasets/{dataset['datasetId']}"
    missing = {"config": {"rowsFrom": "00000000-0000-7000-8000-000000000000"}}
    await refuse(client, "PATCH", path, 404, "DATASOURCE_NOT_FOUND", json=missing)
    await ask(client, "DELETE", f"/datasources/{source['datasourceId']}")
    assert "rowsFrom" in await refuse_rows(client, dataset)


async def test_bulk_fills_cells_to_go_with_their_row(client: httpx2.AsyncClient) -> None:
    dataset = await make(client, number_penguins())
    path = f"/datasets/{dataset['datasetId']}"
    rows = [{"tag": f"X-{n}", "island": "Torgersen"} for n in range(6)]
    await ask(client, "POST", f"{path}/rows", json={"rows": rows})
    task = await ask(client, "POST", f"{path}/tasks/bulk", json={})
    ended = await end_of(client, task)
    assert ended["status"] == "completed", ended
    grid = await read_grid(client, dataset, limit=1000)
    names = [column["name"] for column in grid["columns"]]
    for row in grid["data"][344:]:
        # Only Adelie penguins live on Torgersen.
        assert row[names.index("species")]["value"] == "Adelie"
        assert row[names.index("species")]["metadata"]["sources"] == [{"kind": "model"}]


async def test_enrichment_takes_records_first_and_marks_what_it_makes_up(
    client: httpx2.AsyncClient,
) -> None:
    species: Json = {"name": "species", "metadata": {"prompt": "Which species of penguin is this?"}}
    dataset = await make_dataset(client, number_penguins(200), [species])
    more = await upload(client, number_penguins(202).replace("P-", "Q-"))
    path = f"/datasets/{dataset['datasetId']}"
    await ask(client, "PATCH", path, json={"datasourceIds": [more["datasourceId"]]})
    limited = await add_rows(client, dataset, 300, allowGenerated=False)
    assert limited["results"]["rowsCreated"] == 202
    assert "link another" in await refuse_rows(client, dataset, allowGenerated=False)
    for body, status in (({}, "needs_review"), ({"allowGenerated": True}, "ok")):
        before = len(await read_values(client, dataset))
        ended = await add_rows(client, dataset, 5, **body)
        assert ended["status"] == "completed", ended
        assert ended["results"]["rowsCreated"] == 5
        grid = await read_grid(client, dataset, limit=1000)
        names = [column["name"] for column in grid["columns"]]
        for row in grid["data"][before:]:
            cells = dict(zip(names, row, strict=True))
            tag = cells["tag"]
            assert tag["metadata"]["status"] == status
            assert tag["metadata"]["operation"] == "ai_generation"
            assert tag["metadata"]["sources"] == [{"kind": "model"}]
            found = cells["species"]["metadata"]
            assert found["operation"] == "data_enrichment"
            assert found["confidenceFactors"]["method"] != "synthesizer"
    bare = {"type": "enrichment", "name": "bare", "columns": [{"name": "a"}]}
    empty = await ask(client, "POST", "/datasets", json=bare)
    assert "rows to go by" in await refuse_rows(client, empty)


async def test_a_killed_worker_s_rows_are_all_there_and_none_twice_and_cancel_keeps_rows(
    make_server: Callable[..., Served], make_model: Callable[..., FakeModel]
) -> None:
    model = make_model("--latency", "0.1")
    served = make_server(environment=model.environment)
    served.start()
    note: Json = {"name": "note", "metadata": {"prompt": "A note on {{tag}}"}}
    async with connect(served) as client:
        text = number_penguins(50)
        dataset = await make_dataset(client, text, [note], type="generation", config={"seed": 5})
        path = f"/datasets/{dataset['datasetId']}/tasks"
        task = await ask(client, "POST", f"{path}/new-rows", json={"rowCount": 250})
        await eventually(lambda: model.counts()["calls"] >= 120, timeout=60)
        os.kill(find_child(served, "gridmill worker"), signal.SIGKILL)
        ended = await end_of(client, task)
        assert ended["status"] == "completed", ended
        assert ended["results"]["rowsCreated"] == 250
        rows = (await read_values(client, dataset))[50:]
        assert [row[0] for row in rows] == [f"P-{n:04d}" for n in range(51, 301)]
        assert all(row[-1] for row in rows)
        task = await ask(client, "POST", f"{path}/new-rows", json={"rowCount": 1000})

        async def hundred_are_there() -> bool:
            return len(await read_values(client, dataset)) >= 400

        await eventually(hundred_are_there, timeout=60)
        cancelled = await ask(client, "POST", f"{path}/{task['taskId']}/cancel")
        kept = len(await read_values(client, dataset)) - 300
        assert cancelled["status"] == "cancelled"
        assert kept % 100 == 0
        await add_rows(client, dataset, 3)
        tags = [row[0] for row in await read_values(client, dataset)]
        assert tags[300 + kept :] == [f"P-{n:04d}" for n in range(301 + kept, 304 + kept)]
        assert len(set(tags)) == len(tags)
