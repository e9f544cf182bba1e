"""Rows to learn from: cells that a person or an import wrote, or that a person approved."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from gridmill.datasets.model import Column, Dataset, Verdict
from gridmill.storage.database import Tx
from gridmill.storage.grids import column, is_empty, table

# A fixed shuffle of row numbers (Knuth's multiplicative hash): a sample spread over the table,
# the same one every time.
_SHUFFLED = sql.SQL("(g.row_no * 2654435761) & 4294967295")


def known(target: Column) -> sql.Composed:
    """Whether a cell of `g` is filled and not just a model's unapproved answer."""
    key = sql.Literal(str(target.physical))
    return sql.SQL("(NOT {} AND (g.m -> {} IS NULL OR (g.m -> {}) ? 'approved'))").format(
        is_empty(target.physical, "g"), key, key
    )


async def sample_known(
    tx: Tx, dataset: Dataset, targets: Sequence[Column], limit: int
) -> list[int]:
    """Up to `limit` row numbers with a known cell in a target, spread evenly."""
    cursor = await tx.execute(
        sql.SQL("SELECT g.row_no FROM {} g WHERE {} ORDER BY {} LIMIT %s").format(
            table(dataset.grid_no),
            sql.SQL(" OR ").join([known(target) for target in targets]),
            _SHUFFLED,
        ),
        [limit],
    )
    return [row[0] for row in await cursor.fetchall()]


async def list_vouched(
    tx: Tx, dataset: Dataset, targets: Sequence[Column], limit: int
) -> dict[int, set[int]]:
    """Column numbers by row number of cells whose last writer is a person, newest writes first.

    At most `limit` cells of edits and approvals, then as many of rows that a person inserted.
    """
    number_of = {target.physical: target.column_no for target in targets}
    cursor = await tx.execute(
        sql.SQL(
            "SELECT h.row_no, h.physical FROM cell_history h JOIN {} g ON g.row_no = h.row_no "
            "WHERE h.kind = 'user' AND h.action IN ('write', 'approve') AND h.dataset_id = %s "
            "AND h.physical = ANY(%s) AND NOT EXISTS (SELECT 1 FROM cell_history l "
            "WHERE l.dataset_id = h.dataset_id AND l.row_no = h.row_no "
            "AND l.physical = h.physical AND l.history_id > h.history_id) "
            "ORDER BY h.history_id DESC LIMIT %s"
        ).format(table(dataset.grid_no)),
        [dataset.dataset_id, list(number_of), limit],
    )
    found: dict[int, set[int]] = {}
    for row_no, physical in await cursor.fetchall():
        found.setdefault(row_no, set()).add(number_of[physical])
    for row_no, numbers in await _list_inserted(tx, dataset, targets, limit):
        found.setdefault(row_no, set()).update(numbers)
    return found


async def list_verdicts(
    tx: Tx, dataset: Dataset, targets: Sequence[Column], limit: int
) -> list[Verdict]:
    """What people said of values that tasks wrote, the newest `limit`; of each value the last word.

    What a rejection put back says nothing of what is right: it has no truth.
    """
    number_of = {target.physical: target.column_no for target in targets}
    cursor = await tx.execute(
        "SELECT row_no, physical, previous_value, CASE WHEN action <> 'reject' THEN value END, "
        "previous_metadata FROM cell_history WHERE kind = 'user' "
        "AND action IN ('write', 'approve', 'reject') AND dataset_id = %s "
        "AND physical = ANY(%s) AND previous_value IS NOT NULL "
        "AND previous_metadata ->> 'status' IN ('ok', 'needs_review') "
        "ORDER BY history_id DESC LIMIT %s",
        [dataset.dataset_id, list(number_of), limit],
    )
    last: dict[tuple[int, int, str], Verdict] = {}
    for row_no, physical, value, truth, metadata in await cursor.fetchall():
        said = Verdict(row_no, number_of[physical], value, truth, metadata)
        last.setdefault((row_no, physical, value), said)
    return list(last.values())


async def _list_inserted(
    tx: Tx, dataset: Dataset, targets: Sequence[Column], limit: int
) -> list[tuple[int, list[int]]]:
    """Rows that a person inserted, with the targets whose first value still stands."""
    parts: list[sql.Composable] = []
    params: list[Any] = []
    for target in targets:
        parts.append(
            sql.SQL(
                "CASE WHEN NOT {empty} AND NOT EXISTS (SELECT 1 FROM cell_history l "
                "WHERE l.dataset_id = %s AND l.row_no = g.row_no AND l.physical = {physical}) "
                "THEN {number} END"
            ).format(
                empty=is_empty(target.physical, "g"),
                physical=sql.Literal(target.physical),
                number=sql.Literal(target.column_no),
            )
        )
        params.append(dataset.dataset_id)
    cursor = await tx.execute(
        sql.SQL(
            "SELECT g.row_no, array_remove(ARRAY[{}]::int[], NULL) FROM dataset_row_origins o "
            "JOIN {} g ON g.row_no BETWEEN o.first_row AND o.last_row "
            "WHERE o.dataset_id = %s AND o.kind = 'user' AND ({}) "
            "ORDER BY g.row_no DESC LIMIT %s"
        ).format(
            sql.SQL(", ").join(parts),
            table(dataset.grid_no),
            sql.SQL(" OR ").join(
                [
                    sql.SQL("{} IS NOT NULL").format(column(target.physical, "g"))
                    for target in targets
                ]
            ),
        ),
        [*params, dataset.dataset_id, limit],
    )
    return [(row[0], row[1]) for row in await cursor.fetchall() if row[1]]
