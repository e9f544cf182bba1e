"""New rows: what they are made of, for each type of dataset.

A planner either takes rows at once (records of tables) or orders them: batches with items, of which
the dataset's maker makes rows when they run (`making`).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Protocol

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Dataset, DatasetType, Writer
from gridmill.storage.database import Tx
from gridmill.tasks.documents import DocumentsPlanner
from gridmill.tasks.errors import InvalidTaskForDataset
from gridmill.tasks.made_up_rows import GeneratingPlanner, GenerationPlanner
from gridmill.tasks.model import Operations
from gridmill.tasks.places import PlacesPlanner
from gridmill.tasks.plans import Ground, Plan, Sampled, plan_selection
from gridmill.tasks.selection import Selection, list_targets


class Planner(Protocol):
    """How the new rows of a type of dataset are planned. Every count is up to `limit`."""

    async def count(self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int) -> int:
        """How many rows can be made: never too many, and as near as a request has time for.

        Raises:
            InvalidTaskForDataset: none; says what is missing.
        """
        ...

    async def plan(self, tx: Tx, ground: Ground, limit: int) -> Plan:
        """Take or order the rows.

        Raises (the transaction must then write nothing):
            RowQuotaExceeded: they are more than the workspace may hold.
            ValueMismatch: a record does not fit the dataset's columns.
        """
        ...

    async def sample(
        self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int, size: int
    ) -> Sampled:
        """What `plan` would make, with up to `size` rows; nothing is held or taken."""
        ...


class RecordsPlanner:
    """Records of linked tables that are not in the dataset yet become rows at once."""

    async def count(self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int) -> int:  # noqa: ARG002 (the protocol's)
        """How many records are left."""
        total = await datasets.count_new_records(tx, dataset, limit)
        if not total:
            raise InvalidTaskForDataset(
                "No linked table source has records that are not in the dataset yet, "
                "and rows may not be made up; link another data source."
            )
        return total

    async def plan(self, tx: Tx, ground: Ground, limit: int) -> Plan:
        """Take the records, and plan to fill the cells that they leave empty."""
        task, dataset, columns = ground.task, ground.dataset, ground.columns
        # Other datasets of the workspace may have grown since the task was made.
        limit = await datasets.count_new_records(tx, dataset, limit)
        await datasets.check_quota(tx, dataset.workspace_id, limit, ground.limits)
        writer = Writer("task", task.task_id)
        made = await datasets.take_new_records(tx, dataset, columns, limit, writer)
        row_nos = tuple(chain.from_iterable(range(first, last + 1) for first, last in made))
        targets = list_targets(columns)
        selection = Selection(targets, only_empty=True, counts_filled=False, row_nos=row_nos)
        size = ground.choose_batch_rows(targets)
        plan = await plan_selection(tx, dataset, columns, selection, size)
        working = sum(batch.rows for batch in plan.batches)
        return replace(
            plan,
            # The new rows are the last ones: a range holds no others, so nothing need be listed.
            batches=[replace(batch, listed=False) for batch in plan.batches],
            completed=len(row_nos) - working,
            rows_created=len(row_nos),
        )

    async def sample(
        self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int, size: int
    ) -> Sampled:
        """The first records that are left."""
        total, values = await datasets.peek_new_records(tx, dataset, columns, min(size, limit))
        return Sampled(min(total, limit), values, [None] * len(values))


PLANNERS: dict[DatasetType, Planner] = {
    DatasetType.ENRICHMENT: RecordsPlanner(),
    DatasetType.EXTRACTION: DocumentsPlanner(),
    DatasetType.GENERATION: GenerationPlanner(),
    DatasetType.MAP: PlacesPlanner(),
}


def find_planner(operations: Operations, dataset: Dataset, *, may_generate: bool = True) -> Planner:
    """The planner of the dataset's type; `may_generate` admits made-up rows after the records.

    Raises:
        InvalidTaskForDataset: rows of this type cannot be made here.
    """
    if dataset.type is DatasetType.BLANK:
        raise InvalidTaskForDataset("A blank dataset has nothing to make rows from.")
    planner = PLANNERS.get(dataset.type)
    is_made_here = dataset.type is DatasetType.ENRICHMENT or dataset.type in operations.makers
    if planner is None or not is_made_here:
        raise InvalidTaskForDataset(
            f"This server cannot make rows for {dataset.type.value} datasets."
        )
    if (
        dataset.type is DatasetType.ENRICHMENT
        and may_generate
        and dataset.type in operations.makers
    ):
        return GeneratingPlanner(planner)
    return planner
