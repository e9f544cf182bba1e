"""What a batch needs to know, read in the transaction that claims it, or when an operation asks."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Row, TaskType
from gridmill.kit.ids import encode_row
from gridmill.operations.model import ExampleRow, RecordRef, RowInput, Verdict
from gridmill.storage.database import Database, Tx
from gridmill.tasks.plans import pick_wanted
from gridmill.tasks.repository import batches as batch_rows
from gridmill.tasks.repository import tasks as repository
from gridmill.tasks.repository.batches import BatchRange
from gridmill.tasks.setup import Setup, make_setup, to_examples, to_verdicts

TRAINING_ROWS = 5_000
VERDICTS = 2_000
READING_TYPES = frozenset({TaskType.EXTRACTION})
"""Columns whose operation reads what the row was made of."""


async def load_setup(tx: Tx, task_id: UUID) -> Setup | None:
    """What the batches of a planned task share; `None` when it or its dataset is gone."""
    task = await repository.find_any_task(tx, task_id)
    if task is None:
        return None
    dataset = await datasets.find_any_dataset(tx, task.dataset_id)
    if dataset is None:
        return None
    columns = await datasets.list_columns(tx, dataset)
    return make_setup(task, dataset, columns, await repository.find_plan(tx, task_id))


async def load_rows(tx: Tx, setup: Setup, batch: BatchRange) -> list[RowInput]:
    """The rows of a batch that have a cell to fill."""
    dataset, columns = setup.dataset, setup.columns
    listing: dict[int, list[int]] = {}
    if batch.listed:
        listing = dict(
            await batch_rows.read_selection(
                tx, setup.task.task_id, first=batch.first_row, last=batch.last_row
            )
        )
        rows = await datasets.read_rows(tx, dataset, columns, row_nos=list(listing))
    else:
        # Between the ends of a range there may be far more filled rows than empty ones.
        rows = await datasets.read_rows(
            tx,
            dataset,
            columns,
            first=batch.first_row,
            last=batch.last_row,
            empty_in=setup.fill if setup.only_empty else None,
        )
    names = {column.column_no: column.name for column in columns}
    records = await find_records(tx, setup, [row.row_no for row in rows])
    found: list[RowInput] = []
    for row in rows:
        wanted = pick_wanted(
            listing.get(row.row_no, ()), setup.targets, row.values, only_empty=setup.only_empty
        )
        if wanted:
            values = {names[number]: value for number, value in row.values.items()}
            row_id = encode_row(dataset.key, row.row_no)
            origin, features = records.get(row.row_no), list_features(row)
            found.append(RowInput(row.row_no, row_id, values, wanted, origin, features))
    return found


def list_features(row: Row) -> tuple[str, ...]:
    """The places on a map that a row's cells say they come from."""
    sources = (
        source
        for metadata in row.metadata.values()
        for source in metadata.get("sources") or ()
        if source.get("kind") == "map"
    )
    found = (source.get("featureId") for source in sources)
    return tuple(dict.fromkeys(feature for feature in found if feature))


async def find_records(tx: Tx, setup: Setup, row_nos: Sequence[int]) -> dict[int, RecordRef]:
    """What the rows were made of, where an operation asks for it."""
    if not any(column.task_type in READING_TYPES for column in setup.fill):
        return {}
    found = await datasets.find_records(tx, setup.dataset, row_nos)
    return {row_no: RecordRef(one.datasource_id, one.record) for row_no, one in found.items()}


def narrow_rows(rows: Sequence[RowInput], numbers: frozenset[int]) -> list[RowInput]:
    """The rows that want one of these columns, wanting just those."""
    found: list[RowInput] = []
    for row in rows:
        wanted = tuple(number for number in row.wanted if number in numbers)
        if wanted == row.wanted:
            found.append(row)
        elif wanted:
            found.append(replace(row, wanted=wanted))
    return found


class TrainingLoader:
    """`load_training`: rows in which one of `targets` is known, in a transaction of their own."""

    def __init__(self, database: Database, setup: Setup, targets: Sequence[Column]) -> None:
        self._database = database
        self._setup = setup
        self._targets = targets

    async def __call__(self) -> Sequence[ExampleRow]:
        """The rows, as operations see them."""
        setup = self._setup
        async with self._database.transaction(
            read_only=True, workspace_id=setup.task.workspace_id
        ) as tx:
            found = await datasets.read_filled(
                tx, setup.dataset, setup.columns, self._targets, limit=TRAINING_ROWS
            )
        return to_examples(setup.dataset, setup.columns, found)

    async def load_verdicts(self) -> Sequence[Verdict]:
        """`Batch.load_verdicts`: what people said of values that tasks wrote."""
        setup = self._setup
        async with self._database.transaction(
            read_only=True, workspace_id=setup.task.workspace_id
        ) as tx:
            found = await datasets.read_verdicts(tx, setup.dataset, self._targets, limit=VERDICTS)
        return to_verdicts(setup.dataset, setup.columns, found)
