"""Cells in: whole batches in two statements, whatever their size.

The first locks the rows, the second updates them and hands old and new to a journal (history, in
the room above). Two, because a statement that locks and updates at once was seen to lose journal
entries: its parts see the rows as they were when it began.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from gridmill.kit.json import dump_json
from gridmill.storage.database import Tx
from gridmill.storage.grids.tables import column, mark_write, table

_META_ONLY = 1
_VALUE_TOO = 2


@dataclass(frozen=True, slots=True)
class GridWrite:
    """One cell: its new value (unless `keep_value`) and its new metadata (`None`: none)."""

    row_no: int
    physical: int
    value: str | None
    keep_value: bool = False
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """An INSERT that reads what changes from `changes`, and its parameters.

    `changes` has row_no, physical, value, metadata, previous_value, previous_metadata.
    """

    insert: sql.Composed
    params: Sequence[Any]

    def write(self, changes: sql.Composable) -> sql.Composed:
        """The statement that records `changes`, a query."""
        return sql.SQL("WITH changes AS ({}) {}").format(changes, self.insert)


@dataclass(slots=True)
class _Patch:
    """The writes of a batch as arrays, one entry a row."""

    row_nos: list[int]
    physicals: list[int]
    values: list[list[str | None]]
    states: list[list[int] | None]
    metadata: list[str | None]
    clears: bool
    count: int
    params: list[Any] = field(default_factory=list[Any])


async def write_cells(
    tx: Tx, grid_no: int, writes: Sequence[GridWrite], journal: Journal | None = None
) -> int:
    """Write cells of rows that exist, each at most once a call; how many were written.

    Rows are locked in the order of their numbers, so that writers never deadlock; cells of rows
    that are gone are left out.

    Raises:
        ValueError: a cell is named twice.
    """
    if not writes:
        return 0
    patch = _gather(writes)
    alive = await _lock_rows(tx, grid_no, patch.row_nos)
    if len(alive) < len(patch.row_nos):
        patch = _gather([write for write in writes if write.row_no in alive])
    if patch.count == 0:
        return 0
    _bind(patch)
    update = _update(grid_no, patch)
    if journal is None:
        await tx.execute(update, patch.params)
    else:
        # The rows are ours since the statement before: `old` is what stood there until now.
        statement = sql.SQL("WITH written AS ({} RETURNING {}), changes AS ({}) {}").format(
            update, _returned(patch), _tell_changes(patch), journal.insert
        )
        await tx.execute(statement, [*patch.params, *journal.params])
    await mark_write(tx, grid_no, patch.physicals)
    return patch.count


async def _lock_rows(tx: Tx, grid_no: int, row_nos: Sequence[int]) -> set[int]:
    cursor = await tx.execute(
        sql.SQL(
            "SELECT row_no FROM {} WHERE row_no = ANY(%s::bigint[]) ORDER BY row_no "
            "FOR NO KEY UPDATE"
        ).format(table(grid_no)),
        [row_nos],
        binary=True,
    )
    return {record[0] for record in await cursor.fetchall()}


def _gather(writes: Sequence[GridWrite]) -> _Patch:
    row_nos = sorted({write.row_no for write in writes})
    physicals = sorted({write.physical for write in writes})
    row_at = {row_no: index for index, row_no in enumerate(row_nos)}
    column_at = {physical: index for index, physical in enumerate(physicals)}
    values: list[list[str | None]] = [[None] * len(row_nos) for _ in physicals]
    states = [[0] * len(row_nos) for _ in physicals]
    metadata: list[dict[str, Any]] = [{} for _ in row_nos]
    clears = False
    for write in writes:
        row, at = row_at[write.row_no], column_at[write.physical]
        if states[at][row]:
            raise ValueError(f"row {write.row_no}, column k{write.physical} is written twice")
        states[at][row] = _META_ONLY if write.keep_value else _VALUE_TOO
        values[at][row] = write.value
        metadata[row][str(write.physical)] = write.metadata
        clears = clears or write.metadata is None
    whole = [_VALUE_TOO] * len(row_nos)
    return _Patch(
        row_nos,
        physicals,
        values,
        [None if state == whole else state for state in states],
        [dump_json(entry).decode() for entry in metadata],
        clears,
        len(writes),
    )


def _bind(patch: _Patch) -> None:
    patch.params = [patch.row_nos, patch.metadata]
    for values, states in zip(patch.values, patch.states, strict=True):
        patch.params.append(values)
        if states is not None:
            patch.params.append(states)


def _unnest(patch: _Patch) -> sql.Composed:
    types: list[sql.Composable] = [sql.SQL("%b::bigint[]"), sql.SQL("%b::text[]")]
    names = ["row_no", "p"]
    for physical, states in zip(patch.physicals, patch.states, strict=True):
        types.append(sql.SQL("%b::text[]"))
        names.append(f"v{physical}")
        if states is not None:
            types.append(sql.SQL("%b::smallint[]"))
            names.append(f"s{physical}")
    return sql.SQL("(SELECT {picked} FROM unnest({arrays}) AS u ({names}) OFFSET 0) w").format(
        picked=sql.SQL(", ").join(
            sql.SQL("p::jsonb AS p") if name == "p" else sql.Identifier(name) for name in names
        ),
        arrays=sql.SQL(", ").join(types),
        names=sql.SQL(", ").join(sql.Identifier(name) for name in names),
    )


def _new_value(physical: int, states: list[int] | None) -> sql.Composable:
    new = sql.Identifier("w", f"v{physical}")
    if states is None:
        return new
    return sql.SQL("CASE WHEN {} = {} THEN {} ELSE {} END").format(
        sql.Identifier("w", f"s{physical}"), sql.Literal(_VALUE_TOO), new, column(physical, "old")
    )


def _update(grid_no: int, patch: _Patch) -> sql.Composed:
    merged = sql.SQL("coalesce(old.m, '{{}}'::jsonb) || w.p").format()
    if patch.clears:
        merged = sql.SQL(
            "(SELECT jsonb_object_agg(key, value) FROM jsonb_each({}) WHERE value <> 'null'::jsonb)"
        ).format(merged)
    sets = [
        sql.SQL("{} = {}").format(column(physical), _new_value(physical, states))
        for physical, states in zip(patch.physicals, patch.states, strict=True)
    ]
    return sql.SQL(
        "UPDATE {grid} g SET {sets}, m = {m} FROM {changes} JOIN {grid} old USING (row_no) "
        "WHERE g.row_no = w.row_no"
    ).format(grid=table(grid_no), sets=sql.SQL(", ").join(sets), m=merged, changes=_unnest(patch))


def _returned(patch: _Patch) -> sql.Composed:
    parts: list[sql.Composable] = [sql.SQL("g.row_no, w.p, old.m AS om")]
    for physical, states in zip(patch.physicals, patch.states, strict=True):
        parts.append(column(physical, "g"))
        parts.append(
            sql.SQL("{} AS {}").format(column(physical, "old"), sql.Identifier(f"o{physical}"))
        )
        if states is not None:
            parts.append(sql.Identifier("w", f"s{physical}"))
    return sql.SQL(", ").join(parts)


def _tell_changes(patch: _Patch) -> sql.Composed:
    cells = [
        sql.SQL("({number}, {new}, w.p -> {key}, {old}, w.om -> {key}, {state})").format(
            number=sql.Literal(physical),
            new=column(physical, "w"),
            old=sql.Identifier("w", f"o{physical}"),
            key=sql.Literal(str(physical)),
            state=sql.Literal(_VALUE_TOO)
            if states is None
            else sql.Identifier("w", f"s{physical}"),
        )
        for physical, states in zip(patch.physicals, patch.states, strict=True)
    ]
    return sql.SQL(
        "SELECT w.row_no, c.physical, c.value, nullif(c.metadata, 'null'::jsonb) AS metadata, "
        "c.previous_value, c.previous_metadata FROM written w CROSS JOIN LATERAL (VALUES {}) "
        "AS c (physical, value, metadata, previous_value, previous_metadata, state) "
        "WHERE c.state > 0"
    ).format(sql.SQL(", ").join(cells))
