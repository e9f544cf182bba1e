"""The job that reads a file: once, whole or not at all, whatever happens to it."""

import asyncio
from uuid import UUID

import pytest

from gridmill.datasources.jobs import handlers, process_source
from gridmill.datasources.parsing.model import Parsed, ParseOptions
from gridmill.engine.port import JobContext
from gridmill.engine.procrastinate_engine import ProcrastinateEngine
from gridmill.kit.processes import ProcessDied, ProcessPool, ProcessTimedOut
from tests.integration.datasources.conftest import BASE, Sources, parse_here


async def _upload(sources: Sources, raw: str = "a,b\n1,2\n") -> UUID:
    return UUID((await sources.upload(raw)).json()["datasourceId"])


async def test_the_upload_and_its_job_are_stored_together(sources: Sources) -> None:
    one = await _upload(sources)
    jobs = await sources.fetch(
        "SELECT task_name, args FROM procrastinate_jobs WHERE args::text LIKE %s", f"%{one}%"
    )
    assert len(jobs) == 1


async def test_a_job_that_runs_twice_reads_once(sources: Sources) -> None:
    one = await _upload(sources)
    await asyncio.gather(
        *(
            process_source(sources.database, ProcrastinateEngine(), parse_here, one)
            for _ in range(3)
        )
    )
    await process_source(sources.database, ProcrastinateEngine(), parse_here, one)
    read = (await sources.call("GET", f"{BASE}/{one}")).json()
    assert (read["status"], read["rowCount"]) == ("completed", 1)
    orphans = await sources.fetch(
        "SELECT grid_no FROM grids g WHERE NOT EXISTS "
        "(SELECT 1 FROM datasources d WHERE d.grid_no = g.grid_no) "
        "AND NOT EXISTS (SELECT 1 FROM datasets d WHERE d.grid_no = g.grid_no)"
    )
    assert orphans == []


async def test_a_crash_leaves_nothing_and_the_next_run_finishes(sources: Sources) -> None:
    one = await _upload(sources)
    before = await sources.fetch("SELECT count(*) FROM grids")

    async def crash(path: str, spool: str, content_type: str, options: ParseOptions) -> Parsed:
        parsed = await parse_here(path, spool, content_type, options)
        with open(spool, "ab") as file:  # noqa: PTH123 (a crash is not polite)
            file.write(b"a row that breaks off")
        return parsed

    with pytest.raises(Exception, match="missing data"):
        await process_source(sources.database, ProcrastinateEngine(), crash, one)
    assert await sources.fetch("SELECT count(*) FROM grids") == before
    assert (await sources.call("GET", f"{BASE}/{one}")).json()["status"] == "processing"
    await process_source(sources.database, ProcrastinateEngine(), parse_here, one)
    assert (await sources.call("GET", f"{BASE}/{one}")).json()["rowCount"] == 1


async def test_a_source_deleted_while_it_is_read_stays_deleted(sources: Sources) -> None:
    one = await _upload(sources)
    before = await sources.fetch("SELECT count(*) FROM grids")

    async def delete_meanwhile(
        path: str, spool: str, content_type: str, options: ParseOptions
    ) -> Parsed:
        assert (await sources.call("DELETE", f"{BASE}/{one}")).status_code == 204
        return await parse_here(path, spool, content_type, options)

    await process_source(sources.database, ProcrastinateEngine(), delete_meanwhile, one)
    assert await sources.fetch("SELECT count(*) FROM grids") == before
    await process_source(sources.database, ProcrastinateEngine(), parse_here, one)


@pytest.mark.parametrize("end", [ProcessTimedOut("parse", 1), ProcessDied("parse", -24)])
async def test_a_file_that_takes_too_long_fails(sources: Sources, end: Exception) -> None:
    one = await _upload(sources)

    async def stop(path: str, spool: str, content_type: str, options: ParseOptions) -> Parsed:
        raise end

    await process_source(sources.database, ProcrastinateEngine(), stop, one)
    read = (await sources.call("GET", f"{BASE}/{one}")).json()
    assert read["status"] == "failed"
    assert "processor time" in read["error"]["message"]


async def test_a_child_that_is_killed_is_retried_and_given_up_in_the_end(sources: Sources) -> None:
    one = await _upload(sources)

    async def die(path: str, spool: str, content_type: str, options: ParseOptions) -> Parsed:
        raise ProcessDied("parse", -9)

    with pytest.raises(ProcessDied):
        await process_source(sources.database, ProcrastinateEngine(), die, one)
    assert (await sources.call("GET", f"{BASE}/{one}")).json()["status"] == "processing"
    pool = ProcessPool(1)
    spec = handlers(sources.database, ProcrastinateEngine(), pool)["datasources.process"]
    assert spec.on_exhausted is not None
    await spec.on_exhausted({"datasourceId": str(one)}, "it died")
    await pool.close()
    read = (await sources.call("GET", f"{BASE}/{one}")).json()
    assert (read["status"], read["error"]["code"]) == ("failed", "MALFORMED_FILE")


async def test_a_document_too_big_for_its_memory_fails_with_a_way_out(sources: Sources) -> None:
    raw = '[{"a": "' + "x" * 40_000_000 + '"}]'
    one = await _upload(sources, raw)
    pool = ProcessPool(1, memory_bytes=120 * 2**20)
    spec = handlers(sources.database, ProcrastinateEngine(), pool)["datasources.process"]
    await spec.run({"datasourceId": str(one)}, JobContext(1, 1, False))
    await pool.close()
    read = (await sources.call("GET", f"{BASE}/{one}")).json()
    assert read["status"] == "failed"
    assert "memory" in read["error"]["message"]


async def test_every_kind_of_cell_survives_the_way_into_the_database(sources: Sources) -> None:
    cells = ["\\", "\\N", "\\.", "a\\tb", '"', "x\ny", "x\r\ny", "tab\there", "é😀", " ", "NULL"]
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    made = await sources.add("k,v\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(quoted)))
    data = (await sources.call("GET", f"{BASE}/{made['datasourceId']}/data")).json()["data"]
    assert data == [[n, cell] for n, cell in enumerate(cells)]
