"""A task's events, derived from its batches: the same ones, in the same order, for every reader.

Place 0 is the task as it was made, place 1 its plan, place n + 1 its n-th finished batch, and the
place after the last batch its end. A `progress` event carries its place as id; the `cell` events
of a batch come before its progress, with ids `place.number`. So whoever comes back with the last
id that it saw misses nothing and gets nothing twice, whichever process it asks. (Only a total that has
shrunk since is told as it is now.)
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Dataset, HistoryEntry
from gridmill.datasets.wire import metadata_to_wire
from gridmill.kit.errors import Unavailable
from gridmill.kit.http import to_json
from gridmill.kit.ids import encode_cell, encode_column, encode_row
from gridmill.kit.values import to_wire
from gridmill.storage.database import Database, Tx
from gridmill.tasks.model import Counts, Progress, Task, TaskStatus, percentage_of
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.repository.batches import DoneBatch
from gridmill.tasks.wire import task_to_wire

POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 15.0
_BATCHES_AT_ONCE = 200
_ID = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?", re.ASCII)
_PLANNED = 1
HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Place:
    """The last event that a reader has seen: whole places, then cells of the next one."""

    number: int = -1
    cells: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    name: str
    id: str
    data: object

    def encode(self) -> bytes:
        """The event on the wire."""
        return b"event: %s\nid: %s\ndata: %s\n\n" % (
            self.name.encode(),
            self.id.encode(),
            to_json(self.data),
        )


def parse_place(last_event_id: str | None) -> Place:
    """Where a reader left off; the start, when the id is missing or not one of ours."""
    match = _ID.fullmatch(last_event_id or "")
    if match is None:
        return Place()
    number = int(match[1])
    if match[2] is None:
        return Place(number)
    return Place(number - 1, int(match[2]))


async def stream(
    database: Database, task: Task, place: Place, *, with_cells: bool
) -> AsyncIterator[bytes]:
    """The events after `place` as they happen, up to and with the task's end.

    Each look is a short transaction of its own; an unreachable database is waited for.
    """
    reader = _Reader(database, task, place, with_cells=with_cells)
    loop = asyncio.get_running_loop()
    yield HEARTBEAT
    heard_at = loop.time()
    while not reader.ended:
        quiet = True
        try:
            async for event in reader.look():
                quiet = False
                heard_at = loop.time()
                yield event.encode()
        except Unavailable:
            pass
        if reader.ended:
            return
        if quiet:
            if loop.time() - heard_at >= HEARTBEAT_SECONDS:
                heard_at = loop.time()
                yield HEARTBEAT
            await asyncio.sleep(POLL_SECONDS)


class _Reader:
    """One client's way through the events of a task."""

    def __init__(self, database: Database, task: Task, place: Place, *, with_cells: bool) -> None:
        self._database = database
        self._task = task
        self._place = place
        self._with_cells = with_cells
        self._settled: Counts | None = None
        self._sum = Counts()
        self._shape: tuple[Dataset, list[Column]] | None = None
        self.ended = False

    async def look(self) -> AsyncIterator[Event]:
        """Everything new, in order; sets `ended` after the last event."""
        async with self._database.transaction(
            read_only=True, workspace_id=self._task.workspace_id
        ) as tx:
            task = await repository.find_any_task(tx, self._task.task_id)
            if task is None:
                self.ended = True
                return
            done = await self._load_new(tx, task)
        if self._place.number < 0:
            yield self._pass(Event("progress", "0", _tell(task, TaskStatus.QUEUED, 0, Counts())))
        if self._place.number < _PLANNED and task.batches_total is not None:
            settled = self._settled or Counts()
            told = _tell(task, TaskStatus.PROCESSING, task.total, settled)
            yield self._pass(Event("progress", str(_PLANNED), told))
        for batch in done:
            async for event in self._tell_batch(task, batch):
                yield event
        if task.is_open or len(done) == _BATCHES_AT_ONCE:
            return
        last = _PLANNED + task.batches_done + 1
        # An id from beyond the end is none of ours; its reader is told the end all the same.
        if self._place.number != last:
            yield self._pass(Event(task.status.value, str(last), task_to_wire(task)))
        self.ended = True

    async def _load_new(self, tx: Tx, task: Task) -> list[DoneBatch]:
        if task.batches_total is None:
            return []
        seen = max(0, self._place.number - _PLANNED)
        if self._settled is None:
            plan = await repository.find_plan(tx, task.task_id)
            settled = plan.get("settled", {})
            self._settled = Counts(
                completed=settled.get("completed", 0), skipped=settled.get("skipped", 0)
            )
            self._sum = self._settled + await batch_rows.sum_done(tx, task.task_id, seen)
        if task.batches_done <= seen:
            return []
        return await batch_rows.list_done(tx, task.task_id, seen, _BATCHES_AT_ONCE)

    async def _tell_batch(self, task: Task, batch: DoneBatch) -> AsyncIterator[Event]:
        place = batch.seq + _PLANNED
        if self._with_cells:
            async for event in self._tell_cells(task, batch, place):
                yield event
        self._sum += batch.counts
        told = _tell(task, TaskStatus.PROCESSING, task.total, self._sum)
        if task.stopped_by is not None and batch.seq == task.batches_done:
            # The batch that met the stop counts what it left as skipped.
            told["percentage"] = task.progress.percentage
        yield self._pass(Event("progress", str(place), told))

    async def _tell_cells(self, task: Task, batch: DoneBatch, place: int) -> AsyncIterator[Event]:
        async with self._database.transaction(
            read_only=True, workspace_id=self._task.workspace_id
        ) as tx:
            shape = await self._load_shape(tx, task.dataset_id)
            if shape is None:
                return
            dataset, columns = shape
            entries = await datasets.list_batch_writes(
                tx, dataset, columns, task.task_id, batch.batch_no
            )
        by_number = {column.column_no: column for column in columns}
        for number, entry in enumerate(entries, 1):
            if number > self._place.cells:
                self._place = Place(place - 1, number)
                told = _tell_cell(dataset, by_number[entry.column_no], entry)
                yield Event("cell", f"{place}.{number}", told)

    async def _load_shape(self, tx: Tx, dataset_id: UUID) -> tuple[Dataset, list[Column]] | None:
        if self._shape is None or not self._task.is_open:
            dataset = await datasets.find_any_dataset(tx, dataset_id)
            if dataset is None:
                return None
            self._shape = (dataset, await datasets.list_columns(tx, dataset))
        return self._shape

    def _pass(self, event: Event) -> Event:
        self._place = Place(int(event.id))
        return event


def _tell(task: Task, status: TaskStatus, total: int, counts: Counts) -> dict[str, Any]:
    progress = Progress(task.kind, total, counts, percentage_of(counts.done, total))
    return {"taskId": str(task.task_id), "status": status.value, **progress.to_wire()}


def _tell_cell(dataset: Dataset, column: Column, entry: HistoryEntry) -> dict[str, Any]:
    return {
        "cellId": encode_cell(dataset.key, entry.row_no, entry.column_no),
        "rowId": encode_row(dataset.key, entry.row_no),
        "columnId": encode_column(dataset.key, entry.column_no),
        "value": to_wire(entry.value, column.data_type),
        "metadata": metadata_to_wire(entry.metadata),
    }
