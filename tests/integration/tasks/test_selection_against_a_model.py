"""The contract's selection rules, held against a plain Python model over random tables."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmill.datasets import service as datasets
from gridmill.datasets.model import (
    ColumnMetadata,
    Dataset,
    DatasetLimits,
    DatasetType,
    NewColumn,
    TaskType,
)
from gridmill.datasets.service import NewDataset
from gridmill.kit.errors import InvalidSelection
from gridmill.kit.values import DataType
from gridmill.storage.database import Tx
from gridmill.tasks import service
from gridmill.tasks.loading import load_rows, load_setup
from gridmill.tasks.model import OPEN_STATUSES, TaskLimits
from gridmill.tasks.planning import plan_task
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.selection import SelectionRequest
from gridmill.tasks.service import Shop, Terms
from tests.support.task_bench import Bench, open_bench

pytestmark = pytest.mark.integration

BLANKS = [None, "", "  ", "\t\n", "\u3000", "\u00a0"]
Cell = tuple[int, int]


@dataclass(frozen=True)
class Table:
    """Values by row, what the columns are, and which rows were deleted since."""

    values: list[list[str | None]]
    kinds: list[str]
    deleted: frozenset[int]

    @property
    def rows(self) -> list[int]:
        return [n for n in range(1, len(self.values) + 1) if n not in self.deleted]

    @property
    def targets(self) -> set[int]:
        return {n for n, kind in enumerate(self.kinds, 1) if kind == "task"}

    def is_empty(self, cell: Cell) -> bool:
        value = self.values[cell[0] - 1][cell[1] - 1]
        return value is None or not value.strip()


@dataclass(frozen=True)
class Ask:
    """A bulk body in numbers; numbers that are in no table are ids that do not exist."""

    cells: list[Cell] | None = None
    columns: list[int] | None = None
    rows: list[int] | None = None
    only_empty: bool = True
    batch_rows: int = field(default=3)


def expect(table: Table, ask: Ask) -> tuple[set[Cell], int] | None:
    """Cells to fill and how many are skipped; `None` when the selection is refused."""
    given = [chosen for chosen in (ask.cells, ask.columns, ask.rows) if chosen is not None]
    if ask.cells is not None and len(given) > 1:
        return None
    if any(not chosen for chosen in given):
        return None
    width = len(table.kinds)
    if ask.cells is not None:
        if any(row not in table.rows or column > width for row, column in ask.cells):
            return None
        if any(column not in table.targets for _, column in ask.cells):
            return None
        chosen = set(ask.cells)
    else:
        if ask.rows is not None and any(row not in table.rows for row in ask.rows):
            return None
        if ask.columns is not None and any(column not in table.targets for column in ask.columns):
            return None
        rows = table.rows if ask.rows is None else ask.rows
        columns = table.targets if ask.columns is None else set(ask.columns)
        chosen = {(row, column) for row in rows for column in columns}
    wanted = {cell for cell in chosen if not ask.only_empty or table.is_empty(cell)}
    return wanted, len(chosen - wanted) if given else 0


kinds = st.sampled_from(["task", "task", "task", "none", "read-only"])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    width = draw(st.integers(1, 4))
    height = draw(st.integers(0, 9))
    value = st.sampled_from([*BLANKS, "x", " y "])
    values = draw(
        st.lists(st.lists(value, min_size=width, max_size=width), min_size=height, max_size=height)
    )
    gone = draw(st.frozensets(st.integers(1, height), max_size=3)) if height else frozenset[int]()
    return Table(values, draw(st.lists(kinds, min_size=width, max_size=width)), gone)


def numbers(limit: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, limit + 1), max_size=6)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Table, Ask]:
    table = draw(tables())
    height, width = len(table.values), len(table.kinds)
    # Mostly ids that exist, so that most examples reach the counting.
    rows = st.lists(st.sampled_from(table.rows), max_size=6) if table.rows else numbers(height)
    targets = sorted(table.targets)
    columns = st.lists(st.sampled_from(targets), max_size=4) if targets else numbers(width)
    form = draw(st.sampled_from(["none", "cells", "rows", "columns", "both", "odd"]))
    ask = Ask(only_empty=draw(st.booleans()), batch_rows=draw(st.integers(1, 4)))
    lists: dict[str, Any] = {}
    if form == "cells" and table.rows and targets:
        one = st.tuples(st.sampled_from(table.rows), st.sampled_from(targets))
        lists = {"cells": draw(st.lists(one, min_size=1, max_size=8))}
    elif form == "rows":
        lists = {"rows": draw(rows)}
    elif form == "columns":
        lists = {"columns": draw(columns)}
    elif form == "both":
        lists = {"rows": draw(rows), "columns": draw(columns)}
    elif form == "odd":
        cells = st.lists(st.tuples(st.integers(1, height + 1), st.integers(1, width + 1)))
        lists = {
            "cells": draw(st.none() | cells),
            "rows": draw(st.none() | numbers(height)),
            "columns": draw(st.none() | numbers(width)),
        }
    return table, Ask(**lists, only_empty=ask.only_empty, batch_rows=ask.batch_rows)


class Undo(Exception):
    """Ends an example's transaction without a trace."""


@pytest_asyncio.fixture
async def bench(module_database_url: str) -> AsyncGenerator[Bench]:
    async with open_bench(module_database_url) as opened:
        yield opened


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
async def test_a_task_takes_exactly_the_cells_that_the_rules_name(
    bench: Bench, case: tuple[Table, Ask]
) -> None:
    table, ask = case
    expected = expect(table, ask)
    with pytest.raises(Undo):
        async with bench.database.transaction() as tx:
            found = await take(tx, bench, table, ask)
            assert found == expected
            raise Undo


async def make_dataset(tx: Tx, bench: Bench, table: Table) -> Dataset:
    columns = [
        NewColumn(
            f"column {number}",
            DataType.TEXT,
            TaskType.NONE if kind == "none" else TaskType.ENRICHMENT,
            ColumnMetadata(read_only=kind == "read-only"),
        )
        for number, kind in enumerate(table.kinds, 1)
    ]
    new = NewDataset(DatasetType.ENRICHMENT, "table", columns=columns)
    dataset = await datasets.create_dataset(tx, bench.engine, bench.principal, new)
    rows = [
        {f"column {n}": value for n, value in enumerate(values, 1) if value is not None}
        for values in table.values
    ]
    if rows:
        await datasets.insert_rows(tx, bench.principal, dataset, rows, DatasetLimits())
    if table.deleted:
        gone = [f"{dataset.key}r{n}" for n in table.deleted]
        await datasets.delete_rows(tx, dataset, gone)
    return dataset


async def take(tx: Tx, bench: Bench, table: Table, ask: Ask) -> tuple[set[Cell], int] | None:
    """The cells that a task's batches load, and what it counts as skipped."""
    dataset = await make_dataset(tx, bench, table)
    key = dataset.key
    asked = SelectionRequest(
        None if ask.cells is None else [f"{key}r{r}c{c}" for r, c in ask.cells],
        None if ask.columns is None else [f"{key}c{c}" for c in ask.columns],
        None if ask.rows is None else [f"{key}r{r}" for r in ask.rows],
        ask.only_empty,
    )
    bench.operation.rows_per_batch = ask.batch_rows
    shop = Shop(bench.engine, bench.operations, TaskLimits())
    try:
        task = await service.create_bulk(
            tx, shop, bench.principal, dataset, asked=asked, terms=Terms()
        )
    except InvalidSelection:
        return None
    await plan_task(tx, bench.engine, bench.operations, task.task_id)
    planned = await repository.find_any_task(tx, task.task_id)
    setup = await load_setup(tx, task.task_id)
    assert planned is not None
    assert setup is not None
    cells: list[Cell] = []
    batches = await batch_rows.list_unfinished(tx, task.task_id)
    for batch in batches:
        loaded = await load_rows(tx, setup, batch.range)
        assert len(loaded) == batch.range.rows
        assert sum(len(row.wanted) for row in loaded) == batch.range.cells
        cells += [(row.row_no, number) for row in loaded for number in row.wanted]
    assert len(cells) == len(set(cells))
    assert planned.total == len(cells) + planned.counts.skipped
    assert (planned.status in OPEN_STATUSES) == bool(cells)
    return set(cells), planned.counts.skipped
