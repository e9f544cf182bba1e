"""New rows from documents: which of their records are left, and which batch makes which of them."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Dataset, TaskType
from gridmill.datasets.service import LinkedDocuments
from gridmill.datasources import service as datasources
from gridmill.operations.extraction.records import WHOLE, list_records
from gridmill.operations.model import RecordRef
from gridmill.storage import grids
from gridmill.storage.database import Tx
from gridmill.tasks.errors import InvalidTaskForDataset
from gridmill.tasks.making import dump_items
from gridmill.tasks.plans import Ground, Plan, Sampled
from gridmill.tasks.repository.batches import order_rows
from gridmill.tasks.selection import list_targets
from gridmill.tasks.setup import to_specs

BATCH_DOCUMENTS = 8
"""So few that the first rows are there soon, and that a batch which is repeated costs little."""
BATCH_ROWS = 40
"""Records of one document share its reading, so a batch may hold more of them."""
# A request looks into no more documents than these for one with a record that is left.
_LOOKED_INTO = 50


class SourcesPending(Exception):
    """What a task is to take is still being read: its planning has to wait."""


class DocumentsPlanner:
    """Documents, or the records that they list, become rows in the order of their links."""

    async def count(self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int) -> int:
        """How many documents are untouched, else how many records are left in the next one.

        One, when it would take too long to find a document that has any, or when what is left is
        still being read.
        """
        found = await datasets.list_documents(tx, dataset)
        fresh = sum(one not in found.taken for one in found.ready)
        if fresh and _rows_per(dataset) != "record":
            return min(fresh + found.pending, limit)
        walk = _Walk(tx, dataset, columns, found, most=_LOOKED_INTO)
        async for left in walk.list_left():
            return min(len(left), limit)
        if walk.is_cut_short or found.pending:
            return 1
        raise InvalidTaskForDataset(_say_missing(found, walk.listless))

    async def plan(self, tx: Tx, ground: Ground, limit: int) -> Plan:
        """Order the records that are left, and say what was passed over.

        Raises:
            SourcesPending: documents that are needed are still being read.
        """
        dataset, columns = ground.dataset, ground.columns
        found = await datasets.list_documents(tx, dataset)
        walk = _Walk(tx, dataset, columns, found)
        records: list[RecordRef] = []
        async for left in walk.list_left():
            records += left[: limit - len(records)]
            if len(records) >= limit:
                break
        if found.pending and len(records) < limit:
            raise SourcesPending
        await datasets.check_quota(tx, dataset.workspace_id, len(records), ground.limits)
        targets = list_targets(columns)
        batches = [
            order_rows(dump_items(part), len(part), len(targets)) for part in cut_batches(records)
        ]
        return Plan(batches, targets, message=_say_passed_over(found, walk.listless))

    async def sample(
        self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int, size: int
    ) -> Sampled:
        """The first records that are left; what the other documents list is taken to be like it."""
        found = await datasets.list_documents(tx, dataset)
        walk = _Walk(tx, dataset, columns, found, most=size)
        records = [record async for left in walk.list_left() for record in left]
        waiting = sum(not found.is_finished(one) for one in found.ready)
        rows = round(len(records) * waiting / walk.looked_into) if walk.looked_into else 0
        chosen = records[: min(size, limit)]
        empty = dict.fromkeys((column.column_no for column in columns), None)
        return Sampled(min(rows, limit), [empty] * len(chosen), chosen)


@dataclass
class _Walk:
    """A way through a dataset's documents, `most` of them; `listless` ones list no record."""

    tx: Tx
    dataset: Dataset
    columns: Sequence[Column]
    found: LinkedDocuments
    most: int | None = None
    looked_into: int = 0
    listless: int = 0
    is_cut_short: bool = False

    async def list_left(self) -> AsyncGenerator[list[RecordRef]]:
        """For each document that has any: its records that are left. One is held at a time."""
        for datasource_id in self.found.ready:
            if self.found.is_finished(datasource_id):
                continue
            if self.looked_into == self.most:
                self.is_cut_short = True
                return
            self.looked_into += 1
            records = await self._list_records(datasource_id)
            self.listless += not records
            left = self.found.list_left(datasource_id, records)
            if left:
                yield [RecordRef(datasource_id, record) for record in left]

    async def _list_records(self, datasource_id: UUID) -> Sequence[int]:
        rows_per = _rows_per(self.dataset)
        if rows_per == "document":
            return WHOLE
        # There may be ten thousand of them, more than the server has locks for.
        async with grids.forget_locks(self.tx):
            document = await datasources.load_document(
                self.tx, self.dataset.workspace_id, datasource_id
            )
        specs = to_specs([one for one in self.columns if one.task_type is TaskType.EXTRACTION])
        return () if document is None else list_records(document, specs, rows_per)


def cut_batches(records: Sequence[RecordRef]) -> Iterator[Sequence[RecordRef]]:
    """Records in order, in batches of up to 8 documents and 40 rows."""
    start = 0
    seen: set[UUID] = set()
    for place, record in enumerate(records):
        is_new = record.datasource_id not in seen
        if place - start == BATCH_ROWS or (is_new and len(seen) == BATCH_DOCUMENTS):
            yield records[start:place]
            start = place
            seen.clear()
        seen.add(record.datasource_id)
    if start < len(records):
        yield records[start:]


def _rows_per(dataset: Dataset) -> str:
    return str(dataset.config.get("rowsPer", "auto"))


def _say_missing(found: LinkedDocuments, listless: int) -> str:
    passed_over = _say_passed_over(found, listless)
    if not found.ready and passed_over is None:
        tables = " The linked tables are no documents." if found.tables else ""
        return (
            f"No document is linked to the dataset; link data sources that are documents.{tables}"
        )
    end = f" {passed_over}" if passed_over else " Link another one."
    return f"No linked document has anything left that is not a row yet.{end}"


def _say_passed_over(found: LinkedDocuments, listless: int) -> str | None:
    reasons = {
        "could not be read": found.failed,
        "list no records that fit the columns": listless,
    }
    told = ", ".join(f"{count} ({reason})" for reason, count in reasons.items() if count)
    return f"Documents that were passed over: {told}." if told else None
