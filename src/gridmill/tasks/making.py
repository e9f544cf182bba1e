"""Rows that a batch makes: ordered, numbered for the time being, and written with their cells.

Until they are written the rows have the numbers -1, -2, …: real ones are taken, without gaps, in
the transaction that writes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.datasets.model import SourceRecord, Writer
from gridmill.kit.clock import now
from gridmill.kit.ids import encode_row
from gridmill.operations.model import (
    BatchOutcome,
    CellError,
    CellOutcome,
    CellStatus,
    ExampleRow,
    Library,
    MadeRows,
    NewRow,
    Order,
    RecordRef,
    RowInput,
)
from gridmill.providers.llm.budget import Budget
from gridmill.storage.database import Tx
from gridmill.tasks.model import BatchResult, Counts, TaskKind, count_outcome
from gridmill.tasks.outcomes import to_writes
from gridmill.tasks.repository.batches import BatchRange
from gridmill.tasks.setup import Setup

_RECORD = {"datasourceId", "record"}


@dataclass(frozen=True, slots=True)
class Made:
    """Rows to be written: what each is made of, the cells of all of them, and what they add up to."""

    origins: Sequence[RecordRef | None]
    cells: Sequence[CellOutcome]
    result: BatchResult


def dump_items(items: Sequence[Any]) -> list[Any]:
    """What rows are made of, as a batch keeps it: records as objects, all else is JSON already."""
    return [
        {"datasourceId": str(item.datasource_id), "record": item.record}
        if isinstance(item, RecordRef)
        else item
        for item in items
    ]


def load_items(kept: Sequence[Any]) -> list[Any]:
    """What `dump_items` kept."""
    return [
        RecordRef(UUID(item["datasourceId"]), item["record"]) if _is_record(item) else item
        for item in kept
    ]


def _is_record(item: Any) -> bool:  # noqa: ANN401 - each kind of work has its own items
    return isinstance(item, dict) and set(cast("dict[str, Any]", item)) == _RECORD


def make_order(
    setup: Setup,
    batch: BatchRange,
    load_training: Callable[[], Awaitable[Sequence[ExampleRow]]],
    budget: Budget | None,
    library: Library,
) -> Order:
    """A batch as its maker takes it."""
    return Order(
        task_id=setup.task.task_id,
        workspace_id=setup.task.workspace_id,
        dataset_name=setup.dataset.name,
        dataset_description=setup.dataset.description,
        columns=setup.specs,
        config=setup.dataset.config,
        items=load_items(batch.items or ()),
        load_training=load_training,
        library=library,
        model=setup.model,
        budget=budget,
        wanted=tuple(sorted(setup.made_columns)),
    )


def number_rows(
    setup: Setup, made: MadeRows, limit: int
) -> tuple[list[RowInput], list[CellOutcome]]:
    """Up to `limit` made rows, each wanting the cells that were not its maker's; and all that was.

    A row of which nothing was tried, as a budget was used up, is none: its turn comes another time.
    Of a cell that is told twice the last word counts; a column that was not asked for is left out.
    """
    names = {column.column_no: column.name for column in setup.columns}
    rows: list[RowInput] = []
    cells: list[CellOutcome] = []
    tried = [row for row in made.rows if _is_tried(row)]
    for number, row in enumerate(tried[:limit], 1):
        told = {
            cell.column_no: replace(cell, row_no=-number)
            for cell in row.cells
            if cell.column_no in setup.made_columns
        }
        cells += told.values()
        values = dict.fromkeys(names.values()) | {
            names[cell.column_no]: cell.value
            for cell in told.values()
            if cell.status in {CellStatus.OK, CellStatus.NEEDS_REVIEW}
        }
        wanted = tuple(number for number in setup.targets if number not in told)
        row_id = encode_row(setup.dataset.key, -number)
        rows.append(RowInput(-number, row_id, values, wanted, row.origin))
    return rows, cells


def _is_tried(row: NewRow) -> bool:
    return not row.cells or any(cell.status is not CellStatus.SKIPPED for cell in row.cells)


def sum_up(
    batch: BatchRange,
    made: MadeRows,
    origins: Sequence[RecordRef | None],
    cells: Sequence[CellOutcome],
    rest: BatchOutcome,
) -> Made:
    """What a batch made, cells of the maker and of the other operations together.

    Rows that were not made do not exist, unless the maker stopped before their turn.
    """
    outcome = BatchOutcome(
        [*cells, *rest.cells], made.usage + rest.usage, made.stopped_by or rest.stopped_by
    )
    result = replace(
        count_outcome(outcome, TaskKind.NEW_ROWS, len(origins)),
        rows_made=len(origins),
        rows_missing=0 if outcome.stopped_by else batch.rows - len(origins),
        message=made.message,
        measured=made.measured,
    )
    return Made(origins, outcome.cells, result)


def refuse_order(setup: Setup, batch: BatchRange, error: CellError) -> Made:
    """What is left when the rows of a batch could not be made.

    A row for each record, so that its cells can be tried again; rows of nothing do not come to be.
    """
    items = load_items(batch.items or ())
    if not all(isinstance(item, RecordRef) for item in items):
        return Made((), (), BatchResult(Counts(failed=batch.rows), Counts(), error=error))
    cells = [
        CellOutcome(-number, column, CellStatus.ERROR, error=error)
        for number in range(1, len(items) + 1)
        for column in setup.targets
    ]
    return sum_up(batch, MadeRows(()), items, cells, BatchOutcome(()))


async def write_made(tx: Tx, setup: Setup, made: Made, writer: Writer) -> None:
    """Append the rows, and write their cells as those of any other task are written."""
    if not made.origins:
        return
    records = [
        None if origin is None else SourceRecord(origin.datasource_id, origin.record)
        for origin in made.origins
    ]
    first = await datasets.append_rows(tx, setup.dataset, records, writer)
    key = setup.dataset.key
    row_ids = {
        encode_row(key, -number): encode_row(key, first + number - 1)
        for number in range(1, len(records) + 1)
    }
    cells = [
        replace(
            cell,
            row_no=first - cell.row_no - 1,
            sources=[_name_rows(source, row_ids) for source in cell.sources],
        )
        for cell in made.cells
    ]
    writes = to_writes(cells, setup.operation_names, setup.task.task_id, now())
    await datasets.write_cells(tx, setup.dataset, setup.columns, writes, writer)


def _name_rows(source: Mapping[str, Any], row_ids: Mapping[str, str]) -> Mapping[str, Any]:
    """A source in which the new rows have their real ids."""
    if "rowIds" not in source:
        return source
    return {**source, "rowIds": [row_ids.get(row_id, row_id) for row_id in source["rowIds"]]}
