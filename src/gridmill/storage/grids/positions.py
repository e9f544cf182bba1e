"""Rows by where they lie, of grids with a column of latitudes and one of longitudes.

What is no decimal number there has no position. (`24.950` is one, though it makes its column text.)
"""

from collections.abc import Sequence

from psycopg import sql

from gridmill.storage.database import Tx
from gridmill.storage.grids.rows import GridRow, row_columns, to_row
from gridmill.storage.grids.tables import column, table

Box = tuple[float, float, float, float]
"""West, south, east and north in degrees."""

_DEGREES = r"^\s*[+-]?[0-9]{1,3}(\.[0-9]{0,20})?\s*$"


def _degrees(physical: int) -> sql.Composed:
    return sql.SQL("CASE WHEN {name} ~ {number} THEN {name}::double precision END").format(
        name=column(physical), number=sql.Literal(_DEGREES)
    )


async def read_in_boxes(
    tx: Tx,
    grid_no: int,
    physicals: Sequence[int],
    columns: tuple[int, int],
    *,
    boxes: Sequence[Box],
    limit: int,
) -> list[GridRow]:
    """Up to `limit` rows with a position on Earth inside one of `boxes`, of all with none.

    `columns` are the physical columns of latitude and longitude.
    """
    lat, lon = map(_degrees, columns)
    inside = sql.SQL("({lon} BETWEEN %s AND %s AND {lat} BETWEEN %s AND %s)").format(
        lat=lat, lon=lon
    )
    asked = boxes or [(-180.0, -90.0, 180.0, 90.0)]
    statement = sql.SQL("SELECT {head} FROM {table} WHERE {where} ORDER BY row_no LIMIT %s").format(
        head=row_columns(physicals, with_metadata=False),
        table=table(grid_no),
        where=sql.SQL(" OR ").join([inside] * len(asked)),
    )
    params = [
        degrees for west, south, east, north in asked for degrees in (west, east, south, north)
    ]
    cursor = await tx.execute(statement, [*params, limit])
    return [to_row(record) for record in await cursor.fetchall()]


async def measure_box(tx: Tx, grid_no: int, columns: tuple[int, int]) -> Box | None:
    """The box of all positions on Earth, `None` without any."""
    lat, lon = map(_degrees, columns)
    cursor = await tx.execute(
        sql.SQL(
            "SELECT min({lon}), min({lat}), max({lon}), max({lat}) FROM {table} "
            "WHERE {lon} BETWEEN -180 AND 180 AND {lat} BETWEEN -90 AND 90"
        ).format(lat=lat, lon=lon, table=table(grid_no))
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else (row[0], row[1], row[2], row[3])
