"""What a task wrote, as a whole: the cells it failed at, and counts for its report."""

from collections.abc import Collection, Sequence
from uuid import UUID

from psycopg import sql

from gridmill.datasets.model import Column, Dataset
from gridmill.storage.database import Tx
from gridmill.storage.grids import table


async def list_failed_cells(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    task_id: UUID,
    *,
    except_codes: Collection[str],
    limit: int | None,
) -> list[tuple[int, int]]:
    """Cells (row and column number, by row) that still carry an error of this task."""
    number_of = {column.physical: column.column_no for column in columns}
    cursor = await tx.execute(
        sql.SQL(
            "SELECT DISTINCT h.row_no, h.physical FROM cell_history h "
            "JOIN {} g ON g.row_no = h.row_no WHERE h.kind = 'task' AND h.writer_id = %s "
            "AND h.dataset_id = %s AND h.physical = ANY(%s) "
            "AND h.metadata ->> 'status' = 'error' "
            "AND h.metadata #>> '{{error,code}}' <> ALL(%s) "
            "AND g.m -> h.physical::text ->> 'taskId' = %s "
            "AND g.m -> h.physical::text ->> 'status' = 'error' "
            "ORDER BY h.row_no, h.physical LIMIT %s"
        ).format(table(dataset.grid_no)),
        [
            task_id,
            dataset.dataset_id,
            list(number_of),
            list(except_codes),
            str(task_id),
            limit,
        ],
    )
    return [(row[0], number_of[row[1]]) for row in await cursor.fetchall()]


async def count_statuses(tx: Tx, task_id: UUID) -> list[tuple[str, str | None, int]]:
    """Cells that a task wrote by status and error code, most first."""
    cursor = await tx.execute(
        "SELECT metadata ->> 'status', metadata #>> '{error,code}', count(*) FROM cell_history "
        "WHERE kind = 'task' AND writer_id = %s AND action = 'write' GROUP BY 1, 2 ORDER BY 3 DESC",
        [task_id],
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def count_confidences(tx: Tx, task_id: UUID, bins: int) -> list[tuple[int, int, float]]:
    """Cells with a value by confidence: bin (from 0), cells, their sum of confidences."""
    cursor = await tx.execute(
        "SELECT least(floor(c * %s), %s - 1)::int AS bin, count(*), sum(c)::float8 FROM (SELECT "
        "(metadata ->> 'confidence')::float8 AS c FROM cell_history WHERE kind = 'task' "
        "AND writer_id = %s AND action = 'write' AND metadata ->> 'status' <> 'error' "
        "AND jsonb_typeof(metadata -> 'confidence') = 'number') w GROUP BY 1 ORDER BY 1",
        [bins, bins, task_id],
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]
