from datetime import datetime, timedelta

import pytest

from gridmill.kit.pages import PageQuery
from gridmill.storage import grids
from gridmill.storage.database import Database
from gridmill.storage.grids import GridWrite, Sort, pages
from tests.support.grid_tables import NUMBER, make_grid


async def test_a_view_may_lag_behind_writes_for_as_long_as_its_grid_is_large(
    module_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first_rows(since: datetime | None) -> list[int]:
        async with module_database.transaction() as tx:
            found = await grids.read_page(
                tx, grid_no, [2], PageQuery(1, 2), sort=Sort(NUMBER), lagging_from=since
            )
        return [row.row_no for row in found.rows]

    async def write(value: str) -> None:
        async with module_database.transaction() as tx:
            await grids.write_cells(tx, grid_no, [GridWrite(9, 2, value)])

    async with module_database.transaction() as tx:
        grid_no = await make_grid(tx, [("a", str(i)) for i in range(1, 101)])
        cursor = await tx.execute("SELECT now()")
        (begun,) = await cursor.fetchone() or (None,)
    assert isinstance(begun, datetime)
    monkeypatch.setattr(pages, "_ROWS_A_SECOND", 1)
    assert await first_rows(begun) == [1, 2]
    await write("-1")
    assert await first_rows(begun) == [1, 2]
    # Whoever does not ask for it, or holds the grid only since now, sees what was written.
    assert await first_rows(None) == [9, 1]
    await write("50")
    assert await first_rows(begun + timedelta(hours=1)) == [1, 2]
    await write("-1")
    monkeypatch.setattr(pages, "_ROWS_A_SECOND", 10**9)
    assert await first_rows(begun) == [9, 1]
