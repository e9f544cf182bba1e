"""New rows of a map: places inside its boundary."""

from collections.abc import Sequence

from gridmill.datasets.model import Column, Dataset, TaskType
from gridmill.storage.database import Tx
from gridmill.tasks.errors import InvalidTaskForDataset
from gridmill.tasks.plans import Ground, Plan, Sampled
from gridmill.tasks.repository.batches import order_rows
from gridmill.tasks.selection import is_target, list_targets

PLACES_PER_BATCH = 500


class PlacesPlanner:
    """Places inside the boundary of the dataset's config are ordered, some at a time.

    How many there are is found when they are made: a batch sees what the ones before it made.
    """

    async def count(self, tx: Tx, dataset: Dataset, columns: Sequence[Column], limit: int) -> int:  # noqa: ARG002 (the protocol's)
        """As many as were asked for; none are known yet."""
        if not dataset.config.get("boundary"):
            raise InvalidTaskForDataset(
                "The dataset's config has no boundary to look for places in: PATCH config.boundary."
            )
        if not any(is_target(column) and column.task_type is TaskType.MAP for column in columns):
            raise InvalidTaskForDataset(
                "The dataset has no column for what is known of a place: add name, latitude, "
                "longitude or others with taskType map_extraction."
            )
        return limit

    async def plan(self, tx: Tx, ground: Ground, limit: int) -> Plan:  # noqa: ARG002 (the protocol's)
        """Order the places, one batch after another."""
        targets = list_targets(ground.columns)
        sizes = [min(PLACES_PER_BATCH, limit - at) for at in range(0, limit, PLACES_PER_BATCH)]
        batches = [order_rows([{"rows": size}], size, len(targets)) for size in sizes]
        return Plan(batches, targets, one_by_one=True)

    async def sample(
        self,
        tx: Tx,  # noqa: ARG002 (the protocol's)
        dataset: Dataset,  # noqa: ARG002
        columns: Sequence[Column],
        limit: int,
        size: int,
    ) -> Sampled:
        """Rows of which nothing is known yet."""
        shown = min(limit, size)
        empty = {column.column_no: None for column in columns}
        return Sampled(limit, [empty] * shown, [None] * shown)
