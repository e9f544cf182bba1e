"""The data page, and the selection of columns and rows that exports share with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridmill.datasets.cells import resolve_columns
from gridmill.datasets.model import Column, Dataset, Row
from gridmill.datasets.repository import datasets as repository
from gridmill.datasets.repository import locks
from gridmill.datasets.rows import to_row
from gridmill.kit.errors import ValidationFailed
from gridmill.kit.filters import parse_filter
from gridmill.kit.ids import decode_column
from gridmill.kit.pages import PageQuery, Pagination
from gridmill.storage import grids
from gridmill.storage.database import Tx


@dataclass(frozen=True, slots=True)
class DataPage:
    """A page of rows over some of the columns."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    pagination: Pagination


@dataclass(frozen=True, slots=True)
class DataView:
    """What of a dataset is looked at: in which order, which rows, which columns (ids)."""

    sort: str | None = None
    descending: bool = False
    filter: str | None = None
    column_ids: Sequence[str] | None = None
    status: str | None = None


async def read_data(
    tx: Tx, dataset: Dataset, query: PageQuery, view: DataView, *, with_metadata: bool = True
) -> DataPage:
    """A page of the dataset, without OFFSET, with the exact total.

    While a task holds the dataset, order and filter may lag behind what it writes, by a second
    per 100,000 rows: else a page sorted by the column that it fills would be ordered anew each time.

    `sort` names a column by id or by name. `status` keeps rows with a cell in that status in one
    of the columns shown.

    Raises:
        ValidationFailed: an unknown sort column, a cursor that does not go with the view.
        InvalidFilter, InvalidSelection.
    """
    columns = await repository.list_columns(tx, dataset.dataset_id)
    shown = choose_columns(dataset, columns, view.column_ids)
    where = compile_where(columns, view.filter)
    if view.status is not None:
        where = grids.both(
            where, grids.has_status([column.physical for column in shown], view.status)
        )
    lagging_from = None
    if dataset.active_task_id is not None:
        lagging_from = await locks.read_hold_start(tx, dataset.dataset_id)
    page = await grids.read_page(
        tx,
        dataset.grid_no,
        [column.physical for column in shown],
        query,
        sort=_choose_sort(dataset, columns, view),
        where=where,
        with_metadata=with_metadata,
        lagging_from=lagging_from,
    )
    return DataPage(shown, [to_row(shown, row) for row in page.rows], page.pagination)


def choose_columns(
    dataset: Dataset, columns: Sequence[Column], column_ids: Sequence[str] | None
) -> list[Column]:
    """The columns named, in the order named; all of them when none is."""
    if column_ids is None:
        return list(columns)
    return resolve_columns(dataset, columns, column_ids)


def compile_where(columns: Sequence[Column], text: str | None) -> grids.Condition | None:
    """A filter expression over the dataset's columns.

    Raises:
        InvalidFilter.
    """
    if text is None:
        return None
    named: Mapping[str, Any] = {column.name: column.in_grid for column in columns}
    return grids.compile_filter(parse_filter(text), named)


def _choose_sort(dataset: Dataset, columns: Sequence[Column], view: DataView) -> grids.Sort | None:
    if view.sort is None:
        return grids.Sort(None, descending=True) if view.descending else None
    number = decode_column(dataset.key, view.sort)
    for column in columns:
        if column.column_no == number or column.name == view.sort:
            return grids.Sort(column.in_grid, view.descending)
    raise ValidationFailed.of("sort", "This is neither the id nor the name of a column.")
