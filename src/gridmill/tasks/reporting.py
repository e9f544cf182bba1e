"""How like the real rows those are that a task made up: measured when first asked for, then kept.

No transaction is open while it is measured.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Dataset, Row
from gridmill.kit.ids import parse_uuid
from gridmill.storage.database import Database, Tx
from gridmill.tasks.model import Operations, Task, TaskKind
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.setup import to_specs

COMPARED_ROWS = 5_000
"""Rows of each side, spread evenly."""

Texts = tuple[str | None, ...]


async def load_report(
    database: Database, operations: Operations, dataset: Dataset, task: Task
) -> Mapping[str, Any] | None:
    """The report of the synthesizer (`report.measure`); `None` where no row was made up.

    Raises:
        ProviderRefused: measuring takes too much time or memory.
    """
    if task.kind is not TaskKind.NEW_ROWS or operations.measure_rows is None:
        return None
    workspace_id = task.workspace_id
    async with database.transaction(read_only=True, workspace_id=workspace_id) as tx:
        kept = await repository.find_report(tx, task.task_id)
        if kept is not None:
            return kept
        columns = await _list_made_columns(tx, dataset, task)
        made = await datasets.read_made(tx, dataset, columns, task.task_id, COMPARED_ROWS)
        if not made:
            return None
        real = await _read_followed(tx, dataset, columns)
    found = await operations.measure_rows(
        to_specs(columns), _to_texts(columns, real), _to_texts(columns, made)
    )
    if not task.is_open:
        async with database.transaction(workspace_id=workspace_id) as tx:
            await repository.keep_report(tx, task.task_id, found)
    return found


async def _list_made_columns(tx: Tx, dataset: Dataset, task: Task) -> list[Column]:
    """The columns that were made up, not those that another operation filled."""
    columns = await datasets.list_columns(tx, dataset)
    made = set((await repository.find_plan(tx, task.task_id)).get("made", ()))
    return [column for column in columns if not made or column.column_no in made]


async def _read_followed(tx: Tx, dataset: Dataset, columns: Sequence[Column]) -> list[Row]:
    named = parse_uuid(str(dataset.config.get("rowsFrom", "")))
    if named is None:
        found = await datasets.read_real(tx, dataset, columns, COMPARED_ROWS)
    else:
        found = await datasets.read_source_rows(tx, dataset, columns, named, COMPARED_ROWS)
    return [one.row for one in found]


def _to_texts(columns: Sequence[Column], rows: Sequence[Row]) -> list[Texts]:
    return [tuple(row.values[column.column_no] for column in columns) for row in rows]
