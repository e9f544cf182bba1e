"""The same table in and out of each format, beside the format's library alone.

    .venv/bin/python -m benchmarks.formats [--rows 100000] [--large 1000000] [--only FORMAT ...]

A table of 12 columns (that of `benchmarks.million`) is written as CSV, XLSX, Parquet and JSON Lines
by the libraries alone, each in a fresh process; uploaded as a data source until its rows can be
read; read by the library alone, every value made a Python object and dropped; then exported from a
dataset of it, through the API, in each format.

CPU of Gridmill is that of server, worker, parser and PostgreSQL, memory the largest resident set of
each of Gridmill's own processes. Memory of a library is its process's, with the interpreter and all
of these libraries loaded (some 59 MiB). A library that writes reads the CSV at the same time.
Gridmill also judges types, keeps empty cells apart and stores the rows: a ratio is the price of all
that. `--large 0` leaves out the export of a large table to Parquet and XLSX.

What is exported is counted row by row; a wrong count ends the benchmark.
"""

import argparse
import csv
import multiprocessing
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import xlsxwriter
from python_calamine import CalamineWorkbook

from benchmarks.million import Bench, Cost, Table
from benchmarks.million_table import MIB, write_table
from benchmarks.support import Server, running_server, wait_for

FORMATS = ("csv", "xlsx", "parquet", "jsonl")
MEMORY_LIMIT = 200 * MIB
IMPORT_SECONDS = 600
EXPORT_SECONDS = 1800


@dataclass(frozen=True)
class Alone:
    """What a library took in a process of its own: seconds, processor seconds, bytes resident."""

    wall: float
    cpu: float
    peak: int

    def __str__(self) -> str:
        return f"{self.wall:.2f} s, {self.cpu:.2f} CPU-s, peak {self.peak / MIB:.0f} MiB"


def read_records(source: Path) -> Iterator[dict[str, Any]]:
    """The rows of the CSV, integers, numbers and truth values as such."""
    kinds: dict[str, Callable[[str], Any]] = {
        **dict.fromkeys(("number", "employees"), int),
        **dict.fromkeys(("revenue", "rating"), float),
        "active": "true".__eq__,
    }
    with source.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {name: kinds.get(name, str)(text) for name, text in row.items()}


def write_alone(file_format: str, source: Path, target: Path) -> None:
    """Write the CSV `source` as `target` with the format's library and nothing else."""
    if file_format == "csv":
        with (
            source.open(newline="", encoding="utf-8") as file,
            target.open("w", newline="", encoding="utf-8") as out,
        ):
            csv.writer(out, lineterminator="\n").writerows(csv.reader(file))
    elif file_format == "jsonl":
        encode = msgspec.json.Encoder().encode
        with target.open("wb") as out:
            for record in read_records(source):
                out.write(encode(record) + b"\n")
    elif file_format == "parquet":
        with duckdb.connect(config={"threads": "1"}) as database:
            rows = database.read_csv(str(source))
            rows.write_parquet(str(target))
    else:
        with xlsxwriter.Workbook(str(target), {"constant_memory": True}) as book:
            sheet = book.add_worksheet()
            for number, record in enumerate(read_records(source)):
                if number == 0:
                    sheet.write_row(0, 0, record)
                sheet.write_row(number + 1, 0, record.values())


def read_alone(file_format: str, path: Path) -> int:
    """Read `path` with the format's library and nothing else; the count of its rows."""
    count = 0
    if file_format == "csv":
        with path.open(newline="", encoding="utf-8") as file:
            count = sum(1 for _ in csv.reader(file)) - 1
    elif file_format == "jsonl":
        decode = msgspec.json.Decoder().decode
        with path.open("rb") as file:
            count = sum(1 for line in file if decode(line) is not None)
    elif file_format == "parquet":
        with duckdb.connect(config={"threads": "1"}) as database:
            result = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
            while rows := result.fetchmany(2_000):
                count += len(rows)
    else:
        with CalamineWorkbook.from_path(str(path)) as book:
            count = sum(1 for _ in book.get_sheet_by_index(0).iter_rows()) - 1
    return count


def _report(send: Any, work: Callable[..., object], arguments: tuple[object, ...]) -> None:  # noqa: ANN401 - multiprocessing's connections differ by platform
    start, began = time.perf_counter(), time.process_time()
    work(*arguments)
    cost = time.perf_counter() - start, time.process_time() - began
    send.send(Alone(*cost, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def run_alone(work: Callable[..., object], *arguments: object) -> Alone:
    """Do it in a fresh interpreter; its cost. Raises `EOFError` when it fails there."""
    # Forked, it would begin with the memory of this process.
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(send, work, arguments))
    process.start()
    send.close()
    try:
        return receive.recv()
    finally:
        process.join()


def poll(server: Server, path: str) -> Table:
    """The source or dataset once it is there. Raises `RuntimeError` when it failed."""

    def ended() -> Table | None:
        found = server.call("GET", path)
        return None if found["status"] == "processing" else found

    found = wait_for(ended, IMPORT_SECONDS, path, pause=0.05)
    if found["status"] != "completed":
        raise RuntimeError(f"{path}: {found}")
    return found


def import_file(bench: Bench, path: Path, rows: int) -> tuple[str, Cost]:
    """Upload until every row can be read: the source's id, and what it took."""
    with bench.measured() as cost:
        with path.open("rb") as file:
            source = bench.server.call("POST", "/datasources", files={"file": (path.name, file)})
        read = poll(bench.server, f"/datasources/{source['datasourceId']}")
    if read["rowCount"] != rows:
        raise RuntimeError(f"{path.name}: {read['rowCount']} rows and not {rows}")
    return source["datasourceId"], cost


def make_dataset(bench: Bench, source_id: str) -> None:
    """A dataset of the source's rows, in `bench.dataset`."""
    body: Table = {"type": "blank", "name": "formats", "datasourceId": source_id}
    dataset_id = bench.server.call("POST", "/datasets", json=body)["datasetId"]
    bench.dataset = poll(bench.server, f"/datasets/{dataset_id}")


def export_file(bench: Bench, file_format: str, target: Path) -> Cost:
    """The dataset in that format, through its link, as `target`."""
    client = bench.server.client
    assert client is not None
    with bench.measured() as cost:
        link = bench.server.call("POST", f"{bench.path}/export", json={"format": file_format})
        with (
            client.stream("GET", link["downloadUrl"], timeout=EXPORT_SECONDS) as response,
            target.open("wb") as out,
        ):
            if response.status_code != 200:
                raise RuntimeError(f"export {file_format}: {response.status_code}")
            for chunk in response.iter_bytes():
                out.write(chunk)
    return cost


def count_rows(file_format: str, path: Path) -> int:
    """The rows of an exported file; a workbook's are counted without holding them."""
    if file_format != "xlsx":
        return read_alone(file_format, path)
    count, tail = 0, b""
    with zipfile.ZipFile(path) as archive, archive.open("xl/worksheets/sheet1.xml") as sheet:
        while chunk := sheet.read(MIB):
            count += (tail + chunk).count(b"<row ")
            tail = chunk[-4:]
    return count - 1


def tell(what: str, cost: Cost, alone: Alone | None, size: int) -> None:
    """One line: the cost, beside the library's."""
    ratio = ""
    if alone is not None:
        ratio = (
            f"; library alone {alone} = {cost.wall / alone.wall:.1f} x its time,"
            f" {cost.cpu / alone.cpu:.1f} x its CPU"
        )
    print(f"{what:15} {size / MIB:6.1f} MiB: {cost}{ratio}", flush=True)


def measure_formats(bench: Bench, folder: Path, rows: int, formats: list[str]) -> None:
    """Import and export of each format."""
    writing = {
        name: run_alone(write_alone, name, bench.csv, folder / f"t.{name}") for name in formats
    }
    for name in formats:
        path = folder / f"t.{name}"
        source_id, cost = import_file(bench, path, rows)
        tell(f"import {name}", cost, run_alone(read_alone, name, path), path.stat().st_size)
        if not bench.dataset:
            make_dataset(bench, source_id)
    for name in formats:
        export_counted(bench, name, folder, rows, writing[name])


def export_counted(
    bench: Bench, name: str, folder: Path, rows: int, alone: Alone | None = None
) -> Cost:
    """Export, count, tell."""
    target = folder / f"out.{name}"
    cost = export_file(bench, name, target)
    found = count_rows(name, target)
    if found != rows:
        raise RuntimeError(f"export {name}: {found} rows and not {rows}")
    tell(f"export {name}", cost, alone, target.stat().st_size)
    target.unlink()
    return cost


def measure_large(bench: Bench, folder: Path, rows: int, formats: list[str]) -> None:
    """Memory of exporting a large table in the formats that are no streams."""
    write_table(bench.csv, rows)
    source_id, cost = import_file(bench, bench.csv, rows)
    tell("import csv", cost, None, bench.csv.stat().st_size)
    make_dataset(bench, source_id)
    for name in sorted({"parquet", "xlsx"}.intersection(formats)):
        peak = max(export_counted(bench, name, folder, rows).peaks.values())
        verdict = "kept" if peak < MEMORY_LIMIT else "missed"
        print(f"{'':15} peak {peak / MIB:.0f} MiB (limit {MEMORY_LIMIT // MIB}: {verdict})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000, help="0: leave it out")
    parser.add_argument("--only", nargs="+", choices=FORMATS, default=list(FORMATS))
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="gridmill-formats-") as name,
        running_server() as server,
    ):
        folder = Path(name)
        bench = Bench(server, folder / "table.csv")
        if options.rows:
            write_table(bench.csv, options.rows)
            print(f"{options.rows:,} rows x 12 columns")
            measure_formats(bench, folder, options.rows, options.only)
        if options.large:
            print(f"{options.large:,} rows x 12 columns")
            measure_large(bench, folder, options.large, options.only)


if __name__ == "__main__":
    main()
