"""JSON Lines written by the server: a quarter of what it costs to write them here."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from gridmill.kit.json import dump_json
from gridmill.kit.wire_texts import WRITTEN_ALIKE, are_own_json
from gridmill.storage.database import Tx
from gridmill.storage.grids.conditions import Condition, GridColumn
from gridmill.storage.grids.tables import column, table

NamedColumn = tuple[str, GridColumn | None]
"""A key of the objects and where its value is; `None`: nowhere, it is null."""


def writes_json(columns: Sequence[NamedColumn]) -> bool:
    """Whether `read_json_lines` can write columns of these types."""
    types = (target.data_type for _, target in columns if target is not None)
    return bool(columns) and all(data_type in WRITTEN_ALIKE for data_type in types)


async def read_json_lines(
    tx: Tx,
    grid_no: int,
    columns: Sequence[NamedColumn],
    *,
    first: int,
    last: int,
    where: Condition | None = None,
) -> bytes | None:
    """Rows `first … last` as JSON objects, a line each, byte for byte as `to_wire` and orjson do.

    `None` when a text of a typed column is not its own JSON (an integer beyond 2^53, a text that
    does not fit its type): then the rows are to be written one by one.
    """
    tests: list[sql.Composable] = [sql.SQL("row_no BETWEEN %s AND %s")]
    params: list[Any] = [*_write_keys(columns), first, last]
    if where is not None:
        tests.append(where.sql)
        params.extend(where.params)
    # Texts that go out as they are are judged here, a column at once: a pattern that PostgreSQL
    # tries on each costs as much as all the rest.
    raw = [target for _, target in columns if target is not None and _is_raw(target)]
    judged = [
        sql.SQL("string_agg({k}, E'\\n'), count({k})").format(k=column(target.physical))
        for target in raw
    ]
    statement = sql.SQL(
        "SELECT {} FROM (SELECT * FROM {} WHERE {} ORDER BY row_no) AS ordered"
    ).format(
        sql.SQL(", ").join([_write_lines(columns), *judged]),
        table(grid_no),
        sql.SQL(" AND ").join(tests),
    )
    cursor = await tx.execute(statement, params, binary=True)
    found = await cursor.fetchone()
    assert found is not None  # noqa: S101 - an aggregate without groups gives one row
    for target, texts, count in zip(raw, found[1::2], found[2::2], strict=True):
        if count and not are_own_json(target.data_type, texts, count):
            return None
    return found[0] or b""


def _is_raw(target: GridColumn) -> bool:
    return WRITTEN_ALIKE[target.data_type] is not None


def _write_keys(columns: Sequence[NamedColumn]) -> list[str]:
    keys = [f",{dump_json(name).decode()}:" for name, _ in columns]
    return ["{" + keys[0][1:], *keys[1:]]


def _write_lines(columns: Sequence[NamedColumn]) -> sql.Composed:
    parts = [sql.SQL("%s::text || {}").format(_write_value(target)) for _, target in columns]
    return sql.SQL("convert_to(string_agg({} || {}, ''), 'UTF8')").format(
        sql.SQL(" || ").join(parts), sql.Literal("}\n")
    )


def _write_value(target: GridColumn | None) -> sql.Composable:
    if target is None:
        return sql.Literal("null")
    k = column(target.physical)
    text = k if _is_raw(target) else sql.SQL("to_json({})::text").format(k)
    return sql.SQL("coalesce({}, 'null')").format(text)
