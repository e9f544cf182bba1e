"""A workspace with keys, sources and datasets, straight through the rooms' services."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest_asyncio
from psycopg.types.json import Jsonb

from gridmill.api.app import create_app
from gridmill.auth import service as auth
from gridmill.auth.model import Principal, Scope
from gridmill.bootstrap.parts import open_api
from gridmill.datasets import service
from gridmill.datasets.jobs import handlers
from gridmill.datasets.model import (
    Column,
    ColumnMetadata,
    Dataset,
    DatasetLimits,
    DatasetType,
    NewColumn,
    TaskType,
)
from gridmill.datasets.schemas import MetadataBody
from gridmill.engine.port import Job, JobContext
from gridmill.kit.http import validate_json
from gridmill.kit.ids import new_uuid7
from gridmill.kit.json import dump_json
from gridmill.kit.values import DataType
from gridmill.settings import load_settings
from gridmill.storage import grids
from gridmill.storage.database import Database, Tx


@dataclass
class Jobs:
    """An engine that remembers what it was given."""

    waiting: list[Job] = field(default_factory=list)

    async def enqueue(self, tx: Tx, jobs: Sequence[Job]) -> list[int]:
        self.waiting += jobs
        return list(range(len(jobs)))

    async def cancel(self, tx: Tx, job_ids: Sequence[int]) -> None:
        raise AssertionError("nothing here is cancelled")

    async def find_lost(self, tx: Tx, job_ids: Sequence[int]) -> frozenset[int]:
        return frozenset()


@dataclass
class World:
    """One workspace and what tests do in it."""

    database: Database
    principal: Principal
    jobs: Jobs = field(default_factory=Jobs)
    limits: DatasetLimits = field(default_factory=DatasetLimits)

    async def add_source(
        self,
        columns: Mapping[str, DataType],
        rows: Sequence[Sequence[str | None]],
        *,
        status: str = "completed",
        content_type: str = "text/csv",
        source_id: UUID | None = None,
    ) -> UUID:
        """A data source as if it had been uploaded and read."""
        source_id = source_id or new_uuid7()
        async with self.database.transaction() as tx:
            grid_no = await grids.create_grid(tx, len(columns))
            await grids.copy_rows(tx, grid_no, len(columns), rows)
            file_id = new_uuid7()
            await tx.execute("INSERT INTO files (file_id, size) VALUES (%s, 0)", [file_id])
            await tx.execute(
                "INSERT INTO datasources (datasource_id, workspace_id, file_name, content_type, "
                "file_size, file_id, status, error, grid_no, columns, processed_at) VALUES "
                "(%s, %s, 'file.csv', %s, 0, %s, %s, %s, %s, %s, "
                "CASE WHEN %s <> 'processing' THEN now() END)",
                [
                    source_id,
                    self.principal.workspace_id,
                    content_type,
                    file_id,
                    status,
                    Jsonb({"code": "MALFORMED_FILE", "message": "Line 3 is ragged."})
                    if status == "failed"
                    else None,
                    grid_no if status == "completed" else None,
                    Jsonb([{"name": n, "dataType": t} for n, t in columns.items()]),
                    status,
                ],
            )
        return source_id

    async def create(
        self,
        *,
        type: DatasetType = DatasetType.ENRICHMENT,  # noqa: A002
        columns: Sequence[NewColumn] = (),
        sources: Sequence[UUID] = (),
        run: bool = True,
    ) -> Dataset:
        """A dataset, its import done unless `run` is false."""
        async with self.database.transaction() as tx:
            dataset = await service.create_dataset(
                tx,
                self.jobs,
                self.principal,
                service.NewDataset(type, "a set", None, [str(s) for s in sources], columns),
            )
        if run:
            await self.run_jobs()
        return await self.reload(dataset)

    async def run_jobs(self) -> None:
        """Run what waits, each job once."""
        known = handlers(self.database, self.limits)
        jobs, self.jobs.waiting = self.jobs.waiting, []
        for job in jobs:
            await known[job.name].run(job.payload, JobContext(1, 1, False))

    async def reload(self, dataset: Dataset) -> Dataset:
        async with self.database.transaction() as tx:
            return await service.get_dataset(tx, self.principal, str(dataset.dataset_id))

    async def columns(self, dataset: Dataset) -> list[Column]:
        async with self.database.transaction() as tx:
            return await service.list_columns(tx, dataset)

    async def insert(self, dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        async with self.database.transaction() as tx:
            return await service.insert_rows(tx, self.principal, dataset, rows, self.limits)

    async def values(self, dataset: Dataset) -> dict[int, list[str | None]]:
        """All values by row number, in the order of the columns."""
        async with self.database.transaction() as tx:
            columns = await service.list_columns(tx, dataset)
            rows = await service.read_rows(tx, dataset, columns)
        return {r.row_no: [r.values[c.column_no] for c in columns] for r in rows}


def column(
    name: str,
    data_type: DataType = DataType.TEXT,
    task_type: TaskType = TaskType.ENRICHMENT,
    **metadata: Any,
) -> NewColumn:
    said = validate_json(MetadataBody, dump_json(metadata)).to_metadata()
    assert isinstance(said, ColumnMetadata)
    return NewColumn(name, data_type, task_type, said)


async def make_world(database: Database, name: str) -> World:
    async with database.transaction() as tx:
        workspace_id = await auth.ensure_workspace(tx, name)
    return World(
        database, Principal(new_uuid7(), workspace_id, frozenset({Scope.WRITE, Scope.READ}))
    )


@pytest_asyncio.fixture
async def world(module_database: Database) -> AsyncGenerator[World]:
    yield await make_world(module_database, f"w-{new_uuid7()}")


BASE = "/api/v2/datasets"
TABLE = {"name": DataType.TEXT, "size": DataType.INTEGER, "ratio": DataType.NUMBER}
ROWS: list[list[str | None]] = [
    ["=1+1", "1", "-1.5"],
    ['a "quoted"\nname', "9007199254740993", None],
    [None, None, "2"],
]


@dataclass
class Client:
    """The app with a key, and a way to run the room's jobs."""

    http: httpx2.AsyncClient
    world: World
    key: str
    read_key: str
    stranger: str

    async def call(
        self, method: str, path: str = "", *, key: str | None = None, **more: Any
    ) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key or self.key}", **more.pop("headers", {})}
        return await self.http.request(method, BASE + path, headers=headers, **more)

    async def make(self, **body: Any) -> str:
        body = {"type": "enrichment", "name": "a set"} | body
        response = await self.call("POST", json=body)
        assert response.status_code == 201, response.text
        return response.json()["datasetId"]

    async def imported(self) -> str:
        """A dataset of `ROWS`."""
        source = await self.world.add_source(TABLE, ROWS)
        dataset = await self.world.create(sources=[source])
        return str(dataset.dataset_id)

    async def data(self, dataset_id: str, query: str = "") -> dict[str, Any]:
        response = await self.call("GET", f"/{dataset_id}/data{query}")
        assert response.status_code == 200, response.text
        return response.json()


@pytest_asyncio.fixture
async def client(module_database_url: str, tmp_path: Path) -> AsyncGenerator[Client]:
    async with open_api(load_settings(data_dir=tmp_path), module_database_url) as parts:
        async with parts.database.transaction() as tx:
            home = await auth.ensure_workspace(tx, f"w-{new_uuid7()}")
            away = await auth.ensure_workspace(tx, "away")
            stored, key = await auth.create_key(tx, home, "k", [Scope.WRITE])
            _, read_key = await auth.create_key(tx, home, "r", [Scope.READ])
            _, stranger = await auth.create_key(tx, away, "s", [Scope.ADMIN])
        principal = Principal(stored.key_id, home, frozenset({Scope.WRITE}))
        transport = httpx2.ASGITransport(app=create_app(parts), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Client(http, World(parts.database, principal), key, read_key, stranger)
