"""Datasets, their columns and their links to data sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from gridmill.datasets.model import (
    Column,
    ColumnMetadata,
    Dataset,
    DatasetStatus,
    DatasetType,
    NewColumn,
    TaskType,
)
from gridmill.kit.json import restore_doubles
from gridmill.kit.values import DataType
from gridmill.storage.database import Tx

_DATASET = sql.SQL(
    "SELECT d.dataset_id, d.workspace_id, d.name, d.description, d.type, d.config, d.status, "
    "d.error, d.grid_no, d.active_task_id, d.created_at, greatest(d.updated_at, g.written_at, "
    "(SELECT max(w.at) FROM grid_writes w WHERE w.grid_no = d.grid_no)), g.row_count, "
    "(SELECT count(*) FROM columns c WHERE c.dataset_id = d.dataset_id), "
    "ARRAY(SELECT s.datasource_id FROM dataset_sources s WHERE s.dataset_id = d.dataset_id "
    "ORDER BY s.position) FROM datasets d JOIN grids g USING (grid_no)"
)


@dataclass(frozen=True, slots=True)
class DatasetFilter:
    """Which datasets of a workspace: `search` is a part of the name or description, in any case."""

    workspace_id: UUID
    only: frozenset[UUID] | None = None
    type: DatasetType | None = None
    status: DatasetStatus | None = None
    search: str | None = None


async def insert_dataset(
    tx: Tx,
    dataset_id: UUID,
    workspace_id: UUID,
    *,
    name: str,
    description: str | None,
    type: DatasetType,  # noqa: A002 - the contract's word
    config: Mapping[str, Any],
    status: DatasetStatus,
    grid_no: int,
) -> None:
    """Insert a dataset's row."""
    await tx.execute(
        "INSERT INTO datasets (dataset_id, workspace_id, name, description, type, config, status, "
        "grid_no) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [dataset_id, workspace_id, name, description, type, Jsonb(config), status, grid_no],
    )


async def find_dataset(tx: Tx, workspace_id: UUID, dataset_id: UUID) -> Dataset | None:
    """A dataset of the workspace."""
    cursor = await tx.execute(
        sql.SQL("{} WHERE d.dataset_id = %s AND d.workspace_id = %s").format(_DATASET),
        [dataset_id, workspace_id],
    )
    row = await cursor.fetchone()
    return _to_dataset(row) if row else None


async def find_any_dataset(tx: Tx, dataset_id: UUID) -> Dataset | None:
    """A dataset of whichever workspace, for jobs."""
    cursor = await tx.execute(sql.SQL("{} WHERE d.dataset_id = %s").format(_DATASET), [dataset_id])
    row = await cursor.fetchone()
    return _to_dataset(row) if row else None


async def list_datasets(
    tx: Tx, which: DatasetFilter, *, before: UUID | None, offset: int, limit: int
) -> list[Dataset]:
    """Datasets, newest first; those before `before` if it is given."""
    where, params = _where(which)
    cursor = await tx.execute(
        sql.SQL(
            "{} WHERE {} AND (%s::uuid IS NULL OR d.dataset_id < %s::uuid) "
            "ORDER BY d.dataset_id DESC LIMIT %s OFFSET %s"
        ).format(_DATASET, where),
        [*params, before, before, limit, offset],
    )
    return [_to_dataset(row) for row in await cursor.fetchall()]


async def count_datasets(tx: Tx, which: DatasetFilter) -> int:
    """How many datasets `which` names."""
    where, params = _where(which)
    cursor = await tx.execute(
        sql.SQL("SELECT count(*) FROM datasets d WHERE {}").format(where), params
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def update_dataset(tx: Tx, dataset_id: UUID, fields: Mapping[str, Any]) -> None:
    """Set columns of the row (`name`, `description`, `config`, `status`, `error`) and `updated_at`."""
    sets: list[sql.Composable] = [sql.SQL("updated_at = now()")]
    sets += [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in fields]
    values = [Jsonb(value) if isinstance(value, Mapping) else value for value in fields.values()]
    await tx.execute(
        sql.SQL("UPDATE datasets SET {} WHERE dataset_id = %s").format(sql.SQL(", ").join(sets)),
        [*values, dataset_id],
    )


async def delete_dataset(tx: Tx, dataset_id: UUID) -> list[int]:
    """Delete a dataset's rows but its history; the grids that are to be dropped."""
    cursor = await tx.execute(
        "SELECT grid_no FROM column_archives WHERE dataset_id = %s", [dataset_id]
    )
    grids = [row[0] for row in await cursor.fetchall()]
    cursor = await tx.execute(
        "DELETE FROM datasets WHERE dataset_id = %s RETURNING grid_no", [dataset_id]
    )
    return [*grids, *(row[0] for row in await cursor.fetchall())]


async def count_workspace_rows(tx: Tx, workspace_id: UUID) -> int:
    """Rows in all datasets of a workspace."""
    cursor = await tx.execute(
        "SELECT coalesce(sum(g.row_count), 0)::bigint FROM datasets d JOIN grids g USING (grid_no) "
        "WHERE d.workspace_id = %s",
        [workspace_id],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def list_columns(tx: Tx, dataset_id: UUID) -> list[Column]:
    """A dataset's columns in order."""
    cursor = await tx.execute(
        "SELECT column_no, physical, position, name, data_type, task_type, metadata "
        "FROM columns WHERE dataset_id = %s ORDER BY position, column_no",
        [dataset_id],
    )
    return [
        Column(
            column_no=row[0],
            physical=row[1],
            position=row[2],
            name=row[3],
            data_type=DataType(row[4]),
            task_type=TaskType(row[5]),
            metadata=ColumnMetadata.from_json(restore_doubles(row[6])),
        )
        for row in await cursor.fetchall()
    ]


async def insert_columns(
    tx: Tx, dataset_id: UUID, columns: Sequence[tuple[NewColumn, int]]
) -> None:
    """Append columns, each with its physical number; column numbers and positions go on."""
    cursor = await tx.execute(
        "UPDATE datasets SET next_column_no = next_column_no + %s, updated_at = now() "
        "WHERE dataset_id = %s RETURNING next_column_no - %s, "
        "(SELECT coalesce(max(position) + 1, 0) FROM columns WHERE dataset_id = %s)",
        [len(columns), dataset_id, len(columns), dataset_id],
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the caller holds the dataset
    async with tx.cursor() as inserts:
        await inserts.executemany(
            "INSERT INTO columns (dataset_id, column_no, physical, position, name, data_type, "
            "task_type, metadata) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                [
                    dataset_id,
                    row[0] + index,
                    physical,
                    row[1] + index,
                    column.name,
                    column.data_type,
                    column.task_type,
                    Jsonb(column.metadata.to_json()),
                ]
                for index, (column, physical) in enumerate(columns)
            ],
        )


async def set_positions(tx: Tx, dataset_id: UUID, columns: Sequence[Column]) -> None:
    """Write the positions that `columns` carry."""
    await tx.execute(
        "UPDATE columns c SET position = p.position FROM unnest(%s::int[], %s::int[]) "
        "AS p (column_no, position) WHERE c.dataset_id = %s AND c.column_no = p.column_no",
        [
            [column.column_no for column in columns],
            [column.position for column in columns],
            dataset_id,
        ],
    )


async def update_column(tx: Tx, dataset_id: UUID, column: Column) -> None:
    """Write a column's name, physical number, task type and metadata."""
    await tx.execute(
        "UPDATE columns SET name = %s, physical = %s, task_type = %s, metadata = %s "
        "WHERE dataset_id = %s AND column_no = %s",
        [
            column.name,
            column.physical,
            column.task_type,
            Jsonb(column.metadata.to_json()),
            dataset_id,
            column.column_no,
        ],
    )


async def delete_column(tx: Tx, dataset_id: UUID, column_no: int) -> list[int]:
    """Delete a column's row; the grids of its archives."""
    cursor = await tx.execute(
        "SELECT grid_no FROM column_archives WHERE dataset_id = %s AND column_no = %s",
        [dataset_id, column_no],
    )
    grids = [row[0] for row in await cursor.fetchall()]
    await tx.execute(
        "DELETE FROM columns WHERE dataset_id = %s AND column_no = %s", [dataset_id, column_no]
    )
    return grids


async def insert_archive(
    tx: Tx, dataset_id: UUID, column: Column, archive: int, reset_by: UUID | None
) -> None:
    """Remember where a column's old values are."""
    await tx.execute(
        "INSERT INTO column_archives (dataset_id, column_no, physical, grid_no, reset_by) "
        "VALUES (%s, %s, %s, %s, %s)",
        [dataset_id, column.column_no, column.physical, archive, reset_by],
    )


def _where(which: DatasetFilter) -> tuple[sql.Composed, list[Any]]:
    parts: list[sql.Composable] = [sql.SQL("d.workspace_id = %s")]
    params: list[Any] = [which.workspace_id]
    if which.only is not None:
        parts.append(sql.SQL("d.dataset_id = ANY(%s)"))
        params.append(list(which.only))
    if which.type is not None:
        parts.append(sql.SQL("d.type = %s"))
        params.append(which.type)
    if which.status is not None:
        parts.append(sql.SQL("d.status = %s"))
        params.append(which.status)
    if which.search is not None:
        parts.append(
            sql.SQL("strpos(lower(d.name || ' ' || coalesce(d.description, '')), lower(%s)) > 0")
        )
        params.append(which.search)
    return sql.SQL(" AND ").join(parts), params


def _to_dataset(row: Sequence[Any]) -> Dataset:
    return Dataset(
        dataset_id=row[0],
        workspace_id=row[1],
        name=row[2],
        description=row[3],
        type=DatasetType(row[4]),
        config=restore_doubles(row[5]),
        status=DatasetStatus(row[6]),
        error=row[7],
        grid_no=row[8],
        active_task_id=row[9],
        created_at=row[10],
        updated_at=row[11],
        row_count=row[12],
        column_count=row[13],
        datasource_ids=tuple(row[14]),
    )
