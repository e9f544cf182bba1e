"""What maps read: the places that a dataset holds, and tables that places may come from."""

from collections.abc import Sequence
from uuid import UUID

from gridmill.datasets import service as datasets
from gridmill.datasources import service as datasources
from gridmill.datasources.locating import Box
from gridmill.kit.ids import encode_row
from gridmill.operations.model import Atlas, RowInput, SourceRecords
from gridmill.storage.database import Database
from gridmill.tasks.loading import list_features
from gridmill.tasks.setup import Setup

ATLAS_ROWS = 200_000
SOURCE_RECORDS = 200_000
"""Rows of a dataset of places, and records of a table, that are looked at together."""

_PAGE_ROWS = 5_000


def make_atlas(database: Database, setup: Setup) -> Atlas:
    """What a dataset of places holds, and its tables; each read in transactions of its own."""
    workspace_id, dataset = setup.task.workspace_id, setup.dataset
    names = {column.column_no: column.name for column in setup.columns}

    async def load_rows() -> list[RowInput]:
        found: list[RowInput] = []
        first = 1
        while len(found) < ATLAS_ROWS:
            async with database.transaction(read_only=True, workspace_id=workspace_id) as tx:
                rows = await datasets.read_rows(
                    tx, dataset, setup.columns, first=first, limit=_PAGE_ROWS
                )
            for row in rows:
                values = {names[number]: value for number, value in row.values.items()}
                row_id = encode_row(dataset.key, row.row_no)
                found.append(RowInput(row.row_no, row_id, values, (), None, list_features(row)))
            if len(rows) < _PAGE_ROWS:
                break
            first = rows[-1].row_no + 1
        return found

    async def load_records(datasource_id: UUID, boxes: Sequence[Box]) -> SourceRecords | None:
        async with database.transaction(read_only=True, workspace_id=workspace_id) as tx:
            source = await datasources.find_datasource(tx, workspace_id, datasource_id)
            if source is None:
                return None
            found = await datasources.read_positions(tx, source, boxes, SOURCE_RECORDS)
        if found is None:
            return None
        columns = [column.name for column in source.columns]
        return SourceRecords(source.file_name, columns, found.rows, found.box, found.is_cut)

    return Atlas(load_rows, load_records)
