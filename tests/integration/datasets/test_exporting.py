import csv
import io
import re
import tempfile
import zipfile
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from gridmill.auth import service as auth
from gridmill.datasets import service
from gridmill.datasets.errors import DatasetNotFound
from gridmill.datasets.exporting import escape_formula
from gridmill.datasets.model import Dataset, TaskType
from gridmill.kit.http import Download
from gridmill.kit.ids import encode_column
from gridmill.kit.values import DataType, to_wire
from gridmill.storage import grids
from tests.integration.datasets.conftest import World

TABLE = {"a": DataType.TEXT, "b": DataType.TEXT}


async def make(world: World, rows: int) -> Dataset:
    source = await world.add_source(TABLE, [[f"text {n}", "x" * 60] for n in range(1, rows + 1)])
    return await world.create(sources=[source])


async def open_export(world: World, dataset: Dataset, **options: object) -> Download:
    async with world.database.transaction() as tx:
        token, _, _ = await service.create_export(
            tx,
            dataset,
            file_format=str(options.get("file_format", "csv")),
            column_ids=None,
            filter_text=None,
            include_metadata=bool(options.get("include_metadata", False)),
            expires_in=60,
        )
        link = await auth.verify_link(tx, token)
    assert link.expires_at <= datetime.now(UTC) + timedelta(seconds=60)
    return await service.open_export(world.database, link)


async def test_an_export_streams_in_small_pieces_and_holds_no_transaction(world: World) -> None:
    dataset = await make(world, 40_000)
    download = await open_export(world, dataset)
    sizes: list[int] = []
    async for chunk in download.chunks:
        sizes.append(len(chunk))
        async with world.database.transaction() as tx:
            cursor = await tx.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
            )
            assert await cursor.fetchone() == (0,)
    assert len(sizes) >= 8
    assert sum(sizes) > 2_800_000
    assert max(sizes) < 2**20


async def test_columns_may_go_while_a_file_streams(world: World) -> None:
    dataset = await make(world, 2_500)
    download = await open_export(world, dataset, file_format="jsonl")
    chunks = download.chunks
    first = await anext(chunks)
    streamed = len(first.splitlines())
    a, b = [encode_column(dataset.key, one.column_no) for one in await world.columns(dataset)]
    async with world.database.transaction() as tx:
        await service.reset_task_type(tx, world.principal, dataset, a, task_type=TaskType.NONE)
        await service.delete_column(tx, dataset, b)
    rest = b"".join([chunk async for chunk in chunks]).splitlines()
    assert first.splitlines()[0].startswith(b'{"a":"text 1","b":"xx')
    assert (len(rest), rest[0]) == (2_500 - streamed, b'{"a":null,"b":null}')


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
async def test_a_transfer_breaks_off_when_its_dataset_is_deleted(
    world: World, file_format: str
) -> None:
    dataset = await make(world, 2_500)
    chunks = (await open_export(world, dataset, file_format=file_format)).chunks
    await anext(chunks)
    async with world.database.transaction() as tx:
        await service.delete_dataset(tx, world.jobs, dataset)
    with pytest.raises((psycopg.Error, DatasetNotFound)):
        async for _ in chunks:
            pass


TYPED = {
    "id": DataType.TEXT,
    "n": DataType.INTEGER,
    "x": DataType.NUMBER,
    "yes": DataType.BOOLEAN,
    "day": DataType.DATE,
    "at": DataType.DATETIME,
}
ROWS: list[list[str | None]] = [
    ["00123", "7", "2.5", "true", "2026-01-31", "2026-01-31T12:30:00Z"],
    ["=1+1", "-3", "-0.25", "false", "1850-05-06", "2026-01-31T12:30:00+02:00"],
    ['a "b",\nc', None, None, None, None, None],
]


read = datetime.fromisoformat


async def download_typed(
    world: World, file_format: str, folder: Path, rows: list[list[str | None]]
) -> Path:
    source = await world.add_source(TYPED, rows)
    dataset = await world.create(sources=[source])
    download = await open_export(world, dataset, file_format=file_format)
    file = folder / f"out.{file_format}"
    file.write_bytes(b"".join([chunk async for chunk in download.chunks]))
    return file


def read_parquet(file: Path) -> tuple[list[str], list[tuple[object, ...]]]:
    with duckdb.connect() as database:
        found = database.execute(f"SELECT * FROM read_parquet('{file}')")
        return [str(column[1]) for column in found.description], found.fetchall()


async def test_a_parquet_file_has_the_types_of_its_columns(world: World, tmp_path: Path) -> None:
    types, rows = read_parquet(await download_typed(world, "parquet", tmp_path, ROWS))
    assert types == ["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP"]
    assert rows[0] == ("00123", 7, 2.5, True, date(2026, 1, 31), read("2026-01-31T12:30:00"))
    assert rows[1][5] == read("2026-01-31T10:30:00")
    assert rows[2] == ('a "b",\nc', None, None, None, None, None)


async def test_an_integer_beyond_64_bits_makes_its_parquet_column_text(
    world: World, tmp_path: Path
) -> None:
    big = str(2**70)
    rows: list[list[str | None]] = [["a", big, *[None] * 4], ["b", "1", *[None] * 4]]
    types, found = read_parquet(await download_typed(world, "parquet", tmp_path, rows))
    assert types[1] == "VARCHAR"
    assert [row[1] for row in found] == [big, "1"]


async def test_an_empty_dataset_makes_files_with_a_header_alone(
    world: World, tmp_path: Path
) -> None:
    types, rows = read_parquet(await download_typed(world, "parquet", tmp_path, []))
    assert (len(types), rows) == (6, [])
    sheet = read_sheet(await download_typed(world, "xlsx", tmp_path, []))
    assert sheet == [list(TYPED)]


def read_sheet(file: Path) -> list[list[object]]:
    book = CalamineWorkbook.from_path(file)
    return [list(row) for row in book.get_sheet_by_index(0).to_python()]


async def test_a_sheet_has_numbers_dates_and_texts_and_no_formula(
    world: World, tmp_path: Path
) -> None:
    long_id = "12345678901234567"
    rows = [*ROWS, ["'x", long_id, *[None] * 4]]
    file = await download_typed(world, "xlsx", tmp_path, rows)
    sheet = read_sheet(file)
    assert sheet[0] == list(TYPED)
    assert sheet[1] == [
        *("00123", 7, 2.5, True),
        date(2026, 1, 31),
        read("2026-01-31T12:30:00"),
    ]
    assert sheet[2][:5] == ["=1+1", -3, -0.25, False, "1850-05-06"]
    assert sheet[2][5] == read("2026-01-31T10:30:00")
    assert sheet[3][0] == 'a "b",\nc'
    assert sheet[4][:2] == ["'x", long_id]
    with zipfile.ZipFile(file) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize("file_format", ["parquet", "xlsx"])
async def test_an_export_that_nobody_reads_to_its_end_leaves_no_file(
    world: World, file_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    download = await open_export(world, await make(world, 2_500), file_format=file_format)
    assert await anext(download.chunks)
    assert list(tmp_path.iterdir()) != []
    assert isinstance(download.chunks, AsyncGenerator)
    await download.chunks.aclose()
    assert list(tmp_path.iterdir()) == []


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.text("=+-@\t\r\n\"',; aé1\\.", max_size=6)),
            st.one_of(st.none(), st.sampled_from(["1", "-2", "-2.5", "=1", "-x", "+3", "-1\n"])),
        ),
        min_size=1,
        max_size=8,
    )
)
async def test_csv_written_by_the_server_reads_back_escaped(
    world: World, rows: list[tuple[str | None, str | None]]
) -> None:
    source = await world.add_source({"a": DataType.TEXT, "n": DataType.NUMBER}, rows)
    dataset = await world.create(sources=[source])
    download = await open_export(world, dataset)
    raw = b"".join([chunk async for chunk in download.chunks]).decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(raw, newline="")))[1:]
    numbers = re.compile(r"-?[0-9]+(\.[0-9]+)?")
    assert read == [
        [
            escape_formula(text or ""),
            number if number and numbers.fullmatch(number) else escape_formula(number or ""),
        ]
        for text, number in rows
    ]


JSON_TYPES = {
    'text "%s"': DataType.TEXT,
    "n": DataType.INTEGER,
    "x": DataType.NUMBER,
    "yes": DataType.BOOLEAN,
}
NUMBERS = st.one_of(
    st.none(),
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(["2.5", "-0.25", "3.0", "1.50", "0.0000012", "9" * 20, "007", "n/a", "1\n2"]),
)
UNTYPED = st.one_of(
    st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(
        st.tuples(UNTYPED, NUMBERS, NUMBERS, st.sampled_from(["true", "false", None])),
        min_size=1,
        max_size=6,
    )
)
async def test_json_lines_written_by_the_server_are_those_written_value_by_value(
    world: World, rows: list[tuple[str | None, ...]]
) -> None:
    dataset = await world.create(sources=[await world.add_source(JSON_TYPES, rows)])
    download = await open_export(world, dataset, file_format="jsonl")
    raw = b"".join([chunk async for chunk in download.chunks])
    assert raw == b"".join(
        orjson.dumps(
            {
                name: to_wire(text, data_type)
                for text, (name, data_type) in zip(row, JSON_TYPES.items(), strict=True)
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for row in rows
    )


async def test_the_server_writes_regular_pages_and_leaves_the_others(world: World) -> None:
    source = await world.add_source({"n": DataType.INTEGER}, [["1"], [None], ["9" * 20]])
    dataset = await world.create(sources=[source])
    columns = [(column.name, column.in_grid) for column in await world.columns(dataset)]
    async with world.database.transaction() as tx:
        pages = [
            await grids.read_json_lines(tx, dataset.grid_no, columns, first=first, last=first + 1)
            for first in (1, 2, 4)
        ]
    assert pages == [b'{"n":1}\n{"n":null}\n', None, b""]


@pytest.mark.parametrize("include_metadata", [False, True])
async def test_a_parquet_file_tells_empty_texts_and_holds_long_ones(
    world: World, tmp_path: Path, *, include_metadata: bool
) -> None:
    texts = ["", None, "x" * 3_000_000, None, 'a "b",\n\n=c']
    source = await world.add_source({"a": DataType.TEXT}, [[text] for text in texts])
    dataset = await world.create(sources=[source])
    download = await open_export(
        world, dataset, file_format="parquet", include_metadata=include_metadata
    )
    file = tmp_path / "out.parquet"
    file.write_bytes(b"".join([chunk async for chunk in download.chunks]))
    names, found = read_parquet(file)
    assert len(names) == (4 if include_metadata else 1)
    assert [row[0] for row in found] == texts
