"""The room's job: read an uploaded file into a grid.

Three steps, no transaction open across the reading: the file to a temporary folder; a child
process, bounded in memory and time, to a spool; one transaction with grid, rows and status. A
run that dies leaves nothing and is repeated.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from gridmill.datasources import service
from gridmill.datasources.blame import blame_file
from gridmill.datasources.parsing.files import parse_file
from gridmill.datasources.parsing.model import (
    CODE_MALFORMED,
    Format,
    Parsed,
    ParseFailure,
    ParseOptions,
)
from gridmill.engine.port import Engine, Handler, HandlerSpec, JobContext
from gridmill.kit.processes import ProcessPool
from gridmill.storage.database import Database
from gridmill.storage.files import repository as files

CPU_SECONDS = 300.0
SCAN_CPU_SECONDS = 900.0
"""Processor time of what may hold scans: 200 pages at some three seconds each, and as much again."""

_WALL_FACTOR = 4.0
_CHUNK_BYTES = 2**20

ParseRunner = Callable[[str, str, str, ParseOptions], Awaitable[Parsed]]
"""Runs `parse_file` somewhere that survives what a file may do to it."""


def handlers(database: Database, engine: Engine, pool: ProcessPool) -> dict[str, HandlerSpec]:
    """The handlers by job name; `pool` bounds the memory of its children."""

    async def run_in_child(
        path: str, spool_path: str, content_type: str, options: ParseOptions
    ) -> Parsed:
        cpu_seconds = _limit_cpu(Format(content_type))
        return await pool.run(
            parse_file,
            path,
            spool_path,
            content_type,
            options,
            seconds=_WALL_FACTOR * cpu_seconds,
            cpu_seconds=cpu_seconds,
        )

    async def give_up(payload: Mapping[str, Any], error: str) -> None:
        async with database.transaction() as tx:
            await service.fail_datasource(
                tx,
                engine,
                UUID(payload["datasourceId"]),
                CODE_MALFORMED,
                f"Reading the file was tried several times and failed: {error[:300]}",
            )

    return {
        service.PROCESS_JOB: HandlerSpec(
            make_handler(database, engine, run_in_child), max_attempts=5, on_exhausted=give_up
        )
    }


def make_handler(database: Database, engine: Engine, run: ParseRunner) -> Handler:
    """The handler of `datasources.process` over whatever runs the parser."""

    async def process(payload: Mapping[str, Any], context: JobContext) -> None:  # noqa: ARG001
        await process_source(database, engine, run, UUID(payload["datasourceId"]))

    return process


async def process_source(
    database: Database, engine: Engine, run: ParseRunner, datasource_id: UUID
) -> None:
    """Read one source, once: nothing happens when it was read, failed or deleted before."""
    with tempfile.TemporaryDirectory(prefix="gridmill-source-") as folder:
        path, spool = Path(folder, "file"), Path(folder, "rows")
        async with database.transaction(statement_timeout=0) as tx:
            source = await service.find_unprocessed(tx, datasource_id)
            if source is None:
                return
            await files.copy_file_to(tx, source.file_id, path)
        try:
            with blame_file(_limit_cpu(source.content_type)):
                parsed = await run(str(path), str(spool), source.content_type.value, source.options)
        except ParseFailure as failure:
            async with database.transaction() as tx:
                await service.fail_datasource(
                    tx, engine, datasource_id, failure.code, failure.message
                )
            return
        async with database.transaction(statement_timeout=0) as tx:
            await service.complete_datasource(
                tx, engine, datasource_id, parsed, _read_chunks(spool)
            )


def _limit_cpu(content: Format) -> float:
    is_scan = content in {Format.PDF, Format.PNG, Format.JPEG}
    return SCAN_CPU_SECONDS if is_scan else CPU_SECONDS


async def _read_chunks(path: Path) -> AsyncGenerator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
