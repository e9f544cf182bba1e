"""Rows of documents: each document or record once, in the order of the links, known afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from gridmill.datasets import service as datasets
from gridmill.datasets.model import Dataset, DatasetType, TaskType
from gridmill.datasources import repository as source_repository
from gridmill.datasources.model import SourceError
from gridmill.kit.ids import encode_row
from gridmill.operations.model import (
    Batch,
    BatchOutcome,
    CellError,
    CellOutcome,
    CellStatus,
    MadeRows,
    NewRow,
    Order,
    RecordRef,
)
from gridmill.providers.documents.model import Document, Page, Record, Span
from gridmill.tasks.model import Operations
from gridmill.tasks.planning import plan_task
from tests.support.stored_documents import store_document, store_source, store_text
from tests.support.task_bench import Bench, ScriptedOperation

pytestmark = pytest.mark.integration
FAULT = CellError("NOT_FOUND", "It is not in the document.", retryable=True)


@dataclass
class Reader:
    """Makes rows of the first words of documents or records, read through the library."""

    fails: set[str] = field(default_factory=set[str])
    orders: list[Order] = field(default_factory=list[Order])

    async def make(self, order: Order) -> MadeRows:
        self.orders.append(order)
        rows = [
            NewRow([await self.read(order, number, item, 0) for number in order.wanted], item)
            for item in order.items
        ]
        return MadeRows(rows)

    async def read(
        self, source: Order | Batch, column_no: int, item: RecordRef, row_no: int
    ) -> CellOutcome:
        assert source.library is not None
        document = await source.library.load_document(item.datasource_id)
        assert document is not None
        record = next((one for one in document.records if one.number == item.record), None)
        page = document.pages[0 if record is None else record.page - 1]
        start, end = (0, len(page.text)) if record is None else (record.span.start, record.span.end)
        quote = page.text[start:end]
        if quote in self.fails:
            return CellOutcome(row_no, column_no, CellStatus.ERROR, error=FAULT)
        said = {"kind": "document", "page": page.number, "start": start, "end": end, "quote": quote}
        return CellOutcome(row_no, column_no, CellStatus.OK, quote, 0.9, sources=[said])

    async def answer(self, batch: Batch) -> BatchOutcome:
        """The same for rows that are there."""
        return BatchOutcome(
            [
                await self.read(batch, number, row.origin, row.row_no)
                for row in batch.rows
                for number in row.wanted
                if row.origin is not None
            ]
        )


@pytest.fixture
def reader(bench: Bench) -> Reader:
    made = Reader()
    operation = ScriptedOperation(answer=made.answer)
    by_type = {TaskType.ENRICHMENT: bench.operation, TaskType.EXTRACTION: operation}
    bench.operations = Operations(by_type, makers={DatasetType.EXTRACTION: made})
    bench.registry[Operations] = bench.operations
    return made


async def store_texts(bench: Bench, texts: Sequence[str]) -> list[UUID]:
    async with bench.database.transaction() as tx:
        workspace_id = bench.principal.workspace_id
        return [await store_text(tx, workspace_id, f"{text}.txt", [text]) for text in texts]


async def make_dataset(
    bench: Bench, sources: Sequence[UUID], columns: Sequence[str] = ("title",), **config: Any
) -> Dataset:
    body = {
        "type": "extraction",
        "name": "papers",
        "datasourceIds": [str(one) for one in sources],
        "columns": [{"name": name} for name in columns],
        "config": config,
    }
    made = await bench.call("POST", "/datasets", 201, json=body)
    async with bench.database.transaction() as tx:
        return await datasets.get_dataset(tx, bench.principal, made["datasetId"])


async def start(bench: Bench, dataset: Dataset, rows: int, status: int = 202) -> dict[str, Any]:
    path = f"/datasets/{dataset.dataset_id}/tasks/new-rows"
    return await bench.call("POST", path, status, json={"rowCount": rows})


async def read_titles(bench: Bench, dataset: Dataset) -> list[str | None]:
    return list((await bench.values(dataset, 1)).values())


async def test_documents_become_rows_in_the_order_of_their_links_until_none_is_left(
    bench: Bench, reader: Reader
) -> None:
    sources = await store_texts(bench, [f"text {number}" for number in range(20)])
    dataset = await make_dataset(bench, sources, rowsPer="document")
    async with bench.working(slots=1):
        done = await bench.wait_for(await start(bench, dataset, 12))
        assert (done["status"], done["results"]["rowsCreated"]) == ("completed", 12)
        assert await read_titles(bench, dataset) == [f"text {number}" for number in range(12)]
        assert [len(order.items) for order in reader.orders] == [8, 4]
        done = await bench.wait_for(await start(bench, dataset, 100))
        assert done["progress"]["total"] == done["results"]["rowsCreated"] == 8
        assert await read_titles(bench, dataset) == [f"text {number}" for number in range(20)]
        reply = await start(bench, dataset, 1, status=422)
        assert reply["code"] == "INVALID_TASK_FOR_DATASET"
        assert "Link another one" in reply["error"]
    source = (await bench.metadata(dataset, 3, 1))["sources"][0]
    assert source["quote"] == "text 2"[source["start"] : source["end"]]


async def test_deleted_rows_stay_away_and_undone_or_unwritten_documents_come_again(
    bench: Bench, reader: Reader
) -> None:
    sources = await store_texts(bench, ["a", "b", "c", "d"])
    dataset = await make_dataset(bench, sources)
    path = f"/datasets/{dataset.dataset_id}"
    async with bench.working(slots=1):
        first = await bench.wait_for(await start(bench, dataset, 2))
        row_ids = {"rowIds": [encode_row(dataset.key, 1)]}
        await bench.call("DELETE", f"{path}/rows", 200, json=row_ids)
    # Cancelled before any of it was made.
    cancelled = await start(bench, dataset, 2)
    await bench.call("POST", f"{path}/tasks/{cancelled['taskId']}/cancel", 200)
    async with bench.working(slots=1):
        second = await bench.wait_for(await start(bench, dataset, 9))
        assert await read_titles(bench, dataset) == ["b", "c", "d"]
        revert = f"{path}/tasks/{second['taskId']}/revert"
        assert (await bench.call("POST", revert, 200))["rowsDeleted"] == 2
        again = await bench.wait_for(await start(bench, dataset, 9))
        assert again["results"]["rowsCreated"] == 2
        assert await read_titles(bench, dataset) == ["b", "c", "d"]
        # Undoing the first task brings back the row that was deleted, too: nothing was made of it.
        await bench.call("POST", f"{path}/tasks/{first['taskId']}/revert", 200)
        assert (await bench.wait_for(await start(bench, dataset, 9)))["results"]["rowsCreated"] == 2
        assert await read_titles(bench, dataset) == ["c", "d", "a", "b"]


def make_invoice(name: str, lines: Sequence[str]) -> Document:
    """A document whose records are its lines, with fields `item` and `price`."""
    text = "\n".join(lines)
    records: list[Record] = []
    start = 0
    for number, line in enumerate(lines, 1):
        middle = start + len(line) // 2
        fields = (("item", Span(start, middle)), ("price", Span(middle, start + len(line))))
        records.append(Record(number, 1, Span(start, start + len(line)), fields))
        start += len(line) + 1
    return Document(name, [Page(1, text)], records)


async def test_records_become_rows_and_a_document_may_be_taken_in_parts(
    bench: Bench, reader: Reader
) -> None:
    async with bench.database.transaction() as tx:
        workspace_id = bench.principal.workspace_id
        sources = [
            await store_document(tx, workspace_id, make_invoice("one", ["tea 1", "milk 2"])),
            await store_text(tx, workspace_id, "letter", ["Dear all"]),
            await store_document(tx, workspace_id, make_invoice("two", ["rice 3", "salt 4"])),
        ]
    dataset = await make_dataset(bench, sources, ["item", "price"])
    estimate = f"/datasets/{dataset.dataset_id}/tasks/estimate"
    async with bench.working(slots=1):
        found = await bench.call("POST", estimate, 200, json={"type": "new-rows", "rowCount": 50})
        assert (found["rows"], found["cells"]) == (5, 10)
        await bench.wait_for(await start(bench, dataset, 1))
        await bench.wait_for(await start(bench, dataset, 3))
        await bench.wait_for(await start(bench, dataset, 9))
        expected = ["tea 1", "milk 2", "Dear all", "rice 3", "salt 4"]
        assert await read_titles(bench, dataset) == expected
        assert (await start(bench, dataset, 1, status=422))["code"] == "INVALID_TASK_FOR_DATASET"
        # A config that asks for whole documents takes none of these again.
        path = f"/datasets/{dataset.dataset_id}"
        await bench.call("PATCH", path, 200, json={"config": {"rowsPer": "document"}})
        assert (await start(bench, dataset, 1, status=422))["code"] == "INVALID_TASK_FOR_DATASET"
    metadata = await bench.metadata(dataset, 5, 2)
    assert metadata["sources"][0]["start"] == len("rice 3\n")


async def test_what_is_passed_over_is_said(bench: Bench, reader: Reader) -> None:
    async with bench.database.transaction() as tx:
        workspace_id = bench.principal.workspace_id
        broken = await store_source(tx, workspace_id, "broken")
        await source_repository.fail_source(tx, broken, SourceError("MALFORMED_FILE", "Bad."))
        listless = await store_text(tx, workspace_id, "letter", ["Dear all"])
        listing = await store_document(tx, workspace_id, make_invoice("one", ["tea 1"]))
    dataset = await make_dataset(bench, [broken], rowsPer="record")
    reply = await start(bench, dataset, 1, status=422)
    assert "1 (could not be read)" in reply["error"]
    path = f"/datasets/{dataset.dataset_id}"
    sources = {"datasourceIds": [str(listless), str(listing)]}
    await bench.call("PATCH", path, 200, json=sources)
    async with bench.working():
        done = await bench.wait_for(await start(bench, dataset, 5))
    assert done["progress"]["total"] == 1
    assert done["results"]["message"] == (
        "Documents that were passed over: 1 (could not be read), "
        "1 (list no records that fit the columns)."
    )
    empty = await make_dataset(bench, [])
    reply = await start(bench, empty, 1, status=422)
    assert "No document is linked" in reply["error"]


async def test_documents_that_are_still_being_read_are_waited_for(
    bench: Bench, reader: Reader
) -> None:
    async with bench.database.transaction() as tx:
        workspace_id = bench.principal.workspace_id
        waiting = await store_source(tx, workspace_id, "waiting")
        ready = await store_text(tx, workspace_id, "letter", ["Dear all"])
    dataset = await make_dataset(bench, [waiting, ready])
    async with bench.working():
        task = await start(bench, dataset, 5)
        path = f"/datasets/{dataset.dataset_id}/tasks/{task['taskId']}"
        assert (await bench.call("GET", path, 200))["status"] == "queued"
        async with bench.database.transaction() as tx:
            await source_repository.fail_source(tx, waiting, SourceError("MALFORMED_FILE", "Bad."))
        done = await bench.wait_for(task)
    assert done["progress"]["completed"] == 1
    assert "1 (could not be read)" in done["results"]["message"]


async def test_cells_are_extracted_again_from_the_rows_own_document(
    bench: Bench, reader: Reader
) -> None:
    dataset = await make_dataset(bench, await store_texts(bench, ["a", "b", "c"]))
    path = f"/datasets/{dataset.dataset_id}"
    reader.fails = {"b"}
    async with bench.working():
        made = await bench.wait_for(await start(bench, dataset, 3))
        assert (made["progress"]["failed"], made["progress"]["completed"]) == (1, 2)
        reader.fails = set()
        retry = f"{path}/tasks/{made['taskId']}/retry"
        again = await bench.wait_for(await bench.call("POST", retry, 202))
        assert again["progress"]["completed"] == again["progress"]["total"] == 1
        assert await read_titles(bench, dataset) == ["a", "b", "c"]
        # A row that a person added has no document.
        await bench.call("POST", f"{path}/rows", 201, json={"rows": [{"title": None}]})
        bulk = {"processOnlyEmpty": False}
        done = await bench.wait_for(await bench.start_bulk(dataset, **bulk))
    assert (done["progress"]["completed"], done["progress"]["failed"]) == (3, 1)
    assert (await bench.metadata(dataset, 4, 1))["error"]["code"] == "NO_DOCUMENT"
    assert await read_titles(bench, dataset) == ["a", "b", "c", None]


async def test_documents_are_extracted_and_the_rest_of_the_row_is_enriched(
    bench: Bench, reader: Reader
) -> None:
    dataset = await make_dataset(bench, await store_texts(bench, ["a"]))
    body = {"name": "kind", "taskType": "enrichment"}
    await bench.call("POST", f"/datasets/{dataset.dataset_id}/columns", 201, json=body)
    async with bench.working():
        await bench.wait_for(await start(bench, dataset, 1))
    (batch,) = bench.operation.batches
    assert replace(batch.rows[0], origin=None).values == {"title": "a", "kind": None}
    assert (await bench.values(dataset, 2))[1] is not None


async def test_planning_holds_no_lock_on_the_documents_that_it_looked_into(
    bench: Bench, reader: Reader
) -> None:
    sources = await store_texts(bench, [f"text {number}" for number in range(30)])
    dataset = await make_dataset(bench, sources)
    task = await start(bench, dataset, 30)
    async with bench.database.transaction() as tx:
        await plan_task(tx, bench.engine, bench.operations, UUID(task["taskId"]))
        cursor = await tx.execute(
            "SELECT count(DISTINCT c.oid) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
            "WHERE l.pid = pg_backend_pid() AND c.relname ~ '^grid_[0-9]+$'"
        )
        # The dataset's own, at most: a server has no room for the locks of ten thousand.
        assert await cursor.fetchone() in {(0,), (1,)}
    assert (await bench.read_task(task))["progress"]["total"] == 30
