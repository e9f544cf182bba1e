"""Made-up rows: planned as stretches of a stream, for generation and when records have run out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Dataset
from gridmill.kit.values import DataType
from gridmill.operations.generation.service import seed_of
from gridmill.operations.generation.streams import Stretch, plan_stretches
from gridmill.storage.database import Tx
from gridmill.tasks.errors import InvalidTaskForDataset
from gridmill.tasks.plans import Ground, Plan, Sampled
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository.batches import BatchRange, order_rows
from gridmill.tasks.selection import is_target, list_targets

if TYPE_CHECKING:
    from gridmill.tasks.new_rows import Planner

_LOOKED_AT_ROWS = 1_000


class GenerationPlanner:
    """All rows are made up, batch after batch, so that a cancelled task leaves no gap in its stream."""

    async def count(self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int) -> int:
        """As many as are asked for; whether values run out shows when they are made."""
        if not columns:
            raise InvalidTaskForDataset(
                "The dataset has no columns, so there is nothing to make rows of; add some first."
            )
        named = dataset.config.get("rowsFrom")
        if named is not None and not await datasets.has_source_rows(tx, dataset, str(named)):
            raise InvalidTaskForDataset(
                "The data source that config.rowsFrom names is gone, is still being read, could not "
                "be read or has no rows; name another one."
            )
        return limit

    async def plan(self, tx: Tx, ground: Ground, limit: int) -> Plan:
        """Order the rows that follow what earlier tasks made of the stream."""
        limit = await self.count(tx, ground.dataset, ground.columns, limit)
        await datasets.check_quota(tx, ground.dataset.workspace_id, limit, ground.limits)
        targets = list_targets(ground.columns)
        batches = await order_stretches(tx, ground, limit, targets)
        return Plan(batches, targets, one_by_one=True)

    async def sample(
        self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int, size: int
    ) -> Sampled:
        """Rows that are there, as those will look that are made; texts with a prompt to be written."""
        return await _sample_made_up(tx, dataset, columns, limit, size, keep=())


class GeneratingPlanner:
    """Records that are left; then rows that are made up, and enriched like any other.

    Of a made-up row the task fills what it would be asked for (`choose_made`); the rest is made up.
    """

    def __init__(self, records: "Planner") -> None:
        self._records = records

    async def count(self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int) -> int:
        """As many as are asked for, when there is anything to go by."""
        records = await datasets.count_new_records(tx, dataset, limit)
        if records or await choose_made(tx, dataset, columns):
            return limit
        raise InvalidTaskForDataset(
            "There are no rows to go by and no records to take, and no column says by its type, "
            "options, examples, pattern or bounds what its values look like. Link a data source, "
            "insert a row, or describe a column."
        )

    async def plan(self, tx: Tx, ground: Ground, limit: int) -> Plan:
        """Take the records at once; order the rest."""
        plan = await self._records.plan(tx, ground, limit)
        missing = limit - plan.rows_created
        if not missing:
            return plan
        made = await choose_made(tx, ground.dataset, ground.columns)
        if not made:
            message = "Nothing tells what further rows would look like, so none were made up."
            return replace(plan, message=message)
        await datasets.check_quota(tx, ground.dataset.workspace_id, missing, ground.limits)
        batches = await order_stretches(tx, ground, missing, plan.targets)
        return replace(plan, batches=[*plan.batches, *batches], made=made)

    async def sample(
        self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int, size: int
    ) -> Sampled:
        """The first records that are left; where there are none, rows like those that are there."""
        found = await self._records.sample(tx, dataset, columns, limit, size)
        if found.rows:
            return replace(found, rows=limit)
        keep = await choose_made(tx, dataset, columns)
        return await _sample_made_up(tx, dataset, columns, limit, size, keep=keep)


async def order_stretches(
    tx: Tx, ground: Ground, rows: int, targets: Sequence[int]
) -> list[BatchRange]:
    """Batches that make `rows` rows: the places of the dataset's stream that no task has used."""
    task, config = ground.task, ground.dataset.config
    whole = Stretch(
        seed=config.get("seed", seed_of(task.task_id)),
        after=await batch_rows.count_made(tx, ground.dataset.dataset_id),
        first=1,
        last=rows,
        is_reviewed=not ground.kept.get("askedForGenerated", True),
    )
    return [
        order_rows([part.to_json()], part.rows, len(ground.columns))
        for part in plan_stretches(whole, ground.choose_batch_rows(targets))
    ]


async def choose_made(tx: Tx, dataset: Dataset, columns: Sequence[Column]) -> tuple[int, ...]:
    """The columns of an enrichment dataset that are made up in rows of nothing, by number.

    Those that no task fills, and those without a prompt of which values are known. Where that is
    none, all of which values are known; in an empty dataset those that say what values look like.
    """
    rows = await datasets.read_real(tx, dataset, columns, _LOOKED_AT_ROWS)
    known = {number for one in rows for number, value in one.row.values.items() if value}
    base = [c for c in columns if not is_target(c) or not c.metadata.prompt]
    for group in (base, columns):
        if found := tuple(column.column_no for column in group if column.column_no in known):
            return found
    return tuple(column.column_no for column in base if _says_what_it_holds(column))


def _says_what_it_holds(column: Column) -> bool:
    said = column.metadata
    is_typed = column.data_type not in {DataType.TEXT, DataType.JSON, DataType.ENUM}
    bounds = (said.minimum, said.maximum)
    return (
        is_typed
        or bool(said.options or said.examples or said.pattern)
        or any(bound is not None for bound in bounds)
    )


async def _sample_made_up(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    limit: int,
    size: int,
    *,
    keep: Sequence[int],
) -> Sampled:
    rows = await datasets.read_real(tx, dataset, columns, min(size, limit))
    nothing = {column.column_no: None for column in columns}
    hidden = {c.column_no for c in columns if c.metadata.prompt and c.column_no not in keep}
    values = [
        {number: None if number in hidden else value for number, value in one.row.values.items()}
        for one in rows
    ]
    sample = values or [nothing]
    return Sampled(limit, sample, [None] * len(sample))
