"""What tasks ask before they work: batches of rows, and rows to learn from."""

from collections.abc import Sequence

from gridmill.datasets.model import Column, Dataset, FilledRow, Row, RowPlan, Verdict
from gridmill.datasets.repository import learning
from gridmill.datasets.repository import planning as repository
from gridmill.datasets.rows import read_rows
from gridmill.storage.database import Tx


async def plan_rows(
    tx: Tx,
    dataset: Dataset,
    targets: Sequence[Column],
    *,
    only_empty: bool,
    batch_size: int,
    cells: Sequence[tuple[int, int]] | None = None,
    row_nos: Sequence[int] | None = None,
) -> RowPlan:
    """Batches of `batch_size` rows over the cells of `targets`, counted in one pass on the server.

    Very many batches become fewer: then they are of two, three or four times as many rows.

    The selection is every row; or `cells`, as `(row_no, column_no)`; or `row_nos`. With
    `only_empty` filled cells are not to be filled: rows without an empty one are in no batch,
    and `RowPlan.filled` counts the selected cells that are filled. A batch's range of rows may
    hold rows that the selection does not.
    """
    batches, selected = await repository.plan_rows(
        tx,
        dataset,
        targets,
        only_empty=only_empty,
        batch_size=batch_size,
        cells=cells,
        row_nos=row_nos,
    )
    wanted = sum(batch.cells for batch in batches)
    return RowPlan(batches, wanted, selected - wanted)


async def read_filled(
    tx: Tx,
    dataset: Dataset,
    columns: Sequence[Column],
    targets: Sequence[Column],
    *,
    limit: int,
) -> list[FilledRow]:
    """Up to `limit` rows in which a target is known, to learn from; vouched ones first.

    Known is what a person or an import wrote, or a person approved: no model's own answer is
    ever learnt from, whichever task it came from. A target that is filled but not known reads as
    empty. The others are spread evenly over the table and the same every time.
    """
    if not targets or limit <= 0:
        return []
    vouched = await learning.list_vouched(tx, dataset, targets, limit)
    chosen = list(vouched)[:limit]
    if len(chosen) < limit:
        seen = set(chosen)
        sampled = await learning.sample_known(tx, dataset, targets, limit)
        chosen += [row_no for row_no in sampled if row_no not in seen][: limit - len(chosen)]
    by_number = {row.row_no: row for row in await read_rows(tx, dataset, columns, row_nos=chosen)}
    known = {target.column_no for target in targets}
    return [
        FilledRow(_hide_unknown(by_number[row_no], known), frozenset(vouched.get(row_no, ())))
        for row_no in chosen
        if row_no in by_number
    ]


async def read_verdicts(
    tx: Tx, dataset: Dataset, targets: Sequence[Column], *, limit: int
) -> list[Verdict]:
    """The newest `limit` words of people on values that tasks wrote into the targets."""
    return await learning.list_verdicts(tx, dataset, targets, limit) if targets else []


def _hide_unknown(row: Row, targets: set[int]) -> Row:
    values = {
        number: None
        if number in targets and number in row.metadata and not row.metadata[number].get("approved")
        else value
        for number, value in row.values.items()
    }
    return Row(row.row_no, values, row.metadata)
