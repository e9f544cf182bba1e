"""A million rows: import, pages, views, exports, cells and tasks, beside limits of the same run.

    .venv/bin/python -m benchmarks.million [import] [pages] [export] [edits] [task] [cells]

All parts share a server and its source and dataset of 1,000,000 rows x 12 columns. CPU is that of
Gridmill's processes and PostgreSQL's; of the bare COPY, psycopg's own and PostgreSQL's. Memory is
the largest resident set that each of Gridmill's processes reached during a part.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from benchmarks.million_cells import write_rows
from benchmarks.million_table import MIB, NAMES, ROWS, write_table
from benchmarks.support import (
    Server,
    children_of,
    command_of,
    cpu_seconds,
    peak_memory,
    reset_peak,
    running_model,
    running_server,
    wait_for,
)
from gridmill.storage.embedded.folder import DataFolder

CALLS = 60
PAGE = {"limit": 50}
VIEWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sort=company": {"sort": "company"},
    "sort=revenue desc": {"sort": "revenue", "order": "desc"},
    "filter=active": {"filter": "active = true"},
}
Table = dict[str, Any]


@dataclass
class Cost:
    """What a piece of work took: seconds by the clock and of processors, and memory."""

    wall: float = 0.0
    cpu: float = 0.0
    peaks: dict[str, int] = field(default_factory=dict[str, int])

    def __str__(self) -> str:
        peaks = ", ".join(f"{name} {size / MIB:.0f}" for name, size in sorted(self.peaks.items()))
        return f"{self.wall:.2f} s, {self.cpu:.2f} CPU-s, peak MiB: {peaks}"


@dataclass
class Bench:
    """The server with the million rows, and the limit measured beside it."""

    server: Server
    csv: Path
    bare: float = 0.0
    source_id: str = ""
    dataset: Table = field(default_factory=Table)

    @property
    def path(self) -> str:
        """The dataset's path."""
        return f"/datasets/{self.dataset['datasetId']}"

    @property
    def database_url(self) -> str:
        """The address of the server's PostgreSQL."""
        url = DataFolder.at(self.server.folder).read_address()
        assert url is not None
        return url

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to it."""
        return psycopg.connect(self.database_url, autocommit=True)

    def pids(self) -> list[int]:
        """All processes of the server."""
        assert self.server.process is not None
        return [self.server.process.pid, *children_of(self.server.process.pid)]

    @contextmanager
    def measured(self) -> Generator[Cost]:
        """Processor time and memory of the server's processes meanwhile."""
        cost, ended = Cost(), threading.Event()
        ours = {pid: name for pid in self.pids() if (name := _name(pid)) is not None}
        for pid in ours:
            reset_peak(pid)

        def watch() -> None:
            while True:
                for pid in self.pids():
                    name = _name(pid)
                    with suppress(FileNotFoundError, ProcessLookupError):
                        if name is not None:
                            cost.peaks[name] = max(cost.peaks.get(name, 0), peak_memory(pid))
                if ended.wait(0.1):
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        before, start = self._cpu(), time.perf_counter()
        try:
            yield cost
            cost.wall, cost.cpu = time.perf_counter() - start, self._cpu() - before
        finally:
            ended.set()
            watcher.join()

    def _cpu(self) -> float:
        total = 0.0
        for pid in self.pids():
            with suppress(FileNotFoundError, ProcessLookupError):
                total += cpu_seconds(pid)
        return total


def _name(pid: int) -> str | None:
    try:
        command = command_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None  # it has just ended
    if "process_child" in command:
        return "child"
    if "gridmill worker" in command:
        return "worker"
    return "server" if "gridmill" in command and "serve" in command else None


def copy_bare(bench: Bench) -> None:
    """The limit: psycopg's COPY of the same file into a table of text columns, middle of three."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} text").format(sql.Identifier(name)) for name in NAMES.split(",")
    )
    taken: list[float] = []
    for _ in range(3):
        with bench.connect() as connection:
            connection.execute(sql.SQL("CREATE TABLE bare ({})").format(columns))
            own = time.process_time()
            with (
                bench.measured() as cost,
                bench.csv.open("rb") as file,
                connection.cursor().copy("COPY bare FROM STDIN (FORMAT csv, HEADER)") as copy,
            ):
                while chunk := file.read(2**18):
                    copy.write(chunk)
            taken.append(cost.cpu + time.process_time() - own)
            connection.execute("DROP TABLE bare")
    # A backend that ends while processes are listed is counted later, as the next one's time.
    time.sleep(1)
    bench.bare = statistics.median(taken)
    print(f"bare COPY: {', '.join(f'{cpu:.2f}' for cpu in taken)} CPU-s (the middle is the unit)")


def import_table(bench: Bench) -> None:
    """The upload until it is read, and a dataset of it until it is there."""
    # A worker that still loads its modules would be counted: it has when it has read a file.
    first = bench.server.call("POST", "/datasources", files={"file": ("first.csv", b"a,b\n1,2\n")})
    _poll(bench, f"/datasources/{first['datasourceId']}")
    copy_bare(bench)
    with bench.measured() as cost:
        with bench.csv.open("rb") as file:
            source = bench.server.call("POST", "/datasources", files={"file": ("m.csv", file)})
        bench.source_id = source["datasourceId"]
        read = _poll(bench, f"/datasources/{bench.source_id}")
    assert read["rowCount"] == ROWS, read
    print(f"source: {cost} = {cost.cpu / bench.bare:.2f} x bare (limit 3)")
    body: Table = {"type": "data_enrichment", "name": "m", "datasourceId": bench.source_id}
    body["columns"] = [{"name": "segment", "metadata": {"prompt": "The segment of {{company}}"}}]
    with bench.measured() as cost:
        dataset_id = bench.server.call("POST", "/datasets", json=body)["datasetId"]
        bench.dataset = _poll(bench, f"/datasets/{dataset_id}")
    assert bench.dataset["rowCount"] == ROWS, bench.dataset
    print(f"dataset: {cost} = {cost.cpu / bench.bare:.2f} x bare (limit 3)")


def _poll(bench: Bench, path: str) -> Table:
    def ended() -> Table | None:
        found = bench.server.call("GET", path)
        return None if found["status"] == "processing" else found

    found = wait_for(ended, 300, path, pause=0.2)
    assert found["status"] == "completed", found
    return found


def read_pages(bench: Bench) -> None:
    """Medians and 95th percentiles by page and by cursor: plain, sorted, filtered."""
    for kind, path in (("dataset", bench.path), ("source", f"/datasources/{bench.source_id}")):
        for name in VIEWS:
            _read_view(bench, f"{kind} {name}", f"{path}/data", name, range(1, ROWS + 1))


def _read_view(bench: Bench, name: str, path: str, view_name: str, rows: Sequence[int]) -> None:
    view = VIEWS[view_name]
    start = time.perf_counter()
    first = bench.server.call("GET", path, params={**view, **PAGE})
    built = time.perf_counter() - start
    total = first["pagination"]["total"]
    # What `write_table` made active is what three does not divide.
    assert total == (sum(row % 3 > 0 for row in rows) if "filter" in view else len(rows)), total
    told = [f"first call {built * 1000:.0f} ms, total {total}"]
    for place in (0, total // 2, total - 100):
        paged = _time_calls(lambda at: _page(bench, path, view, at), place)
        cursor = _page(bench, path, view, place)["pagination"]["nextCursor"]
        followed = _time_calls(
            lambda _, c=cursor: bench.server.call(
                "GET", path, params={**view, **PAGE, "cursor": c}
            ),
            place,
        )
        told.append(f"at {place}: page {paged}, cursor {followed}")
    print(f"pages, {name}: " + "; ".join(told))


def _page(bench: Bench, path: str, view: Table, place: int) -> Table:
    number = place // PAGE["limit"] + 1
    return bench.server.call("GET", path, params={**view, **PAGE, "page": number})


def _time_calls(call: Callable[[int], Table], place: int) -> str:
    took: list[float] = []
    for _ in range(CALLS):
        start = time.perf_counter()
        assert call(place)["data"]
        took.append((time.perf_counter() - start) * 1000)
    return f"{statistics.median(took):.1f}/{statistics.quantiles(took, n=20)[-1]:.1f} ms"


def export_table(bench: Bench) -> None:
    """CSV and JSON Lines, fetched and thrown away."""
    for file_format in ("csv", "jsonl"):
        link = bench.server.call("POST", f"{bench.path}/export", json={"format": file_format})
        assert bench.server.client is not None
        own, lines, size = time.process_time(), 0, 0
        with (
            bench.measured() as cost,
            bench.server.client.stream("GET", link["downloadUrl"]) as response,
        ):
            for chunk in response.iter_bytes():
                lines += chunk.count(b"\n")
                size += len(chunk)
        own = time.process_time() - own
        assert lines == ROWS + (file_format == "csv"), lines
        print(
            f"export {file_format}: {size / MIB:.0f} MiB, {cost} = {cost.cpu / bench.bare:.2f} x "
            f"bare (and {own:.2f} CPU-s of the reader)"
        )


def edit_table(bench: Bench) -> None:
    """Edits, and what they leave of a sorted page; 10,000 rows deleted; exact pages after it."""
    path = f"{bench.path}/data"
    by_company: Table = {"sort": "company"}
    _page(bench, path, by_company, 0)
    first = bench.server.call("GET", path, params=PAGE)
    names = [column["name"] for column in first["columns"]]
    for column, value in (("note", "edited"), ("company", "Zzz")):
        cell = first["data"][0][names.index(column)]["cellId"]
        with _timed(f"edit of {column}"):
            bench.server.call("PATCH", f"{bench.path}/cells/{cell}", json={"value": value})
        with _timed(f"page sorted by company after an edit of {column}"):
            _page(bench, path, by_company, 500_000)
    gone: list[str] = []
    for place in range(10):
        params = {"limit": 1000, "page": 1 + place * 90, "cells": "values"}
        gone += bench.server.call("GET", path, params=params)["rowIds"]
    with bench.measured() as cost, _timed("delete of 10,000 rows"):
        bench.server.call("DELETE", f"{bench.path}/rows", json={"rowIds": gone})
    print(f"delete of 10,000 rows: {cost.cpu:.2f} CPU-s")
    last = _page(bench, path, {"cells": "values"}, 499_950)
    assert last["pagination"]["total"] == ROWS - len(gone)
    # Ten blocks of 1,000 rows are gone, six of them before this place.
    assert last["data"][0][0] == 499_951 + 6_000, last["data"][0]
    rows = [row for row in range(1, ROWS + 1) if (row - 1) % 90_000 >= 1_000 or row > 900_000]
    for name in VIEWS:
        _read_view(bench, f"dataset {name} after deletes", path, name, rows)


@contextmanager
def _timed(what: str) -> Generator[None]:
    start = time.perf_counter()
    yield
    print(f"{what}: {(time.perf_counter() - start) * 1000:.0f} ms")


def run_task(bench: Bench) -> None:
    """A task over every empty cell of a column: planned, watched, cancelled, undone."""
    with bench.measured() as cost:
        start = time.perf_counter()
        task = bench.server.call("POST", f"{bench.path}/tasks/bulk", json={})
        asked = time.perf_counter() - start
        task_path = f"{bench.path}/tasks/{task['taskId']}"

        def begun() -> Table | None:
            found = bench.server.call("GET", task_path)
            return found if found["status"] != "queued" else None

        found = wait_for(begun, 120, "plan", pause=0.05)
        planned = time.perf_counter() - start
    print(
        f"task: {found['progress']['total']} cells, asked for in {asked * 1000:.0f} ms, planned in "
        f"{planned:.2f} s (limit 5), {cost}"
    )
    time.sleep(3)
    data = f"{bench.path}/data"
    for view in ({}, {"sort": "company"}, {"filter": "active = true"}, {"sort": "segment"}):
        _page(bench, data, view, 0)
        took = _time_calls(lambda at, v=view: _page(bench, data, v, at), 100_000)
        print(f"page {view or 'plain'} while the task writes: {took}")
    with _timed("cancel while the task writes"):
        bench.server.call("POST", f"{task_path}/cancel", json={})
    with _timed("page after the cancel"):
        _page(bench, data, {}, 0)
    written = bench.server.call("GET", task_path)["results"]["cellsWritten"]
    with bench.measured() as cost, _timed(f"approve of {written} cells by task"):
        body = {"action": "approve", "taskId": task["taskId"]}
        bench.server.call("POST", f"{bench.path}/cells/review", json=body)
    with bench.measured() as cost, _timed(f"revert of {written} cells"):
        undone = bench.server.call("POST", f"{task_path}/revert", json={})
    print(f"revert: {undone}, {cost.cpu:.2f} CPU-s")
    with _timed("new task"):
        task = bench.server.call("POST", f"{bench.path}/tasks/bulk", json={})
    with _timed("cancel of the queued task"):
        bench.server.call("POST", f"{bench.path}/tasks/{task['taskId']}/cancel", json={})


def write_cells(bench: Bench) -> None:
    """Three cells of 10,000 rows with metadata and history: empty or imported, then a task's own."""
    for first, batch_rows in ((200_001, 200), (300_001, 1_000)):
        for what in ("first writes", "written again"):
            own = time.process_time()
            with bench.measured() as cost:
                cells = write_rows(
                    bench.database_url,
                    UUID(bench.dataset["datasetId"]),
                    first,
                    first + 9_999,
                    batch_rows,
                )
            cpu = cost.cpu + time.process_time() - own
            assert cells == 30_000, cells
            print(
                f"cells, {what}, batches of {batch_rows} rows: {cells} in {cost.wall:.2f} s, "
                f"{cpu:.2f} CPU-s = {cells / cpu / 1000:.0f}k a CPU-s"
            )


PARTS: dict[str, Callable[[Bench], None]] = {
    "import": import_table,
    "pages": read_pages,
    "export": export_table,
    "edits": edit_table,
    "task": run_task,
    "cells": write_cells,
}


def main(parts: list[str]) -> None:
    """Run the parts named, or all; the import always."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_model("--latency", "0.2") as model,
        running_server(
            GRIDMILL_LLM_BASE_URL=model.url,
            GRIDMILL_LLM_API_KEY="fake",
            GRIDMILL_LLM_MODEL="fake-model",
        ) as server,
    ):
        table = Path(folder, "million.csv")
        write_table(table)
        bench = Bench(server, table)
        import_table(bench)
        for part in parts or PARTS:
            if part != "import":
                PARTS[part](bench)
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
