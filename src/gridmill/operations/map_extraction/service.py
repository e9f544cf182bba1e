"""Map extraction: rows of places inside a boundary, and cells of places that are known.

What is loaded is loaded here; what is computed is computed in a child process (`work`), where its
processor time and memory are bounded.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from gridmill.kit.processes import ProcessPool
from gridmill.operations.model import (
    Batch,
    BatchOutcome,
    CellError,
    CellOutcome,
    CellStatus,
    ColumnSpec,
    Estimate,
    MadeRows,
    Order,
    RowInput,
    SourceRecords,
)

ROWS_PER_BATCH = 1_000
CPU_SECONDS = 120.0
WALL_SECONDS = 600.0
_KEY = "map_extraction"
"""All calls go to one child: it keeps the places that it has read."""

SOURCE_GONE = (
    "The data source that config.source names is gone, is not read, or has no columns called "
    "latitude and longitude."
)

Given = TypeVar("Given")
Result = TypeVar("Result")


class MapExtraction:
    """Finds places in the embedded source or a data source; asks nobody outside."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    def batch_rows(
        self,
        columns: Sequence[ColumnSpec],  # noqa: ARG002 (the protocol's)
        targets: Sequence[int],  # noqa: ARG002
        model: str | None,  # noqa: ARG002
    ) -> int:
        """Rows of a batch: nothing is asked of anyone, so many."""
        return ROWS_PER_BATCH

    def check_budget(
        self,
        columns: Sequence[ColumnSpec],
        targets: Sequence[int],
        model: str | None,
        max_cost_usd: float | None,
    ) -> None:
        """Nothing to keep: it costs nothing."""

    async def make(self, order: Order) -> MadeRows:
        """Up to as many places as `items` says (`rows`) that are not in the dataset yet."""
        # Imported here: a process that starts no map does without shapely's and numpy's memory.
        from gridmill.operations.map_extraction import work

        count = sum(int(item["rows"]) for item in order.items)
        rows: Sequence[RowInput] = () if order.atlas is None else await order.atlas.load_rows()
        records = None
        source_id = find_source(order.config)
        if source_id is not None and order.atlas is not None:
            boxes = await self._run(work.find_boxes, order.config)
            records = await order.atlas.load_records(source_id, boxes)
            if records is None:
                return MadeRows((), message=SOURCE_GONE, measured={"coverage": "none"})
        job = work.Job(order.columns, order.config, rows, records, order.wanted, count)
        return await self._run(work.make_rows, job)

    async def run(self, batch: Batch) -> BatchOutcome:
        """Refresh the wanted cells: the row's place is found by id, name and position, or address."""
        from gridmill.operations.map_extraction import work

        records: SourceRecords | None = None
        source_id = find_source(batch.config)
        if source_id is not None and batch.atlas is not None:
            records = await batch.atlas.load_records(source_id, ())
            if records is None:
                return BatchOutcome(_refuse(batch.rows))
        job = work.Job(batch.columns, batch.config, batch.rows, records)
        return BatchOutcome(await self._run(work.refresh_rows, job))

    async def estimate(self, batch: Batch) -> Estimate:  # noqa: ARG002 (the protocol's)
        """It asks no model and costs nothing."""
        return Estimate(0, 0, 0, 0.0)

    async def _run(self, function: Callable[[Given], Result], given: Given) -> Result:
        return await self._pool.run(
            function, given, seconds=WALL_SECONDS, cpu_seconds=CPU_SECONDS, key=_KEY
        )


def find_source(config: Mapping[str, Any]) -> UUID | None:
    """The data source that a checked config names, `None` for the embedded one."""
    kind, _, source_id = str(config.get("source") or "").partition(":")
    return UUID(source_id) if kind == "datasource" else None


def _refuse(rows: Sequence[RowInput]) -> list[CellOutcome]:
    error = CellError("SOURCE_GONE", SOURCE_GONE)
    return [
        CellOutcome(row.row_no, number, CellStatus.ERROR, error=error)
        for row in rows
        for number in row.wanted
    ]
