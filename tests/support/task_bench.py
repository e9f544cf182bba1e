"""Tasks on a real database and a real engine, with an operation that does what a test says."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2

from gridmill.api.app import create_app
from gridmill.auth import service as auth
from gridmill.auth.model import Principal, Scope
from gridmill.bootstrap.parts import ApiParts
from gridmill.datasets import service as datasets
from gridmill.datasets.model import (
    ColumnMetadata,
    Dataset,
    DatasetLimits,
    DatasetType,
    NewColumn,
    TaskType,
)
from gridmill.datasets.service import NewDataset
from gridmill.datasources.model import SourceLimits
from gridmill.engine.port import Engine, HandlerSpec
from gridmill.engine.procrastinate_engine import ProcrastinateEngine
from gridmill.engine.worker import Timings, run_worker
from gridmill.kit.http import Services
from gridmill.kit.http.idempotency import Claims
from gridmill.kit.values import DataType
from gridmill.operations.model import (
    Batch,
    BatchOutcome,
    CellOutcome,
    CellStatus,
    ColumnSpec,
    Estimate,
)
from gridmill.providers.llm.model import Usage
from gridmill.storage.database import Database
from gridmill.storage.idempotency import PostgresClaims
from gridmill.tasks import jobs
from gridmill.tasks.gauges import Gauges, read_gauges
from gridmill.tasks.model import Operations, TaskLimits
from tests.support.waiting import eventually

TERMINAL = {"completed", "failed", "cancelled"}

Answer = Callable[[Batch], Awaitable[BatchOutcome]]


async def fill_with_names(batch: Batch) -> BatchOutcome:
    """Every cell becomes `<column>/<row number>`."""
    names = {column.number: column.name for column in batch.columns}
    return BatchOutcome(
        [
            CellOutcome(
                row.row_no,
                number,
                CellStatus.OK,
                value=f"{names[number]}/{row.row_no}",
                confidence=0.9,
                provider="fake",
                model="fake-1",
            )
            for row in batch.rows
            for number in row.wanted
        ],
        Usage(len(batch.rows), 0, 10 * len(batch.rows), len(batch.rows), 0.001 * len(batch.rows)),
    )


@dataclass
class ScriptedOperation:
    """An operation that answers with `answer` and remembers what it was given."""

    answer: Answer = fill_with_names
    rows_per_batch: int = 10
    batches: list[Batch] = field(default_factory=list[Batch])

    def batch_rows(
        self, columns: Sequence[ColumnSpec], targets: Sequence[int], model: str | None
    ) -> int:
        return self.rows_per_batch

    def check_budget(
        self,
        columns: Sequence[ColumnSpec],
        targets: Sequence[int],
        model: str | None,
        max_cost_usd: float | None,
    ) -> None:
        return

    async def run(self, batch: Batch) -> BatchOutcome:
        self.batches.append(batch)
        return await self.answer(batch)

    async def estimate(self, batch: Batch) -> Estimate:
        cells = sum(len(row.wanted) for row in batch.rows)
        return Estimate(cells, 100 * cells, 10 * cells, 0.01 * cells)


@dataclass
class Bench:
    """A workspace with a client of its API and a worker that can be started."""

    url: str
    database: Database
    engine: ProcrastinateEngine
    operation: ScriptedOperation
    operations: Operations
    principal: Principal
    registry: dict[type, object]
    http: httpx2.AsyncClient

    @property
    def handlers(self) -> dict[str, HandlerSpec]:
        limits = self.registry[DatasetLimits]
        assert isinstance(limits, DatasetLimits)
        return jobs.handlers(self.database, self.engine, self.operations, limits)

    @asynccontextmanager
    async def working(
        self, slots: int = 4, more: Mapping[str, HandlerSpec] | None = None
    ) -> AsyncGenerator[None]:
        """A worker runs in the block, with the handlers of this room and `more`."""
        stop = asyncio.Event()
        worker = asyncio.create_task(
            run_worker(
                self.url,
                {**self.handlers, **(more or {})},
                queues={"default": 2, "batches": slots},
                stop=stop,
                timings=Timings(poll=0.1, grace=5.0),
            )
        )
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(worker, 20)

    async def make_dataset(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Mapping[str, TaskType],
        *,
        type: DatasetType = DatasetType.ENRICHMENT,  # noqa: A002
        metadata: Mapping[str, ColumnMetadata] | None = None,
    ) -> Dataset:
        """A dataset of text columns with these rows."""
        new = NewDataset(
            type,
            "bench",
            columns=[
                NewColumn(name, DataType.TEXT, kind, (metadata or {}).get(name, ColumnMetadata()))
                for name, kind in columns.items()
            ],
        )
        async with self.database.transaction() as tx:
            dataset = await datasets.create_dataset(tx, self.engine, self.principal, new)
            for start in range(0, len(rows), 10_000):
                await datasets.insert_rows(
                    tx, self.principal, dataset, rows[start : start + 10_000], DatasetLimits()
                )
            return await datasets.get_dataset(tx, self.principal, str(dataset.dataset_id))

    async def companies(self, count: int, **more: Any) -> Dataset:
        """`count` rows with a name and an empty sector."""
        return await self.make_dataset(
            [{"company": f"Company {number}"} for number in range(1, count + 1)],
            {"company": TaskType.NONE, "sector": TaskType.ENRICHMENT},
            **more,
        )

    async def call(
        self, method: str, path: str, expect: int | None = None, **options: Any
    ) -> dict[str, Any]:
        """A call of the API; its status must be `expect` if that is given."""
        reply = await self.http.request(method, path, **options)
        if expect is not None:
            assert reply.status_code == expect, reply.text
        return {"_status": reply.status_code, **reply.json()}

    async def start_bulk(self, dataset: Dataset, **body: Any) -> dict[str, Any]:
        """A new bulk task."""
        path = f"/datasets/{dataset.dataset_id}/tasks/bulk"
        return await self.call("POST", path, 202, json=body)

    async def read_task(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """The task as it is now."""
        path = f"/datasets/{task['datasetId']}/tasks/{task['taskId']}"
        return await self.call("GET", path, 200)

    async def wait_for(self, task: Mapping[str, Any], seconds: float = 20.0) -> dict[str, Any]:
        """The task once it has ended."""

        async def ended() -> dict[str, Any] | None:
            found = await self.read_task(task)
            return found if found["status"] in TERMINAL else None

        found = await eventually(ended, timeout=seconds)
        assert found is not None
        return found

    async def values(self, dataset: Dataset, column_no: int) -> dict[int, str | None]:
        """A column's values by row number."""
        async with self.database.transaction() as tx:
            columns = await datasets.list_columns(tx, dataset)
            rows = await datasets.read_rows(tx, dataset, columns)
        return {row.row_no: row.values[column_no] for row in rows}

    async def metadata(self, dataset: Dataset, row_no: int, column_no: int) -> Mapping[str, Any]:
        """A cell's metadata."""
        async with self.database.transaction() as tx:
            columns = await datasets.list_columns(tx, dataset)
            (row,) = await datasets.read_rows(tx, dataset, columns, row_nos=[row_no])
        return row.metadata.get(column_no, {})

    async def holder(self, dataset: Dataset) -> UUID | None:
        """The task that holds the dataset."""
        async with self.database.transaction() as tx:
            found = await datasets.find_any_dataset(tx, dataset.dataset_id)
        assert found is not None
        return found.active_task_id

    async def count_history(self, dataset: Dataset) -> int:
        """Entries in the history of the dataset."""
        async with self.database.transaction() as tx:
            cursor = await tx.execute(
                "SELECT count(*) FROM cell_history WHERE dataset_id = %s", [dataset.dataset_id]
            )
            row = await cursor.fetchone()
        return row[0] if row else 0


@asynccontextmanager
async def open_bench(url: str) -> AsyncGenerator[Bench]:
    """A bench on a migrated database."""
    database = await Database.open(url, max_size=20)
    operation = ScriptedOperation()
    operations = Operations({TaskType.ENRICHMENT: operation})
    engine = ProcrastinateEngine()
    try:
        async with database.transaction() as tx:
            secret = await auth.load_secret(tx)
            workspace_id = await auth.ensure_workspace(tx)
            key, text = await auth.create_key(tx, workspace_id, "bench", [Scope.ADMIN])
        registry: dict[type, object] = {
            Database: database,
            Engine: engine,
            Operations: operations,
            TaskLimits: TaskLimits(),
            DatasetLimits: DatasetLimits(),
            SourceLimits: SourceLimits(),
            Claims: PostgresClaims(),
        }

        async def ready() -> Mapping[str, bool]:
            return {}

        async def look() -> Gauges:
            async with database.transaction(read_only=True) as tx:
                return await read_gauges(tx)

        parts = ApiParts(Services(database, registry), database, secret, ready, {}, look)
        transport = httpx2.ASGITransport(app=create_app(parts), raise_app_exceptions=False)
        async with httpx2.AsyncClient(
            transport=transport,
            base_url="http://test/api/v2",
            headers={"Authorization": f"Bearer {text}"},
            timeout=60,
        ) as http:
            principal = Principal(key.key_id, workspace_id, key.scopes)
            yield Bench(url, database, engine, operation, operations, principal, registry, http)
    finally:
        await database.close()
