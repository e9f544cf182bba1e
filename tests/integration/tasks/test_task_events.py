"""A task's events: every one, in order, once, whoever reads and however often it comes back."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from gridmill.datasets.model import Dataset
from gridmill.operations.model import Batch, BatchOutcome
from gridmill.tasks import events
from gridmill.tasks.events import parse_place
from gridmill.tasks.repository import tasks as repository
from tests.support.task_bench import Bench, fill_with_names

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Seen:
    name: str
    id: str
    data: Any


def parse(text: str) -> list[Seen]:
    found: list[Seen] = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append(Seen(fields["event"], fields["id"], json.loads(fields["data"])))
    return found


async def read(
    bench: Bench, task: Mapping[str, Any], last: str | None = None, *, cells: bool = False
) -> list[Seen]:
    """The whole stream, to its end."""
    reply = await bench.http.get(
        f"/datasets/{task['datasetId']}/tasks/{task['taskId']}/events",
        params={"cells": "true"} if cells else {},
        headers={} if last is None else {"Last-Event-ID": last},
    )
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    return parse(reply.text)


async def run_task(bench: Bench, rows: int = 35) -> tuple[Dataset, dict[str, Any]]:
    dataset = await bench.companies(rows)
    async with bench.working():
        return dataset, await bench.wait_for(await bench.start_bulk(dataset))


async def test_progress_goes_up_to_the_one_terminal_event(bench: Bench) -> None:
    dataset = await bench.companies(35)
    task = await bench.start_bulk(dataset)
    reading = asyncio.create_task(read(bench, task))
    async with bench.working():
        seen = await asyncio.wait_for(reading, 20)
    assert [event.name for event in seen] == ["progress"] * 6 + ["completed"]
    assert [event.id for event in seen] == [str(number) for number in range(7)]
    told = [(event.data["status"], event.data["completed"]) for event in seen[:2]]
    assert told == [("queued", 0), ("processing", 0)]
    done = [event.data["completed"] for event in seen[1:6]]
    assert done == sorted(done)
    assert done[-1] == seen[1].data["total"] == 35
    assert seen[-1].data == {
        name: value for name, value in (await bench.read_task(task)).items() if name != "_status"
    }


async def test_every_cell_is_told_once_with_its_value(bench: Bench) -> None:
    dataset, task = await run_task(bench)
    seen = await read(bench, task, cells=True)
    cells = [event.data for event in seen if event.name == "cell"]
    assert {cell["cellId"] for cell in cells} == {f"{dataset.key}r{n}c2" for n in range(1, 36)}
    assert len(cells) == 35
    first = next(cell for cell in cells if cell["rowId"] == f"{dataset.key}r1")
    assert first["value"] == "sector/1"
    assert first["metadata"]["taskId"] == task["taskId"]
    assert first["columnId"] == f"{dataset.key}c2"


async def test_whoever_comes_back_gets_what_follows_and_nothing_twice(bench: Bench) -> None:
    _, task = await run_task(bench)
    for cells in (False, True):
        whole = await read(bench, task, cells=cells)
        for number, event in enumerate(whole):
            rest = await read(bench, task, event.id, cells=cells)
            assert rest == whole[number + 1 :]


async def test_an_id_that_is_not_ours_starts_from_the_beginning(bench: Bench) -> None:
    _, task = await run_task(bench, 5)
    assert await read(bench, task, "nonsense") == await read(bench, task)


async def test_an_id_from_beyond_the_end_is_told_the_end(bench: Bench) -> None:
    _, task = await run_task(bench, 5)
    assert [event.name for event in await read(bench, task, "99999")] == ["completed"]


async def test_a_cancelled_task_ends_its_streams(bench: Bench) -> None:
    dataset = await bench.companies(5)
    task = await bench.start_bulk(dataset)
    reading = asyncio.create_task(read(bench, task))
    path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}/cancel"
    await bench.call("POST", path, 200)
    seen = await asyncio.wait_for(reading, 5)
    assert [event.name for event in seen] == ["progress", "cancelled"]
    assert await read(bench, task, seen[-1].id) == []


async def test_a_quiet_stream_says_that_it_is_alive(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)
    dataset = await bench.companies(1)
    created = await bench.start_bulk(dataset)
    async with bench.database.transaction() as tx:
        task = await repository.find_any_task(tx, UUID(created["taskId"]))
    assert task is not None
    stream = events.stream(bench.database, task, parse_place(None), with_cells=False)
    chunks = [await anext(stream) for _ in range(4)]
    assert [chunk.startswith(b": ") for chunk in chunks] == [True, False, True, True]


async def test_a_reader_is_told_while_the_task_runs(bench: Bench) -> None:
    released = asyncio.Event()

    async def answer(batch: Batch) -> BatchOutcome:
        if batch.rows[0].row_no > 10:
            await released.wait()
        return await fill_with_names(batch)

    bench.operation.answer = answer
    dataset = await bench.companies(20)
    async with bench.working():
        created = await bench.start_bulk(dataset)
        async with bench.database.transaction() as tx:
            task = await repository.find_any_task(tx, UUID(created["taskId"]))
        assert task is not None
        stream = events.stream(bench.database, task, parse_place("1"), with_cells=True)
        seen: list[Seen] = []
        while not seen or seen[-1].name != "progress":
            seen += parse((await asyncio.wait_for(anext(stream), 10)).decode())
        assert [event.name for event in seen] == ["cell"] * 10 + ["progress"]
        released.set()
        async for chunk in stream:
            seen += parse(chunk.decode())
    assert [event.name for event in seen[11:]] == ["cell"] * 10 + ["progress", "completed"]
