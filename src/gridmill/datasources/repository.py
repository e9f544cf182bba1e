"""All SQL of the room."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from gridmill.datasources.model import (
    DataSource,
    LinkedDataset,
    SourceColumn,
    SourceError,
    SourceStatus,
)
from gridmill.datasources.parsing.model import Format, ParseOptions
from gridmill.kit.values import DataType
from gridmill.storage.database import Tx

_SELECT = sql.SQL(
    "SELECT s.datasource_id, s.workspace_id, s.file_name, s.content_type, s.file_size, s.file_id, "
    "s.options, s.status, s.error, s.grid_no, s.columns, s.page_count, s.uploaded_at, "
    "s.processed_at, g.row_count, g.next_physical - 1 FROM datasources s LEFT JOIN grids g ON g.grid_no = s.grid_no "
)


def _to_source(row: Sequence[Any]) -> DataSource:
    options: dict[str, Any] = row[6]
    error: dict[str, str] | None = row[8]
    columns: list[dict[str, str]] = row[10]
    return DataSource(
        datasource_id=row[0],
        workspace_id=row[1],
        file_name=row[2],
        content_type=Format(row[3]),
        file_size=row[4],
        file_id=row[5],
        options=ParseOptions(
            options.get("encoding"),
            options.get("delimiter"),
            options.get("header"),
            options.get("sheet"),
        ),
        status=SourceStatus(row[7]),
        error=None if error is None else SourceError(error["code"], error["message"]),
        grid_no=row[9],
        columns=tuple(SourceColumn(c["name"], DataType(c["dataType"])) for c in columns),
        page_count=row[11],
        uploaded_at=row[12],
        processed_at=row[13],
        row_count=row[14],
        has_layout=(row[15] or 0) > len(columns),
    )


async def insert_source(tx: Tx, source: DataSource, webhook_id: UUID | None) -> None:
    """Store a new source, still to be processed; `webhook_id` is told of it."""
    options = {
        "encoding": source.options.encoding,
        "delimiter": source.options.delimiter,
        "header": source.options.header,
        "sheet": source.options.sheet,
    }
    await tx.execute(
        "INSERT INTO datasources (datasource_id, workspace_id, file_name, content_type, file_size, "
        "file_id, options, status, uploaded_at, webhook_id) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            source.datasource_id,
            source.workspace_id,
            source.file_name,
            source.content_type.value,
            source.file_size,
            source.file_id,
            Jsonb(options),
            source.status.value,
            source.uploaded_at,
            webhook_id,
        ),
    )


async def find_source(tx: Tx, workspace_id: UUID, datasource_id: UUID) -> DataSource | None:
    """The source, when it is of the workspace."""
    cursor = await tx.execute(
        _SELECT + sql.SQL("WHERE s.workspace_id = %s AND s.datasource_id = %s"),
        (workspace_id, datasource_id),
    )
    row = await cursor.fetchone()
    return None if row is None else _to_source(row)


async def find_sources(
    tx: Tx, workspace_id: UUID, datasource_ids: Sequence[UUID]
) -> list[DataSource]:
    """The sources of the workspace, in the order of the ids."""
    cursor = await tx.execute(
        _SELECT
        + sql.SQL(
            "JOIN unnest(%s::uuid[]) WITH ORDINALITY AS w (id, n) ON w.id = s.datasource_id "
            "WHERE s.workspace_id = %s ORDER BY w.n"
        ),
        (list(datasource_ids), workspace_id),
    )
    return [_to_source(row) for row in await cursor.fetchall()]


async def find_unprocessed(
    tx: Tx, datasource_id: UUID, *, for_update: bool = False
) -> DataSource | None:
    """The source of any workspace, while it waits for its job; held when `for_update`."""
    lock = sql.SQL(" FOR UPDATE OF s" if for_update else "")
    cursor = await tx.execute(
        _SELECT + sql.SQL("WHERE s.datasource_id = %s AND s.status = 'processing'") + lock,
        (datasource_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else _to_source(row)


async def find_told(tx: Tx, datasource_id: UUID) -> tuple[DataSource, UUID | None] | None:
    """The source of any workspace, and the webhook that its upload named."""
    cursor = await tx.execute(_SELECT + sql.SQL("WHERE s.datasource_id = %s"), (datasource_id,))
    row = await cursor.fetchone()
    if row is None:
        return None
    named = await tx.execute(
        "SELECT webhook_id FROM datasources WHERE datasource_id = %s", (datasource_id,)
    )
    webhook = await named.fetchone()
    return _to_source(row), None if webhook is None else webhook[0]


async def hold_source(tx: Tx, workspace_id: UUID, datasource_id: UUID) -> DataSource | None:
    """The source, held until the transaction ends: no job completes it, nobody links it."""
    cursor = await tx.execute(
        _SELECT + sql.SQL("WHERE s.workspace_id = %s AND s.datasource_id = %s FOR UPDATE OF s"),
        (workspace_id, datasource_id),
    )
    row = await cursor.fetchone()
    return None if row is None else _to_source(row)


async def list_sources(
    tx: Tx,
    workspace_id: UUID,
    *,
    status: SourceStatus | None,
    content_type: str | None,
    before: UUID | None,
    offset: int,
    limit: int,
) -> list[DataSource]:
    """Sources newest first: `limit` of them after `offset`, all older than `before`."""
    cursor = await tx.execute(
        _SELECT
        + sql.SQL(
            "WHERE s.workspace_id = %(workspace)s "
            "AND (%(status)s::text IS NULL OR s.status = %(status)s) "
            "AND (%(type)s::text IS NULL OR s.content_type = %(type)s) "
            "AND (%(before)s::uuid IS NULL OR s.datasource_id < %(before)s) "
            "ORDER BY s.datasource_id DESC OFFSET %(offset)s LIMIT %(limit)s"
        ),
        {
            "workspace": workspace_id,
            "status": status,
            "type": content_type,
            "before": before,
            "offset": offset,
            "limit": limit,
        },
    )
    return [_to_source(row) for row in await cursor.fetchall()]


async def count_sources(
    tx: Tx, workspace_id: UUID, *, status: SourceStatus | None, content_type: str | None
) -> int:
    """How many sources a list has in all."""
    cursor = await tx.execute(
        "SELECT count(*) FROM datasources WHERE workspace_id = %(workspace)s "
        "AND (%(status)s::text IS NULL OR status = %(status)s) "
        "AND (%(type)s::text IS NULL OR content_type = %(type)s)",
        {"workspace": workspace_id, "status": status, "type": content_type},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def complete_source(
    tx: Tx,
    datasource_id: UUID,
    grid_no: int,
    columns: Sequence[SourceColumn],
    page_count: int | None,
) -> None:
    """Say that the source was read into a grid."""
    wire = [{"name": column.name, "dataType": column.data_type.value} for column in columns]
    await tx.execute(
        "UPDATE datasources SET status = 'completed', grid_no = %s, columns = %s, page_count = %s, "
        "processed_at = now() WHERE datasource_id = %s",
        (grid_no, Jsonb(wire), page_count, datasource_id),
    )


async def fail_source(tx: Tx, datasource_id: UUID, error: SourceError) -> bool:
    """Say why the source could not be read, unless it was processed meanwhile."""
    cursor = await tx.execute(
        "UPDATE datasources SET status = 'failed', error = %s, processed_at = now() "
        "WHERE datasource_id = %s AND status = 'processing'",
        (Jsonb({"code": error.code, "message": error.message}), datasource_id),
    )
    return cursor.rowcount == 1


async def list_linked_datasets(
    tx: Tx, datasource_id: UUID, *, hold: bool = False
) -> list[LinkedDataset]:
    """Datasets linked to the source; with `hold` no task or import can take one meanwhile."""
    lock = sql.SQL(" FOR SHARE OF d" if hold else "")
    cursor = await tx.execute(
        sql.SQL(
            "SELECT d.dataset_id, d.name, d.active_task_id, d.status = 'processing' FROM dataset_sources l "
            "JOIN datasets d ON d.dataset_id = l.dataset_id WHERE l.datasource_id = %s "
            "ORDER BY d.dataset_id"
        )
        + lock,
        (datasource_id,),
    )
    return [LinkedDataset(*row) for row in await cursor.fetchall()]


async def delete_source(tx: Tx, datasource_id: UUID) -> None:
    """Delete the source and the links to it; its grid and file are their owners' to remove."""
    await tx.execute("DELETE FROM dataset_sources WHERE datasource_id = %s", (datasource_id,))
    await tx.execute("DELETE FROM datasources WHERE datasource_id = %s", (datasource_id,))


async def sum_bytes(tx: Tx, workspace_id: UUID) -> int:
    """Bytes of the files of all sources of a workspace."""
    cursor = await tx.execute(
        "SELECT coalesce(sum(file_size), 0)::bigint FROM datasources WHERE workspace_id = %s",
        (workspace_id,),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def has_passages(tx: Tx, datasource_id: UUID) -> bool:
    """Whether the source was cut into passages."""
    cursor = await tx.execute(
        "SELECT 1 FROM datasource_passages WHERE datasource_id = %s LIMIT 1", (datasource_id,)
    )
    return await cursor.fetchone() is not None


async def insert_passages(
    tx: Tx, datasource_id: UUID, passages: Sequence[tuple[int, int, str]]
) -> None:
    """Store passages as (page, start, text); those that are there already stay."""
    await tx.execute(
        "INSERT INTO datasource_passages (datasource_id, page, start, text) "
        "SELECT %s, p.* FROM unnest(%s::bigint[], %s::int[], %s::text[]) p ON CONFLICT DO NOTHING",
        (
            datasource_id,
            [page for page, _, _ in passages],
            [start for _, start, _ in passages],
            [text for _, _, text in passages],
        ),
    )


# Of a question's words the rarest decide, and there are few of them: a word that every passage has
# would bring them all and say nothing. A lexeme with a quote in it would have to be escaped as a
# query; there is hardly one, and it is left out.
_SEARCH = r"""
    WITH asked AS (
        SELECT DISTINCT ('''' || lexeme || '''')::tsquery AS test
          FROM unnest(to_tsvector('pg_catalog.simple', %(question)s::text)
                      || to_tsvector('pg_catalog.english', %(question)s::text))
         WHERE lexeme !~ '[''\\]'
    ), size AS (
        SELECT count(*)::float8 AS passages FROM datasource_passages
         WHERE datasource_id = ANY(%(sources)s)
    ), weighed AS (
        SELECT test, ln((passages + 1) / (hits + 0.5)) AS weight
          FROM size, (SELECT test, (SELECT count(*) FROM datasource_passages p
                                     WHERE p.words @@ test AND p.datasource_id = ANY(%(sources)s))
                             AS hits FROM asked) counted
         WHERE hits > 0 ORDER BY hits LIMIT %(words)s
    )
    SELECT p.datasource_id, s.file_name, p.page, p.start, p.text, sum(w.weight)::float8 AS score
      FROM weighed w JOIN datasource_passages p
           ON p.words @@ w.test AND p.datasource_id = ANY(%(sources)s)
      JOIN datasources s ON s.datasource_id = p.datasource_id AND s.workspace_id = %(workspace)s
     GROUP BY p.datasource_id, s.file_name, p.page, p.start, p.text
     ORDER BY score DESC, p.datasource_id, p.page, p.start LIMIT %(limit)s
"""
_WORDS = 24


async def search_passages(
    tx: Tx, workspace_id: UUID, datasource_ids: Sequence[UUID], question: str, limit: int
) -> list[tuple[UUID, str, int, int, str, float]]:
    """Passages by how rare the words are that they share with the question, best first."""
    cursor = await tx.execute(
        _SEARCH,
        {
            "question": question,
            "sources": list(datasource_ids),
            "workspace": workspace_id,
            "words": _WORDS,
            "limit": limit,
        },
    )
    return [(r[0], r[1], r[2], r[3], r[4], r[5]) for r in await cursor.fetchall()]
