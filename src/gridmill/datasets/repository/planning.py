"""Which rows of a selection make which batches, computed inside the server in one pass."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from gridmill.datasets.model import Column, Dataset, PlannedBatch
from gridmill.storage.database import Tx
from gridmill.storage.grids import is_empty, table

# So that a task's jobs stay few whatever its size; a batch of four times the rows is no worse to
# repeat after a crash, since answers that were paid for are stored.
_BATCHES = 5_000
_GROWTH = 4

# Each row is looked at once and kept nowhere but in the sort: OFFSET 0 keeps the server from
# working the tests out again in every place that names their sum. A row with nothing to fill goes
# with the batch of the row to fill before it, and counts only as selected.
_PLAN = """
    WITH fine AS MATERIALIZED (
        SELECT part, min(row_no) FILTER (WHERE cells > 0) AS first_row,
               max(row_no) FILTER (WHERE cells > 0) AS last_row,
               count(*) FILTER (WHERE cells > 0) AS rows, sum(cells) AS cells,
               sum(picked) AS picked
          FROM (SELECT row_no, picked, cells,
                       greatest(count(*) FILTER (WHERE cells > 0)
                                OVER (ORDER BY row_no ROWS UNBOUNDED PRECEDING) - 1, 0)
                       / {size} AS part
                  FROM (SELECT g.row_no, {picked} AS picked, {cells} AS cells
                          FROM {source} OFFSET 0) AS counted) AS numbered
         GROUP BY part
    ), grown AS (
        SELECT least(greatest(ceil(count(*) / {most}::numeric), 1), {growth})::bigint AS parts
          FROM fine
    )
    SELECT min(first_row), max(last_row), sum(rows)::bigint, sum(cells)::bigint,
           sum(picked)::bigint
      FROM fine GROUP BY part / (SELECT parts FROM grown) ORDER BY 1
"""


async def plan_rows(
    tx: Tx,
    dataset: Dataset,
    targets: Sequence[Column],
    *,
    only_empty: bool,
    batch_size: int,
    cells: Sequence[tuple[int, int]] | None = None,
    row_nos: Sequence[int] | None = None,
) -> tuple[list[PlannedBatch], int]:
    """Batches of `batch_size` rows with cells to fill, and the number of selected cells.

    Two, three or four such batches become one where there would be more than 5,000 of them.
    """
    source, params, chosen = _narrow(table(dataset.grid_no), targets, cells, row_nos)
    wanted = [
        sql.SQL("({} AND {})").format(one, is_empty(target.physical, "g")) if only_empty else one
        for one, target in zip(chosen, targets, strict=True)
    ]
    cursor = await tx.execute(
        sql.SQL(_PLAN).format(
            picked=_sum(chosen),
            cells=_sum(wanted),
            source=source,
            size=sql.Literal(batch_size),
            most=sql.Literal(_BATCHES),
            growth=sql.Literal(_GROWTH),
        ),
        params,
    )
    batches: list[PlannedBatch] = []
    selected = 0
    for first, last, rows, found, picked in await cursor.fetchall():
        selected += picked
        if rows:
            batches.append(PlannedBatch(first, last, rows, found))
    return batches, selected


def _narrow(
    grid: sql.Composable,
    targets: Sequence[Column],
    cells: Sequence[tuple[int, int]] | None,
    row_nos: Sequence[int] | None,
) -> tuple[sql.Composable, dict[str, Any], list[sql.Composable]]:
    """Where rows are taken from, its parameters, and for each target whether it is selected."""
    if cells is not None:
        source = sql.SQL(
            "{} g JOIN (SELECT s.row_no AS picked_row, array_agg(s.column_no) AS picked "
            "FROM unnest(%(rows)s::bigint[], %(columns)s::int[]) AS s (row_no, column_no) GROUP BY 1) p "
            "ON p.picked_row = g.row_no"
        ).format(grid)
        return (
            source,
            {"rows": [row_no for row_no, _ in cells], "columns": [number for _, number in cells]},
            [
                sql.SQL("({} = ANY(p.picked))").format(sql.Literal(target.column_no))
                for target in targets
            ],
        )
    everywhere: list[sql.Composable] = [sql.SQL("true")] * len(targets)
    if row_nos is not None:
        source = sql.SQL(
            "{} g JOIN (SELECT DISTINCT unnest(%(rows)s::bigint[]) AS picked_row) p "
            "ON p.picked_row = g.row_no"
        ).format(grid)
        return source, {"rows": list(row_nos)}, everywhere
    return sql.SQL("{} g").format(grid), {}, everywhere


def _sum(tests: Sequence[sql.Composable]) -> sql.Composed:
    if not tests:
        return sql.SQL("{}").format(sql.Literal(0))
    return sql.SQL(" + ").join(sql.SQL("({})::int").format(test) for test in tests)
