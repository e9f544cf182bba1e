"""Links to data sources and where rows came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gridmill.datasets.model import Writer
from gridmill.storage.database import Tx


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A linked data source and the first of its records that was not taken yet."""

    datasource_id: UUID
    next_record: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Rows that were made together, by whom."""

    first_row: int
    last_row: int
    writer: Writer
    datasource_id: UUID | None = None
    first_record: int | None = None


async def insert_links(tx: Tx, dataset_id: UUID, datasource_ids: Sequence[UUID]) -> None:
    """Link data sources after those that are linked; known ones stay as they are."""
    await tx.execute(
        "INSERT INTO dataset_sources (dataset_id, datasource_id, position) "
        "SELECT %s, s.id, s.n + coalesce((SELECT max(position) FROM dataset_sources "
        "WHERE dataset_id = %s), 0) FROM unnest(%s::uuid[]) WITH ORDINALITY AS s (id, n) "
        "ON CONFLICT DO NOTHING",
        [dataset_id, dataset_id, list(datasource_ids)],
    )


async def list_links(tx: Tx, dataset_id: UUID, *, hold: bool = True) -> list[SourceLink]:
    """A dataset's links in order; with `hold`, held until the transaction ends."""
    plain = (
        "SELECT datasource_id, next_record FROM dataset_sources WHERE dataset_id = %s "
        "ORDER BY position"
    )
    cursor = await tx.execute(plain + " FOR UPDATE" if hold else plain, [dataset_id])
    return [SourceLink(row[0], row[1]) for row in await cursor.fetchall()]


async def advance_link(tx: Tx, dataset_id: UUID, datasource_id: UUID, next_record: int) -> None:
    """Remember that the records before `next_record` were taken."""
    await tx.execute(
        "UPDATE dataset_sources SET next_record = %s WHERE dataset_id = %s AND datasource_id = %s",
        [next_record, dataset_id, datasource_id],
    )


async def insert_origin(tx: Tx, dataset_id: UUID, origin: Origin) -> None:
    """Remember who made a range of rows."""
    await tx.execute(
        "INSERT INTO dataset_row_origins (dataset_id, first_row, last_row, kind, writer_id, "
        "datasource_id, first_record) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [
            dataset_id,
            origin.first_row,
            origin.last_row,
            origin.writer.kind,
            origin.writer.id,
            origin.datasource_id,
            origin.first_record,
        ],
    )


async def list_task_ranges(tx: Tx, dataset_id: UUID, task_id: UUID) -> list[tuple[int, int]]:
    """The ranges of rows that a task made."""
    cursor = await tx.execute(
        "SELECT first_row, last_row FROM dataset_row_origins "
        "WHERE dataset_id = %s AND kind = 'task' AND writer_id = %s ORDER BY first_row",
        [dataset_id, task_id],
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]
