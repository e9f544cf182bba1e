"""Workbooks and Parquet files: in by upload, out by export, and in again."""

import io
import zipfile
from collections.abc import Callable

import httpx2
import pytest
import xlsxwriter

from tests.acceptance.conftest import connect
from tests.support.api import Json, ask, read_grid, upload
from tests.support.serving import Served
from tests.support.waiting import eventually


def make_workbook(**sheets: list[list[object]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return buffer.getvalue()


async def make_dataset_of(client: httpx2.AsyncClient, source: Json) -> Json:
    body = {"type": "blank", "name": "d", "datasourceId": source["datasourceId"]}
    made = await ask(client, "POST", "/datasets", json=body)

    async def read() -> Json | None:
        found = await ask(client, "GET", f"/datasets/{made['datasetId']}")
        return None if found["status"] == "processing" else found

    return await eventually(read, timeout=60)


@pytest.mark.parametrize("file_format", ["xlsx", "parquet"])
async def test_what_is_exported_comes_in_again_as_it_was(server: Served, file_format: str) -> None:
    table = 'code,n,text\n00123,7,"=1+1"\n00124,-2.5,\n12345678901234567,,"a ""b"""\n'
    async with connect(server) as client:
        dataset = await make_dataset_of(client, await upload(client, table))
        link = await ask(
            client, "POST", f"/datasets/{dataset['datasetId']}/export", json={"format": file_format}
        )
        assert link["fileName"] == f"d.{file_format}"
        file = await client.get(link["downloadUrl"])
        assert file.status_code == 200
        source = await upload(client, file.content, f"again.{file_format}")
        assert source["status"] == "completed", source
        again = await make_dataset_of(client, source)
        first, second = [await read_grid(client, one, cells="values") for one in (dataset, again)]
        assert first["data"] == second["data"]
        assert [c["name"] for c in second["columns"]] == ["code", "n", "text"]


async def test_every_sheet_is_read_or_the_named_one(server: Served) -> None:
    book = make_workbook(north=[["id", "x"], ["00a", 1]], south=[["id", "y"], ["00b", 2.5]])
    async with connect(server) as client:
        source = await upload(client, book, "book.bin")
        data = await ask(client, "GET", f"/datasources/{source['datasourceId']}/data")
        assert [column["name"] for column in data["columns"]] == ["sheet", "id", "x", "y"]
        assert data["data"] == [["north", "00a", 1, None], ["south", "00b", None, 2.5]]
        made = await ask(
            client,
            "POST",
            "/datasources",
            files={"file": ("book.xlsx", book)},
            data={"sheet": "south"},
        )

        async def read() -> Json | None:
            found = await ask(client, "GET", f"/datasources/{made['datasourceId']}")
            return None if found["status"] == "processing" else found

        named = await eventually(read, timeout=60)
        assert [column["name"] for column in named["columns"]] == ["id", "y"]


def change(book: bytes, part: str, edit: Callable[[bytes], bytes]) -> bytes:
    """The workbook with one of its parts rewritten."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, edit(text) if name == part else text)
    return buffer.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (
            lambda text: text.replace(
                b"</sheetData>",
                b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>',
            ),
            "spans",
        ),
        (
            lambda text: text.replace(
                b"<worksheet",
                b'<!DOCTYPE w [<!ENTITY e SYSTEM "file:///etc/passwd">]><worksheet',
                1,
            ),
            "document type",
        ),
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: text + b" " * (70 * 2**20), "grows"),
    ],
    ids=["far cell", "external entity", "cut sheet", "bomb"],
)
async def test_a_hostile_workbook_fails_alone(
    server: Served, edit: Callable[[bytes], bytes], word: str
) -> None:
    book = change(make_workbook(a=[["id", "x"], ["1", 2]]), SHEET, edit)
    async with connect(server) as client:
        source = await upload(client, book, "bad.xlsx")
        assert source["status"] == "failed", source
        assert source["error"]["code"] == "MALFORMED_FILE"
        assert word in source["error"]["message"]
        assert (await upload(client, "a\n1\n"))["status"] == "completed"


async def test_a_parquet_file_cut_in_half_fails_alone(server: Served) -> None:
    async with connect(server) as client:
        dataset = await make_dataset_of(client, await upload(client, "a,b\n1,x\n"))
        path = f"/datasets/{dataset['datasetId']}/export"
        link = await ask(client, "POST", path, json={"format": "parquet"})
        whole = (await client.get(link["downloadUrl"])).content
        source = await upload(client, whole[: len(whole) // 2], "half.parquet")
        assert (source["status"], source["error"]["code"]) == ("failed", "MALFORMED_FILE")
