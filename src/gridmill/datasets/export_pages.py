"""What exports read: page after page in the order of row numbers, each in a short transaction.

Where the server can write the file's lines itself, a page is as many rows as make about a mebibyte;
else it is a thousand rows.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

from gridmill.datasets.errors import DatasetNotFound
from gridmill.datasets.model import Column, Dataset, Row
from gridmill.datasets.repository import datasets as repository
from gridmill.datasets.rows import to_row
from gridmill.datasets.views import compile_where
from gridmill.storage import grids
from gridmill.storage.database import Database, Tx

_PAGE_ROWS = 1_000
_FIRST_ROWS = 100
_MOST_ROWS = 10_000
_PAGE_BYTES = 2**20

Page = TypeVar("Page")
Encode = Callable[[Sequence[Row]], bytes]


@dataclass(frozen=True, slots=True)
class Extract:
    """Which columns of which rows a file is made of."""

    database: Database
    dataset: Dataset
    chosen: Sequence[Column]
    filter: str | None

    def open(self) -> AbstractAsyncContextManager[Tx]:
        """A transaction to read one page in."""
        return self.database.transaction(read_only=True, workspace_id=self.dataset.workspace_id)


@dataclass(frozen=True, slots=True)
class _Span:
    """Row numbers `first … last` and the columns as they are now; `None`: deleted meanwhile."""

    columns: Sequence[Column | None]
    first: int
    last: int
    where: grids.Condition | None

    @property
    def targets(self) -> list[grids.GridColumn | None]:
        return [None if column is None else column.in_grid for column in self.columns]


async def read_csv_pages(extract: Extract, *, quoted: bool = False) -> AsyncIterator[grids.CsvText]:
    """Rows as CSV, written by the server; see `grids.read_csv`.

    Raises:
        DatasetNotFound: it was deleted meanwhile.
    """

    async def read(tx: Tx, span: _Span) -> grids.CsvText:
        return await grids.read_csv(
            tx,
            extract.dataset.grid_no,
            span.targets,
            first=span.first,
            last=span.last,
            where=span.where,
            quoted=quoted,
        )

    async for page in _walk(extract, read, lambda page: len(page.text)):
        yield page


async def read_jsonl_pages(extract: Extract, encode: Encode) -> AsyncIterator[bytes]:
    """Rows as JSON Lines, written by the server where it writes what `encode` would.

    Raises:
        DatasetNotFound: it was deleted meanwhile.
    """

    async def read(tx: Tx, span: _Span) -> bytes:
        named = [
            (column.name, target)
            for column, target in zip(extract.chosen, span.targets, strict=True)
        ]
        lines = None
        if grids.writes_json(named):
            lines = await grids.read_json_lines(
                tx,
                extract.dataset.grid_no,
                named,
                first=span.first,
                last=span.last,
                where=span.where,
            )
        return encode(await _read_rows(tx, extract, span)) if lines is None else lines

    async for page in _walk(extract, read, len):
        yield page


async def read_row_pages(extract: Extract, *, with_metadata: bool) -> AsyncIterator[Sequence[Row]]:
    """Rows with all of the chosen columns.

    Columns may be emptied or deleted while the file streams: an emptied one is read where it is
    now, a deleted one is empty from here on.
    """
    numbers = [column.column_no for column in extract.chosen]
    first = 1
    while True:
        async with extract.open() as tx:
            columns = await repository.list_columns(tx, extract.dataset.dataset_id)
            present = [column for column in columns if column.column_no in numbers]
            found = await grids.read_rows(
                tx,
                extract.dataset.grid_no,
                [column.physical for column in present],
                first=first,
                limit=_PAGE_ROWS,
                where=compile_where(columns, extract.filter),
                with_metadata=with_metadata,
            )
        if found:
            yield [_fill(to_row(present, row), numbers) for row in found]
        if len(found) < _PAGE_ROWS:
            return
        first = found[-1].row_no + 1


async def _read_rows(tx: Tx, extract: Extract, span: _Span) -> list[Row]:
    numbers = [column.column_no for column in extract.chosen]
    present = [column for column in span.columns if column is not None]
    found = await grids.read_rows(
        tx,
        extract.dataset.grid_no,
        [column.physical for column in present],
        first=span.first,
        last=span.last,
        where=span.where,
        with_metadata=False,
    )
    return [_fill(to_row(present, row), numbers) for row in found]


def _fill(row: Row, numbers: Sequence[int]) -> Row:
    if len(row.values) == len(numbers):
        return row
    return Row(row.row_no, dict.fromkeys(numbers, None) | dict(row.values), row.metadata)


async def _walk(
    extract: Extract,
    read: Callable[[Tx, _Span], Awaitable[Page]],
    measure: Callable[[Page], int],
) -> AsyncIterator[Page]:
    """Pages that are not empty by `measure` (bytes)."""
    first, rows = 1, _FIRST_ROWS
    while True:
        async with extract.open() as tx:
            columns = await repository.list_columns(tx, extract.dataset.dataset_id)
            by_number = {column.column_no: column for column in columns}
            last_row = (await grids.get_state(tx, extract.dataset.grid_no)).last_row
            if not columns or first > last_row:
                break
            chosen = [by_number.get(column.column_no) for column in extract.chosen]
            where = compile_where(columns, extract.filter)
            page = await read(tx, _Span(chosen, first, first + rows - 1, where))
        size = measure(page)
        if size:
            yield page
        first += rows
        rows = _choose_rows(rows, size)
    async with extract.open() as tx:
        dataset = extract.dataset
        if await repository.find_dataset(tx, dataset.workspace_id, dataset.dataset_id) is None:
            raise DatasetNotFound


def _choose_rows(rows: int, size: int) -> int:
    """How many rows to read next, when `rows` made `size` bytes: never much more at once."""
    fitting = rows * _PAGE_BYTES // max(size, 1)
    return max(1, min(_MOST_ROWS, 4 * rows, fitting))
