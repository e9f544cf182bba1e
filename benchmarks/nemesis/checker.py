"""Holds the server, healed, to what the clients were told."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2

from benchmarks.nemesis.clients import ENDED
from benchmarks.nemesis.receiver import Received
from benchmarks.nemesis.record import Json, Record

_ANSWER_SECONDS = 60.0
_TASK_SECONDS = 120.0
_DELIVERY_SECONDS = 60.0
_TERMINAL = {f"dataset.task.{status}" for status in ENDED}


@dataclass
class Checker:
    """Reads everything back; `faults` says what does not hold."""

    client: httpx2.AsyncClient
    record: Record
    received: Received
    faults: list[str] = field(default_factory=list[str])

    async def check(self, dataset_ids: list[str]) -> list[str]:
        """The tasks of the datasets; all faults found so far."""
        for dataset_id in dataset_ids:
            tasks = await self._check_tasks(dataset_id)
            await self._check_cells(dataset_id, tasks)
            await self._check_events(tasks)
        known = set(self.record.tasks)
        listed = {task["taskId"] for task in await self._list("/tasks", "tasks")}
        self._expect(known <= listed, f"acknowledged tasks are gone: {sorted(known - listed)}")
        return self.faults

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)

    async def _get(self, path: str, **params: str | int) -> Json:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                reply = await self.client.get(path, params=params)
            except httpx2.HTTPError:
                # The last fault may still be healing.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
                continue
            if reply.status_code < 500 or time.monotonic() > deadline:
                assert reply.status_code == 200, reply.text
                return reply.json()
            await asyncio.sleep(0.1)

    async def _list(self, path: str, key: str) -> list[Json]:
        found: list[Json] = []
        cursor: str | None = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            page = await self._get(path, limit=100, **more)
            found += page[key]
            cursor = page["pagination"]["nextCursor"]
            if cursor is None:
                return found

    async def check_notes(self, dataset_id: str) -> None:
        """Every acknowledged write is there, every insert once."""
        seen: dict[str, tuple[str, str]] = {}
        count: Counter[str] = Counter()
        cursor: str | None = None
        path = f"/datasets/{dataset_id}/data"
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            page = await self._get(path, limit=1000, cells="values", **more)
            for row_id, (key, value) in zip(page["rowIds"], page["data"], strict=True):
                seen[key] = (row_id, value)
                count[key] += 1
            cursor = page["pagination"]["nextCursor"]
            if cursor is None:
                break
        twice = [key for key, times in count.items() if times > 1]
        self._expect(not twice, f"rows inserted twice: {twice[:10]}")
        strange = set(seen) - set(self.record.notes)
        self._expect(not strange, f"rows that nobody wrote: {sorted(strange)[:10]}")
        for note in self.record.list_inserted():
            there = seen.get(note.key)
            if note.is_gone is True:
                self._expect(there is None, f"{note.key} was deleted and is there")
            elif note.is_gone is False:
                self._expect(there is not None, f"{note.key} was acknowledged and is gone")
            if there is not None:
                self._expect(there[0] == note.row_id, f"{note.key} has another row id")
                self._expect(there[1] in note.values, f"{note.key} lost its last write")

    async def _check_tasks(self, dataset_id: str) -> list[Json]:
        """One terminal state a task, agreed by every view of it; then the dataset is free."""
        path = f"/datasets/{dataset_id}/tasks"

        async def all_ended() -> bool:
            return all(task["status"] in ENDED for task in await self._list(path, "tasks"))

        await self._wait(all_ended, _TASK_SECONDS, f"tasks of {dataset_id} do not end")
        tasks = await self._list(path, "tasks")
        for task in tasks:
            task_id, status = task["taskId"], task["status"]
            one = await self._get(f"{path}/{task_id}")
            self._expect(one == task, f"{task_id}: two views of it differ")
            told = self.record.tasks.get(task_id)
            ends = {seen for seen in told.seen if seen in ENDED} if told else set[str]()
            self._expect(ends <= {status}, f"{task_id} was seen {sorted(ends)} and is {status}")
            if told is not None and told.was_cancelled:
                self._expect(status == "cancelled", f"{task_id} was cancelled and is {status}")
            done = one["progress"]
            total = done["completed"] + done["failed"] + done["skipped"]
            self._expect(total == done["total"], f"{task_id}: its progress does not add up")
        dataset = await self._get(f"/datasets/{dataset_id}")
        self._expect(dataset["locked"] is False, f"{dataset_id} is still locked")
        return tasks

    async def _check_cells(self, dataset_id: str, tasks: list[Json]) -> None:
        """A task wrote every cell once, or, when it did not complete, at most once."""
        completed = {task["taskId"] for task in tasks if task["status"] == "completed"}
        page = await self._get(f"/datasets/{dataset_id}/data", limit=1000)
        for row in page["data"][::7]:
            writers: Counter[str] = Counter()
            path = f"/datasets/{dataset_id}/cells/{row[1]['cellId']}/history"
            for write in await self._list(path, "history"):
                if write["writtenBy"]["kind"] == "task":
                    writers[write["writtenBy"]["id"]] += 1
            twice = [task for task, times in writers.items() if times > 1]
            self._expect(not twice, f"{row[1]['cellId']} was written twice by {twice}")
            missing = completed - set(writers)
            self._expect(not missing, f"{row[1]['cellId']} was never written by {missing}")

    async def _check_events(self, tasks: list[Json]) -> None:
        """Each task's end arrived, as one message that says what is true."""
        for task in tasks:
            task_id = task["taskId"]

            def find(task_id: str = task_id) -> dict[str, Json]:
                return {
                    message: bodies[0]
                    for message, bodies in self.received.messages.items()
                    if bodies[0]["event"] in _TERMINAL and bodies[0]["data"]["taskId"] == task_id
                }

            async def arrived(find: Callable[[], dict[str, Json]] = find) -> bool:
                return bool(find())

            await self._wait(arrived, _DELIVERY_SECONDS, f"no event of {task_id} arrived")
            found = find()
            self._expect(len(found) <= 1, f"{task_id}: {len(found)} messages of its end")
            for message, body in found.items():
                told = {one["data"]["status"] for one in self.received.messages[message]}
                self._expect(told == {task["status"]}, f"{task_id}: an event told {told}")
                self._expect(body["event"].endswith(task["status"]), f"{task_id}: {body['event']}")

    async def _wait(self, check: Callable[[], object], seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await check():  # pyright: ignore[reportGeneralTypeIssues]
                return
            await asyncio.sleep(0.1)
        self.faults.append(otherwise)
