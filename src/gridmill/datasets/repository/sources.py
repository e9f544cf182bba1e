"""Links to data sources and where rows came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gridmill.datasets.model import SourceRecord, Writer
from gridmill.storage.database import Tx


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A linked data source and the first of its records that was not taken yet."""

    datasource_id: UUID
    next_record: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Rows that were made together, by whom.

    Of records of a data source: the first row is of `first_record`, and each one after it of the
    next record; 0 is a document as a whole, which makes one row.
    """

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


async def insert_origins(tx: Tx, dataset_id: UUID, origins: Sequence[Origin]) -> None:
    """Remember who made ranges of rows."""
    await tx.execute(
        "INSERT INTO dataset_row_origins (dataset_id, first_row, last_row, kind, writer_id, "
        "datasource_id, first_record) SELECT %s, o.* FROM unnest(%s::bigint[], %s::bigint[], "
        "%s::text[], %s::uuid[], %s::uuid[], %s::bigint[]) o",
        [
            dataset_id,
            [origin.first_row for origin in origins],
            [origin.last_row for origin in origins],
            [origin.writer.kind for origin in origins],
            [origin.writer.id for origin in origins],
            [origin.datasource_id for origin in origins],
            [origin.first_record for origin in origins],
        ],
    )


async def find_records(tx: Tx, dataset_id: UUID, row_nos: Sequence[int]) -> dict[int, SourceRecord]:
    """The records that rows were made of, by row number; rows made otherwise are left out."""
    cursor = await tx.execute(
        "SELECT w.row_no, o.datasource_id, CASE WHEN o.first_record = 0 THEN 0 "
        "ELSE o.first_record + w.row_no - o.first_row END FROM unnest(%s::bigint[]) AS w (row_no) "
        "CROSS JOIN LATERAL (SELECT first_row, last_row, datasource_id, first_record "
        "FROM dataset_row_origins WHERE dataset_id = %s AND first_row <= w.row_no "
        "ORDER BY first_row DESC LIMIT 1) o WHERE o.last_row >= w.row_no "
        "AND o.datasource_id IS NOT NULL AND o.first_record IS NOT NULL",
        [list(row_nos), dataset_id],
    )
    return {row[0]: SourceRecord(row[1], int(row[2])) for row in await cursor.fetchall()}


async def list_taken(tx: Tx, dataset_id: UUID) -> list[tuple[UUID, int, int]]:
    """Records that rows were made of: source, first and last record of each range.

    Rows that were deleted count, those of a task that was reverted do not.
    """
    cursor = await tx.execute(
        "SELECT o.datasource_id, o.first_record, "
        "o.first_record + o.last_row - o.first_row FROM dataset_row_origins o "
        "LEFT JOIN tasks t ON o.kind = 'task' AND t.task_id = o.writer_id "
        "WHERE o.dataset_id = %s AND o.datasource_id IS NOT NULL AND o.first_record IS NOT NULL "
        "AND t.reverted_at IS NULL",
        [dataset_id],
    )
    return [(row[0], int(row[1]), int(row[2])) for row in await cursor.fetchall()]


async def list_task_ranges(tx: Tx, dataset_id: UUID, task_id: UUID) -> list[tuple[int, int]]:
    """The ranges of rows that a task made."""
    cursor = await tx.execute(
        "SELECT first_row, last_row FROM dataset_row_origins "
        "WHERE dataset_id = %s AND kind = 'task' AND writer_id = %s ORDER BY first_row",
        [dataset_id, task_id],
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]
