"""What an upload answers: type and size at once, the content afterwards."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gridmill.auth.model import Scope
from gridmill.datasources import upload
from tests.integration.datasources.conftest import BASE, Sources


def _check(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    body = response.json()
    assert body["code"] == code
    return body


async def test_a_table_goes_in_and_comes_out(sources: Sources) -> None:
    response = await sources.upload('id,name,zip\n1,"Ann, ""A""",00100\n2,,00200\n', "people.csv")
    assert response.status_code == 201
    made = response.json()
    assert response.headers["location"] == f"{BASE}/{made['datasourceId']}"
    assert made["status"] == "processing"
    assert made["processedAt"] is None
    assert made["rowCount"] is None
    early = await sources.call("GET", f"{BASE}/{made['datasourceId']}/data")
    assert early.json()["data"] == []
    await sources.process_in_child(made["datasourceId"])
    read = (await sources.call("GET", f"{BASE}/{made['datasourceId']}")).json()
    assert read.pop("processedAt").endswith("Z")
    assert read.pop("uploadedAt").endswith("Z")
    assert read == {
        "datasourceId": made["datasourceId"],
        "fileName": "people.csv",
        "contentType": "text/csv",
        "fileSize": 42,
        "status": "completed",
        "rowCount": 2,
        "columnCount": 3,
        "pageCount": None,
        "error": None,
        "columns": [
            {"name": "id", "dataType": "integer"},
            {"name": "name", "dataType": "text"},
            {"name": "zip", "dataType": "text"},
        ],
        "linkedDatasets": [],
    }
    data = (await sources.call("GET", f"{BASE}/{made['datasourceId']}/data")).json()
    assert data["columns"] == read["columns"]
    assert data["data"] == [[1, 'Ann, "A"', "00100"], [2, None, "00200"]]
    assert data["pagination"] == {
        "page": 1,
        "limit": 50,
        "total": 2,
        "totalPages": 1,
        "nextCursor": None,
    }


async def test_both_routes_take_the_same_form(sources: Sources) -> None:
    response = await sources.call(
        "POST",
        f"{BASE}/upload",
        files={"file": ("a.csv", b"x~y\n1~2\n", "text/csv")},
        data={"name": "Named", "delimiter": "~", "header": "false", "encoding": "latin-1"},
    )
    assert response.status_code == 201, response.text
    await sources.process(response.json()["datasourceId"])
    read = (await sources.call("GET", response.headers["location"])).json()
    assert read["fileName"] == "Named"
    assert [column["name"] for column in read["columns"]] == ["column_1", "column_2"]
    assert read["rowCount"] == 2


@pytest.mark.parametrize(
    ("raw", "name", "content_type"),
    [
        (b"a\tb\n1\t2\n", "x.bin", "text/tab-separated-values"),
        (b'[{"a": 1}]', "x.csv", "application/json"),
        (b'{"a": 1}\n{"a": 2}\n', "x", "application/x-ndjson"),
        (b"Just a text.\n", "x.pdf", "text/plain"),
    ],
)
async def test_the_type_is_told_from_the_content(
    sources: Sources, raw: bytes, name: str, content_type: str
) -> None:
    read = await sources.add(raw, name)
    assert read["contentType"] == content_type
    assert read["status"] == "completed"
    if content_type == "text/plain":
        assert read["pageCount"] == 1
        data = (await sources.call("GET", f"{BASE}/{read['datasourceId']}/data")).json()
        assert data["data"] == [[1, "Just a text.\n"]]


@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        ("a,b\n1,2\n3,4,5\n", "MALFORMED_FILE", "Line 3"),
        ('a,b\n1,"2\n', "MALFORMED_FILE", "Line 2"),
        ("a,b\n1,\x002\n", "MALFORMED_FILE", "Line 2"),
        (b"a,b\n\xc3\xa9,2\n1,\xff\n", "MALFORMED_FILE", "Line 3"),
        (",".join(f"c{n}" for n in range(100_000)) + "\n", "MALFORMED_FILE", "100,000 columns"),
        ('[{"a": 1}, {"b"]', "MALFORMED_FILE", "Line 1"),
    ],
)
async def test_a_malformed_file_fails_by_its_place_and_leaves_nothing(
    sources: Sources, raw: bytes | str, code: str, place: str
) -> None:
    grids = await sources.fetch("SELECT count(*) FROM grids")
    read = await sources.add(raw)
    assert read["status"] == "failed"
    assert read["error"]["code"] == code
    assert place in read["error"]["message"]
    assert read["processedAt"] is not None
    assert read["rowCount"] is None
    assert read["columns"] == []
    data = await sources.call("GET", f"{BASE}/{read['datasourceId']}/data")
    assert data.json()["data"] == []
    assert await sources.fetch("SELECT count(*) FROM grids") == grids


@pytest.mark.parametrize(
    "raw", [b"GIF89a", b"PK\x03\x04 ppt/", bytes(range(256)) * 9, b"<kml></kml>"]
)
async def test_other_formats_are_unsupported_whatever_their_name(
    sources: Sources, raw: bytes
) -> None:
    before = await sources.fetch("SELECT count(*) FROM datasources")
    body = _check(await sources.upload(raw, "data.csv"), 415, "UNSUPPORTED_FORMAT")
    assert "CSV" in body["error"]
    assert await sources.fetch("SELECT count(*) FROM datasources") == before


async def test_forms_that_do_not_hold_are_refused(sources: Sources) -> None:
    file = ("a.csv", b"a,b\n1,2\n", "text/csv")
    many: list[tuple[int, str, dict[str, Any]]] = [
        (422, "VALIDATION_ERROR", {"data": {"name": "x"}, "files": {"name": (None, b"x")}}),
        (422, "VALIDATION_ERROR", {"files": [("file", file), ("file", file)]}),
        (422, "VALIDATION_ERROR", {"files": {"file": file}, "data": {"other": "x"}}),
        (422, "VALIDATION_ERROR", {"files": {"file": file, "name": ("x.txt", b"x")}}),
        (422, "VALIDATION_ERROR", {"files": {"file": file}, "data": {"name": ["x", "y"]}}),
        (422, "VALIDATION_ERROR", {"files": {"file": file}, "data": {"name": " "}}),
        (422, "VALIDATION_ERROR", {"files": {"file": file}, "data": {"name": "x" * 256}}),
        (422, "VALIDATION_ERROR", {"files": {"file": file}, "data": {"name": "x" * 70_000}}),
        (422, "VALIDATION_ERROR", {"files": {"file": file}, "data": {"encoding": "rot13"}}),
        (422, "VALIDATION_ERROR", {"files": {"file": file}, "data": {"delimiter": "ab"}}),
        (422, "VALIDATION_ERROR", {"files": {"file": file}, "data": {"header": "yes"}}),
        (422, "INVALID_TEXT", {"files": {"file": file, "name": (None, b"\xff")}}),
        (422, "INVALID_TEXT", {"files": {"file": file, "name": (None, b"a\0b")}}),
        (422, "MALFORMED_FILE", {"files": {"file": ("a.csv", b"", "text/csv")}}),
        (404, "WEBHOOK_NOT_FOUND", {"files": {"file": file}, "data": {"webhookId": "x"}}),
        (415, "UNSUPPORTED_MEDIA_TYPE", {"json": {"file": "x"}}),
        (415, "UNSUPPORTED_MEDIA_TYPE", {"content": b"a,b"}),
    ]
    before = await sources.fetch("SELECT count(*) FROM datasources")
    for status, code, request in many:
        _check(await sources.call("POST", BASE, **request), status, code)
    assert await sources.fetch("SELECT count(*) FROM datasources") == before
    assert await sources.fetch("SELECT count(*) FROM files f WHERE NOT EXISTS (SELECT 1 FROM datasources d WHERE d.file_id = f.file_id)") == [(0,)]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n",
        b"--b--\r\n",
        b"junk",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\r\n',
        b"--b\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\n" + b"X: y\r\n" * 500 + b"\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + b"a" * 20_000 + b'"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n' * 200 + b"--b--\r\n",
    ],
)  # fmt: skip
async def test_broken_multipart_is_refused(sources: Sources, body: bytes) -> None:
    for boundary in ("; boundary=b", "", "; boundary="):
        headers = {"Content-Type": f"multipart/form-data{boundary}"}
        response = await sources.call("POST", BASE, content=body, headers=headers)
        _check(response, 422, "VALIDATION_ERROR")


async def test_a_file_over_the_limit_is_refused_early_and_while_it_streams(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "MAX_FILE_BYTES", 1_000)
    monkeypatch.setattr(upload, "_OVERHEAD", 500)
    assert (await sources.upload(b"a,b\n" + b"1,2\n" * 249)).status_code == 201
    _check(await sources.upload(b"a,b\n" + b"1,2\n" * 250), 413, "FILE_TOO_LARGE")
    _check(await sources.upload(b"x" * 5_000), 413, "FILE_TOO_LARGE")

    async def stream() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(1_000):
            yield b"1,2\n"
        raise AssertionError("more was read than is allowed")

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await sources.call("POST", BASE, content=stream(), headers=headers)
    _check(response, 413, "FILE_TOO_LARGE")


@pytest.mark.parametrize(("header", "rows"), [("False", 2), ("TRUE", 1)])
async def test_a_yes_or_no_may_be_written_as_python_writes_it(
    sources: Sources, header: str, rows: int
) -> None:
    made = await sources.upload("a,b\n1,2\n", header=header)
    assert made.status_code == 201, made.text
    await sources.process(made.json()["datasourceId"])
    read = await sources.call("GET", made.headers["location"])
    assert read.json()["rowCount"] == rows


async def test_a_key_that_only_reads_cannot_upload(sources: Sources) -> None:
    response = await sources.call(
        "POST", BASE, scope=Scope.READ, files={"file": ("a.csv", b"a,b\n1,2\n")}
    )
    _check(response, 403, "INSUFFICIENT_SCOPE")
    assert response.json()["error"] == "This needs a key with the scope 'write'."


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\files\\données 😀.csv", "données 😀.csv"),
        ('a"b;c.csv', 'a"b;c.csv'),
        ("..", ".."),
        ("", "upload"),
        ("x" * 300 + ".csv", "x" * 251 + ".csv"),
    ],
)
async def test_file_names_lose_their_folders_and_links_carry_them(
    sources: Sources, sent: str, kept: str
) -> None:
    body = (
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{sent.replace(chr(34), "%22")}"'
        "\r\n\r\na,b\n1,2\n\r\n--b--\r\n"
    ).encode()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await sources.call("POST", BASE, content=body, headers=headers)
    assert response.status_code == 201, response.text
    assert response.json()["fileName"] == kept
    link = await sources.call("POST", f"{response.headers['location']}/download")
    sent_back = await sources.http.get(link.json()["downloadUrl"])
    assert sent_back.status_code == 200
    assert sent_back.content == b"a,b\n1,2\n"
    assert sent_back.headers["content-disposition"].startswith("attachment; ")
