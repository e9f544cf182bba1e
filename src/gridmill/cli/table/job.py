"""A run's steps over the rooms' services: read the file, fill its cells, write the result.

Every step first looks whether an earlier run of the same order has done it: its folder keeps the
database of a run that was stopped or killed until one with the same order has finished.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from gridmill.auth import service as auth
from gridmill.auth.model import Principal, Scope
from gridmill.bootstrap.parts import ApiParts
from gridmill.cli.running import CommandFailed
from gridmill.cli.table.order import Input, Order
from gridmill.cli.table.show import Show
from gridmill.datasets import service as datasets
from gridmill.datasets.model import Dataset, DatasetLimits, DatasetStatus, DatasetType
from gridmill.datasets.schemas import DatasetCreate
from gridmill.datasources import service as datasources
from gridmill.datasources.errors import FileTooLarge
from gridmill.datasources.model import MAX_FILE_BYTES, DataSource, SourceStatus
from gridmill.engine.port import Engine
from gridmill.kit.http.wire import validate_json
from gridmill.kit.ids import encode_column, new_uuid7
from gridmill.kit.json import dump_json
from gridmill.kit.pages import PageQuery
from gridmill.storage.database import Database, Tx
from gridmill.tasks import service as tasks
from gridmill.tasks.model import Budget, Operations, Task, TaskLimits, TaskStatus
from gridmill.tasks.selection import SelectionRequest
from gridmill.tasks.service import Shop, Terms

T = TypeVar("T")

_NAME = "run"
_POLL_SECONDS = 0.1
_LINK_SECONDS = 3600
_NEWEST = PageQuery(limit=1)


@dataclass(frozen=True, slots=True)
class Job:
    """What to do with which file, and whom to tell."""

    source: Input
    order: Order
    show: Show


class Unfinished(CommandFailed):
    """Not to its end, but the work that was done is worth keeping."""


class TableJob:
    """One order at work; `do` may be cancelled at any point and started again later."""

    def __init__(self, parts: ApiParts, job: Job) -> None:
        registry = parts.services.registry
        self._database: Database = parts.database
        self._engine = cast("Engine", registry[Engine])
        self._operations = cast("Operations", registry[Operations])
        self._source = job.source
        self._order = job.order
        self._show = job.show

    async def do(self) -> Task:
        """Everything, from the file to the result; the finished task.

        Raises:
            GridmillError: the file, a column or an option is refused.
            CommandFailed: the file cannot be read, nothing could be filled, or the result not
                be written.
        """
        async with self._database.transaction() as tx:
            workspace_id = await auth.ensure_workspace(tx)
        principal = Principal(new_uuid7(), workspace_id, frozenset({Scope.ADMIN}))
        dataset = await self._find_dataset(principal)
        if dataset is None:
            source = await self._read_file(principal)
            dataset = await self._make_dataset(principal, source)
        dataset = await self._import(principal, dataset)
        task = await self._fill(principal, dataset)
        if task.status is TaskStatus.FAILED:
            error = task.error or {}
            raise Unfinished(f"Nothing could be filled: {error.get('message', 'unknown reason')}")
        self._show.step("writing the result")
        await self._write(dataset)
        return task

    async def _find_dataset(self, principal: Principal) -> Dataset | None:
        async with self._database.transaction(read_only=True) as tx:
            found, _ = await datasets.list_datasets(tx, principal, _NEWEST)
        return found[0] if found else None

    async def _read_file(self, principal: Principal) -> DataSource:
        path, name = self._source.path, self._source.name
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise FileTooLarge(MAX_FILE_BYTES)
        self._show.step("reading the file")
        file = datasources.ReceivedFile(name, "", path, size)
        given = self._order.overrides
        options = datasources.read_options(
            given.get("encoding"), given.get("delimiter"), given.get("header"), given.get("sheet")
        )
        content_type = await datasources.check_file(file, options)
        async with self._database.transaction() as tx:
            source = await datasources.add_file(
                tx, self._engine, principal, file, content_type, options
            )

        async def look(tx: Tx) -> DataSource | None:
            found = await datasources.get_datasource(tx, principal, str(source.datasource_id))
            return None if found.status is SourceStatus.PROCESSING else found

        source = await self._wait_for(look)
        if source.status is SourceStatus.FAILED:
            reason = source.error.message if source.error else "it cannot be read."
            raise CommandFailed(f"{name}: {reason}")
        if source.is_document:
            raise CommandFailed(f"{name} holds no table, and a run fills tables.")
        return source

    async def _make_dataset(self, principal: Principal, source: DataSource) -> Dataset:
        columns = list(self._order.columns)
        body = {"type": DatasetType.ENRICHMENT, "name": _NAME, "columns": columns}
        asked = validate_json(DatasetCreate, dump_json(body))
        new = datasets.NewDataset(
            asked.type,
            asked.name,
            None,
            [str(source.datasource_id)],
            [column.to_column(asked.type) for column in asked.columns or []],
        )
        async with self._database.transaction() as tx:
            return await datasets.create_dataset(tx, self._engine, principal, new, DatasetLimits())

    async def _import(self, principal: Principal, dataset: Dataset) -> Dataset:
        self._show.step("importing its rows")

        async def look(tx: Tx) -> Dataset | None:
            found = await datasets.get_dataset(tx, principal, str(dataset.dataset_id))
            return None if found.status is DatasetStatus.PROCESSING else found

        dataset = await self._wait_for(look)
        if dataset.status is DatasetStatus.FAILED:
            reason = dataset.error["message"] if dataset.error else "The rows cannot be imported."
            raise CommandFailed(reason)
        return dataset

    async def _fill(self, principal: Principal, dataset: Dataset) -> Task:
        async with self._database.transaction(read_only=True) as tx:
            found, _ = await tasks.list_tasks(tx, principal, _NEWEST, dataset=dataset)
        task = found[0] if found and _is_good(found[0]) else None
        if task is None:
            task = await self._start_task(principal, dataset)

        async def look(tx: Tx) -> Task | None:
            seen = await tasks.get_task(tx, dataset, str(task.task_id))
            self._show.progress(seen)
            return None if seen.is_open else seen

        return await self._wait_for(look)

    async def _start_task(self, principal: Principal, dataset: Dataset) -> Task:
        order = self._order
        budget = None if order.max_cost_usd is None else Budget(order.max_cost_usd, None)
        shop = Shop(self._engine, self._operations, TaskLimits())
        async with self._database.transaction() as tx:
            columns = await datasets.list_columns(tx, dataset)
            numbers = {column.name: column.column_no for column in columns}
            chosen = [encode_column(dataset.key, numbers[name]) for name in order.names]
            return await tasks.create_bulk(
                tx,
                shop,
                principal,
                dataset,
                asked=SelectionRequest(column_ids=chosen),
                terms=Terms(budget=budget, model=order.model),
            )

    async def _write(self, dataset: Dataset) -> None:
        order = self._order
        async with self._database.transaction() as tx:
            token, _, _ = await datasets.create_export(
                tx,
                dataset,
                file_format=order.target.file_format,
                column_ids=None,
                filter_text=None,
                include_metadata=order.include_metadata,
                expires_in=_LINK_SECONDS,
            )
            link = await auth.verify_link(tx, token)
        download = await datasets.open_export(self._database, link)
        with _replacing(order.target.path) as file:
            async for chunk in download.chunks:
                file.write(chunk)

    async def _wait_for(self, look: Callable[[Tx], Awaitable[T | None]]) -> T:
        while True:
            async with self._database.transaction(read_only=True) as tx:
                found = await look(tx)
            if found is not None:
                return found
            await asyncio.sleep(_POLL_SECONDS)


def _is_good(task: Task) -> bool:
    """Whether an earlier run's task will do, or did, all that can be done."""
    return task.is_open or (task.status is TaskStatus.COMPLETED and not task.cells.failed)


@contextmanager
def _replacing(out: Path | None) -> Generator[BinaryIO]:
    """A file that takes the place of `out` when the block ends well; `None`: standard output.

    Whoever reads `out` sees the old file or the whole new one.
    """
    if out is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # Whoever reads has seen enough; nor may the interpreter's last flush complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    try:
        with tempfile.NamedTemporaryFile(
            dir=out.parent, prefix=f".{out.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                yield cast("BinaryIO", file)
                file.flush()
                temporary.chmod(0o666 & ~_read_umask())
                temporary.replace(out)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise Unfinished(f"Cannot write {out}: {error.strerror}.") from None


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
