"""Clients that go on whatever happens: each call is repeated under its key until it is answered."""

import asyncio
import random
import time
from dataclasses import dataclass
from uuid import uuid4

import httpx2

from benchmarks.nemesis.record import DatasetMade, Json, Note, Record, TaskSeen

ENDED = frozenset({"completed", "failed", "cancelled"})
# On starved cores a killed API takes more than a minute to come back.
_PATIENCE_SECONDS = 180.0
_PAUSE_SECONDS = 0.1


class NoAnswer(Exception):
    """A call was not answered in time: whether it had its effect is not known."""


@dataclass
class Caller:
    """One client's way to the server."""

    client: httpx2.AsyncClient
    record: Record

    async def call(self, method: str, path: str, body: Json | None = None) -> httpx2.Response:
        """The definite answer to a call; the same `Idempotency-Key` goes with every repetition.

        Raises `NoAnswer` after three minutes.
        """
        headers = {} if method == "GET" else {"Idempotency-Key": str(uuid4())}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        self.record.operations += 1
        while time.monotonic() < deadline:
            try:
                response = await self.client.request(method, path, json=body, headers=headers)
            except httpx2.HTTPError:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if response.status_code >= 500 or _is_in_progress(response):
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self.record.answered += 1
            return response
        self.record.unanswered += 1
        raise NoAnswer(f"{method} {path}")


def _is_in_progress(response: httpx2.Response) -> bool:
    return response.status_code == 409 and response.json()["code"] == "IDEMPOTENCY_IN_PROGRESS"


@dataclass
class NoteWriter:
    """Inserts, edits and deletes its own rows of a shared dataset."""

    name: str
    caller: Caller
    dataset_id: str
    dice: random.Random
    made: int = 0

    async def run(self, over: asyncio.Event) -> None:
        """Work until it is `over`."""
        while not over.is_set():
            own = [
                note
                for note in self.caller.record.list_inserted()
                if note.key.startswith(f"{self.name}-") and note.is_gone is False
            ]
            act = self.dice.random()
            try:
                if act < 0.5 or not own:
                    await self._insert()
                elif act < 0.85:
                    await self._edit(self.dice.choice(own))
                else:
                    await self._delete(self.dice.choice(own))
            except NoAnswer:
                continue

    async def _insert(self) -> None:
        notes: list[Note] = []
        for _ in range(self.dice.randint(1, 5)):
            self.made += 1
            notes.append(Note(f"{self.name}-{self.made}", values=["first"]))
        for note in notes:
            self.caller.record.notes[note.key] = note
        rows = [{"key": note.key, "value": "first"} for note in notes]
        reply = await self.caller.call("POST", f"/datasets/{self.dataset_id}/rows", {"rows": rows})
        assert reply.status_code == 201, reply.text
        for note, row_id in zip(notes, reply.json()["rowIds"], strict=True):
            note.row_id = row_id

    async def _edit(self, note: Note) -> None:
        value = f"{self.name} {uuid4()}"
        note.values.append(value)
        path = f"/datasets/{self.dataset_id}/cells/{note.row_id}c2"
        reply = await self.caller.call("PATCH", path, {"value": value})
        assert reply.status_code == 200, reply.text
        note.values = [value]

    async def _delete(self, note: Note) -> None:
        note.is_gone = None
        path = f"/datasets/{self.dataset_id}/rows/{note.row_id}"
        reply = await self.caller.call("DELETE", path)
        assert reply.status_code == 204, reply.text
        note.is_gone = True


@dataclass
class TaskRunner:
    """Starts tasks on a dataset of its own, waits for them or cancels them."""

    caller: Caller
    dataset_id: str
    webhook_id: str
    dice: random.Random

    async def run(self, over: asyncio.Event) -> None:
        """Work until it is `over`; the last task is left running."""
        while not over.is_set():
            try:
                await self._run_task(over)
            except NoAnswer:
                continue

    async def _run_task(self, over: asyncio.Event) -> None:
        path = f"/datasets/{self.dataset_id}/tasks"
        body = {"processOnlyEmpty": False, "webhookId": self.webhook_id}
        reply = await self.caller.call("POST", f"{path}/bulk", body)
        if reply.status_code == 409 and reply.json()["code"] == "DATASET_LOCKED":
            # The one before, whose answer or end was not seen.
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        assert reply.status_code == 202, reply.text
        task = TaskSeen(reply.json()["taskId"], self.dataset_id, [reply.json()["status"]])
        self.caller.record.tasks[task.task_id] = task
        is_to_be_cancelled = self.dice.random() < 0.3
        while not over.is_set() and task.seen[-1] not in ENDED:
            if is_to_be_cancelled and self.dice.random() < 0.3:
                reply = await self.caller.call("POST", f"{path}/{task.task_id}/cancel")
                task.was_cancelled = reply.status_code == 200
            reply = await self.caller.call("GET", f"{path}/{task.task_id}")
            task.seen.append(reply.json()["status"])
            await asyncio.sleep(_PAUSE_SECONDS)


@dataclass
class DatasetMaker:
    """Makes small datasets, each of its own name, and deletes some of them."""

    prefix: str
    caller: Caller
    dice: random.Random

    async def run(self, over: asyncio.Event) -> None:
        """Work until it is `over`."""
        while not over.is_set():
            made = self.caller.record.datasets
            there = [one for one in made if one.dataset_id is not None and one.is_gone is False]
            try:
                if not there or self.dice.random() < 0.6:
                    await self._make()
                else:
                    await self._delete(self.dice.choice(there))
            except NoAnswer:
                continue
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _make(self) -> None:
        made = self.caller.record.datasets
        one = DatasetMade(f"{self.prefix}{len(made) + 1}")
        made.append(one)
        body: Json = {"type": "blank", "name": one.name, "columns": [{"name": "note"}]}
        reply = await self.caller.call("POST", "/datasets", body)
        assert reply.status_code == 201, reply.text
        one.dataset_id = reply.json()["datasetId"]

    async def _delete(self, one: DatasetMade) -> None:
        one.is_gone = None
        reply = await self.caller.call("DELETE", f"/datasets/{one.dataset_id}")
        assert reply.status_code == 204, reply.text
        one.is_gone = True
