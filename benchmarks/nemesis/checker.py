"""Holds the server, healed, to what the clients were told."""

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.nemesis.clients import ENDED
from benchmarks.nemesis.reader import Reader, wait_for
from benchmarks.nemesis.record import Json, Record

_TASK_SECONDS = 240.0


@dataclass
class Checker:
    """Reads everything back; `faults` says what does not hold."""

    reader: Reader
    record: Record
    faults: list[str] = field(default_factory=list[str])

    async def check_worked(self, dataset_ids: list[str]) -> None:
        """The tasks of these datasets, and what they wrote."""
        for dataset_id in dataset_ids:
            tasks = await self._check_tasks(dataset_id)
            await self._check_cells(dataset_id, tasks)
        known = set(self.record.tasks)
        listed = {task["taskId"] for task in await self.reader.list_all("/tasks", "tasks")}
        self._expect(known <= listed, f"acknowledged tasks are gone: {sorted(known - listed)}")

    async def check_datasets(self, prefix: str) -> None:
        """Every acknowledged dataset is there once, every deleted one gone."""
        listed = await self.reader.list_all("/datasets", "datasets", search=prefix)
        ids = {one["name"]: one["datasetId"] for one in listed}
        self._expect(len(ids) == len(listed), f"datasets made twice: {len(listed)} of {len(ids)}")
        for one in self.record.datasets:
            there = ids.pop(one.name, None)
            if one.is_gone is True:
                self._expect(there is None, f"{one.name} was deleted and is there")
            elif one.is_gone is False and one.dataset_id is not None:
                self._expect(there == one.dataset_id, f"{one.name} is {there}")
        self._expect(not ids, f"datasets that nobody made: {sorted(ids)}")

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)

    async def check_notes(self, dataset_id: str) -> None:
        """Every acknowledged write is there, every insert once."""
        seen: dict[str, tuple[str, str]] = {}
        count: Counter[str] = Counter()
        cursor: str | None = None
        path = f"/datasets/{dataset_id}/data"
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            page = await self.reader.get(path, limit=1000, cells="values", **more)
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
            return all(
                task["status"] in ENDED for task in await self.reader.list_all(path, "tasks")
            )

        has_ended = await wait_for(all_ended, _TASK_SECONDS)
        self._expect(has_ended, f"tasks of {dataset_id} do not end")
        tasks = await self.reader.list_all(path, "tasks")
        for task in tasks:
            task_id, status = task["taskId"], task["status"]
            one = await self.reader.get(f"{path}/{task_id}")
            self._expect(one == task, f"{task_id}: two views of it differ")
            told = self.record.tasks.get(task_id)
            ends = {seen for seen in told.seen if seen in ENDED} if told else set[str]()
            self._expect(ends <= {status}, f"{task_id} was seen {sorted(ends)} and is {status}")
            if told is not None and told.was_cancelled:
                self._expect(status == "cancelled", f"{task_id} was cancelled and is {status}")
            done = one["progress"]
            total = done["completed"] + done["failed"] + done["skipped"]
            self._expect(total == done["total"], f"{task_id}: its progress does not add up")
        dataset = await self.reader.get(f"/datasets/{dataset_id}")
        self._expect(dataset["locked"] is False, f"{dataset_id} is still locked")
        return tasks

    async def _check_cells(self, dataset_id: str, tasks: list[Json]) -> None:
        """A task wrote every cell once, or, when it did not complete, at most once."""
        completed = {task["taskId"] for task in tasks if task["status"] == "completed"}
        page = await self.reader.get(f"/datasets/{dataset_id}/data", limit=1000)
        for row in page["data"][::7]:
            writers: Counter[str] = Counter()
            path = f"/datasets/{dataset_id}/cells/{row[1]['cellId']}/history"
            for write in await self.reader.list_all(path, "history"):
                if write["writtenBy"]["kind"] == "task":
                    writers[write["writtenBy"]["id"]] += 1
            twice = [task for task, times in writers.items() if times > 1]
            self._expect(not twice, f"{row[1]['cellId']} was written twice by {twice}")
            missing = completed - set(writers)
            self._expect(not missing, f"{row[1]['cellId']} was never written by {missing}")
