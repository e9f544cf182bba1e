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

    Batches grow, up to the fourfold, where there would be more than 5,000 of them.
    """
    source, params, chosen = _narrow(table(dataset.grid_no), targets, cells, row_nos)
    wanted = [
        sql.SQL("({} AND {})").format(one, is_empty(target.physical, "g")) if only_empty else one
        for one, target in zip(chosen, targets, strict=True)
    ]
    cursor = await tx.execute(
        sql.SQL(
            "WITH counted AS MATERIALIZED (SELECT g.row_no, {picked} AS picked, {cells} AS cells "
            "FROM {source}), "
            "sized AS MATERIALIZED (SELECT least(greatest((count(*) + {most} - 1) / {most}, "
            "%(size)s), %(size)s * {growth}) AS size FROM counted WHERE cells > 0), "
            "numbered AS (SELECT row_no, cells, (row_number() OVER (ORDER BY row_no) - 1) / "
            "(SELECT size FROM sized) AS batch FROM counted WHERE cells > 0) "
            "SELECT min(row_no), max(row_no), count(*), sum(cells)::bigint, "
            "(SELECT sum(picked)::bigint FROM counted) FROM numbered GROUP BY batch "
            "UNION ALL SELECT NULL, NULL, 0, 0, (SELECT coalesce(sum(picked), 0)::bigint "
            "FROM counted) WHERE NOT EXISTS (SELECT 1 FROM numbered) ORDER BY 1"
        ).format(
            picked=_sum(chosen),
            cells=_sum(wanted),
            source=source,
            most=sql.Literal(_BATCHES),
            growth=sql.Literal(_GROWTH),
        ),
        {**params, "size": batch_size},
    )
    batches: list[PlannedBatch] = []
    selected = 0
    for first, last, rows, found, picked in await cursor.fetchall():
        selected = picked
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
