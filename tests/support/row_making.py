"""A planner that orders rows, and a maker that makes them as a test says."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gridmill.datasets.model import Column, Dataset
from gridmill.operations.model import CellOutcome, CellStatus, MadeRows, NewRow, Order, RecordRef
from gridmill.providers.llm.model import Usage
from gridmill.storage.database import Tx
from gridmill.tasks.making import dump_items
from gridmill.tasks.plans import Ground, Plan, Sampled
from gridmill.tasks.repository.batches import order_rows
from gridmill.tasks.selection import list_targets

SOURCE = UUID("01890000-0000-7000-8000-0000000000aa")


@dataclass
class OrderingPlanner:
    """Orders the rows that are asked for, two a batch, of the records of a source."""

    message: str | None = None
    one_by_one: bool = False
    of_records: bool = True

    async def count(self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int) -> int:
        return limit

    async def plan(self, tx: Tx, ground: Ground, limit: int) -> Plan:
        targets = list_targets(ground.columns)
        batches = [
            order_rows(self._items(start, min(limit, start + 2)), min(2, limit - start), 1)
            for start in range(0, limit, 2)
        ]
        return Plan(batches, targets, message=self.message, one_by_one=self.one_by_one)

    def _items(self, start: int, end: int) -> list[Any]:
        if not self.of_records:
            return [{"first": start + 1, "last": end}]
        return dump_items([RecordRef(SOURCE, number + 1) for number in range(start, end)])

    async def sample(
        self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int, size: int
    ) -> Sampled:
        values = [{column.column_no: None for column in columns}] * min(size, limit)
        return Sampled(limit, values, [RecordRef(SOURCE, 1)] * len(values))


def name_records(order: Order) -> MadeRows:
    """Each row's wanted cells become `record <number>`."""
    rows = [
        NewRow(
            [
                CellOutcome(0, number, CellStatus.OK, f"record {item.record}", 0.9)
                for number in order.wanted
            ],
            item,
        )
        for item in order.items
    ]
    return MadeRows(rows, Usage(1, 0, 10, 1, 0.001))


@dataclass
class ScriptedMaker:
    """A maker that does what a test says and remembers what was ordered."""

    answer: Callable[[Order], MadeRows] = name_records
    before: Callable[[], Awaitable[object]] | None = None
    orders: list[Order] = field(default_factory=list[Order])

    async def make(self, order: Order) -> MadeRows:
        self.orders.append(order)
        if self.before is not None:
            await self.before()
        return self.answer(order)
