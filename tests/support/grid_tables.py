"""Small grids and the ways that tests look at them."""

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings

from gridmill.kit.filters import parse_filter
from gridmill.kit.pages import PageQuery
from gridmill.kit.values import DataType
from gridmill.storage import grids
from gridmill.storage.database import Tx
from gridmill.storage.grids import GridColumn

TEXT = GridColumn(1, DataType.TEXT)


NUMBER = GridColumn(2, DataType.NUMBER)


COLUMNS = {"name": TEXT, "size": NUMBER, "day": GridColumn(3, DataType.DATE)}


HYPOTHESIS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def make_grid(tx: Tx, rows: list[tuple[str | None, ...]]) -> int:
    grid_no = await grids.create_grid(tx, 3)
    await grids.copy_rows(tx, grid_no, 3, [(*row, *[None] * (3 - len(row))) for row in rows])
    return grid_no


async def page(tx: Tx, grid_no: int, query: PageQuery, **options: Any) -> list[int]:
    found = await grids.read_page(tx, grid_no, [1, 2, 3], query, **options)
    return [row.row_no for row in found.rows]


def where(text: str) -> grids.Condition:
    return grids.compile_filter(parse_filter(text), COLUMNS)


class Rollback(Exception):
    pass


def to_number(text: str) -> Decimal | None:
    import re

    if re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", text, re.ASCII):
        return Decimal(text)
    return None
