"""`POST /datasources/preview` through the running server: what would be read, and nothing kept."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.acceptance.conftest import connect
from tests.acceptance.datasources.test_workbooks import SHEET, change, make_workbook
from tests.support.api import Json, ask, refuse
from tests.support.serving import Served

PATH = "/datasources/preview"


async def show(
    client: httpx2.AsyncClient, raw: bytes | str, name: str = "a.csv", **fields: str
) -> Json:
    content = raw.encode() if isinstance(raw, str) else raw
    return await ask(client, "POST", PATH, files={"file": (name, content)}, data=fields)


async def test_a_preview_tells_how_a_file_would_be_read_and_stores_nothing(server: Served) -> None:
    raw = "name;zip;n\r\nJosé;00123;1\r\n;00124;2\r\n".encode("cp1252")
    async with connect(server) as client:
        before = await ask(client, "GET", "/datasources")
        shown = await show(client, raw, "people.txt")
        assert shown == {
            "fileName": "people.txt",
            "contentType": "text/csv",
            "encoding": "cp1252",
            "delimiter": ";",
            "header": True,
            "sheet": None,
            "sheets": None,
            "columns": [
                {"name": "name", "dataType": "text"},
                {"name": "zip", "dataType": "text"},
                {"name": "n", "dataType": "integer"},
            ],
            "rows": [["José", "00123", 1], [None, "00124", 2]],
        }
        overridden = await show(client, raw, encoding="iso-8859-2", delimiter="tab", header="false")
        assert (overridden["encoding"], overridden["delimiter"]) == ("iso8859-2", "\t")
        assert overridden["header"] is False
        assert overridden["columns"] == [{"name": "column_1", "dataType": "text"}]
        assert len(overridden["rows"]) == 3
        after = await ask(client, "GET", "/datasources")
        assert after["pagination"]["total"] == before["pagination"]["total"]


async def test_a_preview_of_a_workbook_names_its_sheets(server: Served) -> None:
    book = make_workbook(north=[["id", "x"], ["00a", 1]], south=[["id", "y"], ["00b", 2.5]])
    async with connect(server) as client:
        both = await show(client, book, "book")
        assert (both["sheet"], both["sheets"]) == (None, ["north", "south"])
        assert both["rows"] == [["north", "00a", 1, None], ["south", "00b", None, 2.5]]
        one = await show(client, book, sheet="south")
        assert (one["sheet"], one["encoding"], one["header"]) == ("south", None, True)
        assert one["rows"] == [["00b", 2.5]]
        details = await refuse(
            client,
            "POST",
            PATH,
            422,
            "VALIDATION_ERROR",
            files={"file": ("book.xlsx", book)},
            data={"sheet": "east"},
        )
        (fault,) = details["fields"]
        assert fault["field"] == "sheet"
        assert "north, south" in fault["message"]


async def test_a_repeat_under_an_idempotency_key_shows_the_same(server: Served) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    files = {"file": ("a.csv", b"a,b\n1,2\n")}
    async with connect(server) as client:
        first = await client.post(PATH, files=files, headers=headers)
        again = await client.post(PATH, files=files, headers=headers)
    assert (first.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"


ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le") * 2
BOOK = make_workbook(a=[["id", "x"], ["1", 2]])
FAR = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'


@pytest.mark.parametrize(
    ("raw", "fields", "status", "code", "words"),
    [
        (b"", {}, 422, "MALFORMED_FILE", "empty"),
        (b" \n\n", {"delimiter": ";"}, 422, "MALFORMED_FILE", "blank"),
        (b"a,b\n1,\x002\n", {}, 422, "MALFORMED_FILE", "Line 2 holds a NUL"),
        (b"a,b\n1,2,3\n", {}, 422, "MALFORMED_FILE", "Line 2 has 3 fields"),
        (b"a,b\n\xe9,2\n", {"encoding": "utf-8"}, 422, "MALFORMED_FILE", "Line 2 is not UTF-8"),
        (BOOK[: len(BOOK) // 2], {}, 422, "MALFORMED_FILE", "damaged"),
        (
            change(BOOK, SHEET, lambda text: text.replace(b"</sheetData>", FAR)),
            {},
            422,
            "MALFORMED_FILE",
            "spans",
        ),
        (ENCRYPTED, {}, 415, "UNSUPPORTED_FORMAT", "encrypted"),
        (b"GIF89a", {}, 415, "UNSUPPORTED_FORMAT", "GIF"),
        (b"%PDF-1.7\n", {}, 422, "MALFORMED_FILE", "damaged"),
        (b"PAR1" + bytes(40), {}, 422, "MALFORMED_FILE", "Parquet"),
        (b"a\n", {"encoding": "utf-9"}, 422, "VALIDATION_ERROR", "utf-8, utf-16, windows-1252"),
        (b"a\n", {"delimiter": ";;"}, 422, "VALIDATION_ERROR", "comma, semicolon, tab, pipe"),
        (b"a\n", {"header": "maybe"}, 422, "VALIDATION_ERROR", "true or false"),
        (b"a\n", {"name": "x"}, 422, "VALIDATION_ERROR", "not known"),
    ],
    ids=[
        "empty",
        "blank",
        "NUL",
        "ragged",
        "not its encoding",
        "cut workbook",
        "far cell",
        "encrypted workbook",
        "GIF",
        "cut PDF",
        "cut Parquet",
        "unknown encoding",
        "two characters",
        "no boolean",
        "unknown field",
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_at_once(  # noqa: PLR0917 (drawn by name)
    server: Served, raw: bytes, fields: dict[str, str], status: int, code: str, words: str
) -> None:
    async with connect(server) as client:
        response = await client.post(PATH, files={"file": ("a.csv", raw)}, data=fields)
    assert response.status_code == status, response.text
    body = response.json()
    assert body["code"] == code
    said: list[Any] = [body["error"], *body["details"].get("fields", [])]
    assert words in str(said)


async def test_a_preview_needs_a_key_that_writes_and_a_form(server: Served) -> None:
    async with connect(server) as client:
        await refuse(client, "POST", PATH, 415, "UNSUPPORTED_MEDIA_TYPE", json={"file": "x"})
        made = await ask(client, "POST", "/keys", json={"name": "reader", "scopes": ["read"]})
        client.headers["Authorization"] = f"Bearer {made['key']}"
        await refuse(client, "POST", PATH, 403, "INSUFFICIENT_SCOPE")
        client.headers.pop("Authorization")
        await refuse(client, "POST", PATH, 401, "UNAUTHORIZED")


async def test_only_the_start_of_a_long_table_is_read_and_many_are_shown_at_once(
    server: Served,
) -> None:
    late = "a,b\n" + "1,2\n" * 50_000 + "1,2,3\n"
    async with connect(server) as client:
        many = await asyncio.gather(*(show(client, late) for _ in range(4)))
    assert all(shown["rows"] == [[1, 2]] * 20 for shown in many)
