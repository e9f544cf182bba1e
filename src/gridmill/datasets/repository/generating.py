"""Rows that made-up ones follow, and what made-up rows must not repeat."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import sql

from gridmill.datasets.model import Column, Dataset
from gridmill.storage.database import Tx
from gridmill.storage.grids import column, table

# A fixed shuffle of row numbers (Knuth's multiplicative hash), as for rows to learn from.
_SHUFFLED = sql.SQL("(g.row_no * 2654435761) & 4294967295")

# Rows that tasks made of no record: made up. As a multirange, which is searched and not walked.
_MADE_UP = sql.SQL(
    "coalesce((SELECT range_agg(int8range(first_row, last_row, '[]')) FROM dataset_row_origins "
    "WHERE dataset_id = %s AND kind = 'task' AND datasource_id IS NULL), '{}')"
)
# A task's rows are the last ones: while it runs nobody else adds any.
_BEFORE_TASK = sql.SQL(
    "coalesce((SELECT min(first_row) FROM dataset_row_origins WHERE dataset_id = %s "
    "AND kind = 'task' AND writer_id = %s), 9223372036854775807)"
)

_HAS_MADE_UP_CELL = sql.SQL(
    "(g.m IS NOT NULL AND g.m @? "
    """'$.* ? (@.operation == "ai_generation" && !exists(@.approved))')"""
)


async def sample_real(tx: Tx, dataset: Dataset, limit: int) -> list[int]:
    """Up to `limit` numbers of rows that were not made up, spread evenly, the same every time.

    Rows in which no cell was made up come first.
    """
    cursor = await tx.execute(
        sql.SQL(
            "SELECT g.row_no FROM {} g WHERE NOT g.row_no <@ {} ORDER BY {}, {} LIMIT %s"
        ).format(table(dataset.grid_no), _MADE_UP, _HAS_MADE_UP_CELL, _SHUFFLED),
        [dataset.dataset_id, limit],
    )
    return [row[0] for row in await cursor.fetchall()]


async def list_last_real(tx: Tx, dataset: Dataset, limit: int) -> list[int]:
    """The last `limit` rows that were not made up: where counters have come to."""
    cursor = await tx.execute(
        sql.SQL(
            "SELECT g.row_no FROM {} g WHERE NOT g.row_no <@ {} ORDER BY g.row_no DESC LIMIT %s"
        ).format(table(dataset.grid_no), _MADE_UP),
        [dataset.dataset_id, limit],
    )
    return [row[0] for row in await cursor.fetchall()]


async def list_made_by(tx: Tx, dataset: Dataset, task_id: UUID, limit: int) -> list[int]:
    """Up to `limit` numbers of rows that a task made, spread evenly, the same every time."""
    cursor = await tx.execute(
        sql.SQL(
            "SELECT g.row_no FROM {} g JOIN dataset_row_origins o "
            "ON g.row_no BETWEEN o.first_row AND o.last_row "
            "WHERE o.dataset_id = %s AND o.kind = 'task' AND o.writer_id = %s "
            "AND o.datasource_id IS NULL ORDER BY {} LIMIT %s"
        ).format(table(dataset.grid_no), _SHUFFLED),
        [dataset.dataset_id, task_id, limit],
    )
    return [row[0] for row in await cursor.fetchall()]


async def find_taken_values(
    tx: Tx, dataset: Dataset, key: Column, texts: Sequence[str], task_id: UUID
) -> set[str]:
    """Which of `texts` the column holds, in rows that this task did not make."""
    cursor = await tx.execute(
        sql.SQL(
            "SELECT DISTINCT {0} FROM {1} g WHERE {0} = ANY(%s::text[]) AND g.row_no < {2}"
        ).format(column(key.physical, "g"), table(dataset.grid_no), _BEFORE_TASK),
        [list(texts), dataset.dataset_id, task_id],
    )
    return {row[0] for row in await cursor.fetchall()}


async def find_copies(
    tx: Tx, dataset: Dataset, columns: Sequence[Column], rows: Sequence[Sequence[str | None]]
) -> set[int]:
    """The places of rows (values in the order of `columns`) that equal a row which is not made up."""
    names = [sql.Identifier(f"v{place}") for place in range(len(columns))]
    cursor = await tx.execute(
        sql.SQL(
            "SELECT DISTINCT w.n FROM unnest(%s::int[], {arrays}) AS w (n, {names}) "
            "JOIN {grid} g ON {same} WHERE NOT g.row_no <@ {made}"
        ).format(
            arrays=sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(columns)),
            names=sql.SQL(", ").join(names),
            grid=table(dataset.grid_no),
            # Coalesced, because PostgreSQL joins by hash where both sides are compared by `=`.
            same=sql.SQL(" AND ").join(
                [
                    sql.SQL("coalesce({}, '') = coalesce(w.{}, '')").format(
                        column(target.physical, "g"), name
                    )
                    for target, name in zip(columns, names, strict=True)
                ]
            ),
            made=_MADE_UP,
        ),
        [
            list(range(len(rows))),
            *([row[place] for row in rows] for place in range(len(columns))),
            dataset.dataset_id,
        ],
    )
    return {int(row[0]) for row in await cursor.fetchall()}
