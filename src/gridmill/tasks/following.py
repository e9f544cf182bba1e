"""The rows that made-up ones follow, and what they must not repeat, read when a maker asks."""

from collections.abc import Collection, Sequence

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, DatasetType
from gridmill.kit.ids import parse_uuid
from gridmill.operations.model import ExampleRow
from gridmill.storage.database import Database
from gridmill.tasks.loading import TrainingLoader
from gridmill.tasks.setup import Setup, to_examples

FOLLOWED_ROWS = 20_000


class FollowedLoader:
    """`load_training` of rows that are made up: real rows, or those of the source that is named."""

    def __init__(self, database: Database, setup: Setup) -> None:
        self._database = database
        self._setup = setup

    async def __call__(self) -> Sequence[ExampleRow]:
        """The rows, as operations see them."""
        setup = self._setup
        dataset, columns = setup.dataset, setup.columns
        named = parse_uuid(str(dataset.config.get("rowsFrom", "")))
        async with self._database.transaction(
            read_only=True, workspace_id=setup.task.workspace_id
        ) as tx:
            if named is None:
                found = await datasets.read_real(tx, dataset, columns, FOLLOWED_ROWS)
            else:
                found = await datasets.read_source_rows(tx, dataset, columns, named, FOLLOWED_ROWS)
        return to_examples(dataset, columns, found)


class TakenFinder:
    """`find_taken`: asked of the dataset's rows but those of the task itself."""

    def __init__(self, database: Database, setup: Setup) -> None:
        self._database = database
        self._setup = setup

    async def __call__(
        self, rows: Sequence[Sequence[str | None]], keys: Sequence[int]
    ) -> Collection[int]:
        """The places of rows that cannot be added."""
        setup = self._setup
        async with self._database.transaction(
            read_only=True, workspace_id=setup.task.workspace_id
        ) as tx:
            return await datasets.find_taken(
                tx,
                setup.dataset,
                setup.columns,
                rows,
                keys=[setup.columns[place] for place in keys],
                task_id=setup.task.task_id,
            )


def make_loader(
    database: Database, setup: Setup, wanted: Sequence[Column]
) -> FollowedLoader | TrainingLoader:
    """What a maker learns from: for rows that are made up whole rows, else what `wanted` holds."""
    if setup.dataset.type in {DatasetType.ENRICHMENT, DatasetType.GENERATION}:
        return FollowedLoader(database, setup)
    return TrainingLoader(database, setup, wanted)
