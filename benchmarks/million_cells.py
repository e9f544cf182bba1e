"""Cells with metadata and history, written as a task's batches write them."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Dataset, Writer
from gridmill.kit.clock import now
from gridmill.kit.ids import new_uuid7
from gridmill.operations.model import CellOutcome, CellStatus
from gridmill.storage.database import Database
from gridmill.tasks.outcomes import to_writes

TARGETS = 3


def write_rows(url: str, dataset_id: UUID, first: int, last: int, batch_rows: int) -> int:
    """Write three cells of each row from `first` to `last`; how many were written.

    One transaction a batch, by what a task's batch calls when its operation has answered.
    """
    return asyncio.run(_write_rows(url, dataset_id, range(first, last + 1), batch_rows))


async def _write_rows(url: str, dataset_id: UUID, rows: range, batch_rows: int) -> int:
    database = await Database.open(url, max_size=1)
    try:
        async with database.transaction(read_only=True) as tx:
            dataset = await datasets.find_any_dataset(tx, dataset_id)
            assert dataset is not None
            columns = await datasets.list_columns(tx, dataset)
        written, task_id = 0, new_uuid7()
        for start in range(0, len(rows), batch_rows):
            batch = rows[start : start + batch_rows]
            written += await _write_batch(database, dataset, columns, batch, task_id)
        return written
    finally:
        await database.close()


async def _write_batch(
    database: Database, dataset: Dataset, columns: Sequence[Column], rows: range, task_id: UUID
) -> int:
    targets = [column.column_no for column in columns[-TARGETS:]]
    cells = [
        CellOutcome(
            row_no,
            number,
            CellStatus.OK,
            f"value {row_no} of {number}",
            confidence=0.75,
            factors={"method": "model", "stated": 0.75},
            provider="fake",
            model="fake-model",
        )
        for row_no in rows
        for number in targets
    ]
    operations = {column.column_no: column.task_type.value for column in columns}
    writes = to_writes(cells, operations, task_id, now())
    async with database.transaction() as tx:
        return await datasets.write_cells(
            tx, dataset, columns, writes, Writer("task", task_id, rows.start)
        )
