"""What a file is: from its content, and by its name only where the content leaves it open."""

import io
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.datasources.parsing.model import Format, ParseOptions
from gridmill.datasources.parsing.sniff import HEAD_BYTES, Sniffed, sniff_format


def _sniff(
    raw: bytes, name: str = "", declared: str = "", options: ParseOptions | None = None
) -> Sniffed:
    return sniff_format(
        raw,
        whole=True,
        file_name=name,
        declared_type=declared,
        options=options or ParseOptions(),
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a,b\n1,2\n", Format.CSV),
        (b"a;b\n1,5;2\n3;4\n", Format.CSV),
        (b"a|b\n1|2\n", Format.CSV),
        (b"a\tb\n1\t2\n", Format.TSV),
        (b"sep=;\na\n1\n", Format.CSV),
        (b"sep=\t\r\na\r\n", Format.TSV),
        ("é,b\n1,2\n".encode("utf-16"), Format.CSV),
        ("é,b\n1,2\n".encode("cp1252"), Format.CSV),
        (b"\xef\xbb\xbf[{}]", Format.JSON),
        (b' [{"a": 1}]', Format.JSON),
        (b"[1, 2, 3]", Format.JSON),
        (b"[true]", Format.JSON),
        (b'{\n "a": 1\n}', Format.JSON),
        (b'{"type": "FeatureCollection", "features": []}', Format.JSON),
        (b'{"a": 1}\n{"a": 2}\n', Format.JSONL),
        (b'{"a": 1}\r\n\r\n{"a": 2}', Format.JSONL),
        (b'{"a": }\n{"a": 2}\n{"a": 3}\n', Format.JSONL),
        (b"Dear John,\nHow are you, friend?\nBest,\nAnn\n", Format.TEXT),
        (b"# Title\n\nSome *text*, with, commas.\n", Format.TEXT),
        (b"[1] Smith, J. (2001).\n", Format.TEXT),
        (b"{curly} text\n", Format.TEXT),
        (b"x", Format.TEXT),
        (",".join(f"c{n}" for n in range(1_000)).encode(), Format.CSV),
    ],
)
def test_the_content_tells(raw: bytes, expected: Format) -> None:
    for name in ("data", "data.bin", "data.pdf"):
        assert _sniff(raw, name).format is expected


@pytest.mark.parametrize(
    ("raw", "name", "declared", "expected"),
    [
        (b"name\nfoo\nbar\n", "list.csv", "", Format.CSV),
        (b"name\nfoo\nbar\n", "list.CSV", "", Format.CSV),
        (b"name\nfoo\nbar\n", "list", "text/csv", Format.CSV),
        (b"name\nfoo\nbar\n", "list.tsv", "", Format.TSV),
        (b"name\nfoo\nbar\n", "list.txt", "text/plain", Format.TEXT),
        (b"a,b\n1,2,3\n4\n", "ragged.csv", "", Format.CSV),
        (b"a,b\n1,2\n", "table.txt", "text/plain", Format.CSV),
        (b'{"a": 1}\n{"a": 2}\n', "x.csv", "text/csv", Format.JSONL),
        (b'{"a": 1}\n', "x.jsonl", "", Format.JSONL),
        (b'{"a": 1}', "x", "application/x-ndjson", Format.JSONL),
        (b'{"a": 1}', "x.json", "", Format.JSON),
        (b'{"a":\n1}', "x.jsonl", "", Format.JSON),
    ],
)
def test_the_name_tells_where_the_content_does_not(
    raw: bytes, name: str, declared: str, expected: Format
) -> None:
    assert _sniff(raw, name, declared).format is expected


def test_what_the_uploader_says_makes_a_table() -> None:
    assert _sniff(b"a b\n1 2\n", options=ParseOptions(delimiter=" ")).format is Format.CSV
    assert _sniff(b"foo\nbar\n", options=ParseOptions(header=False)).format is Format.CSV
    assert _sniff(b"a\tb\n", options=ParseOptions(delimiter="\t")).format is Format.TSV


def _zip(part: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(part, "<x/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old Microsoft Office"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "encrypted Office file",
        ),
        (_zip("readme"), "ZIP"),
        (_zip("ppt/presentation.xml"), "PPTX"),
        (b"GIF89a", "GIF"),
        (b'<?xml version="1.0"?><kml xmlns="x"/>', "KML"),
        (b"SQLite format 3\x00" + b"\0" * 80, "GeoPackage"),
        (b"fgb\x03fgb\x00", "FlatGeobuf"),
        (b"\x00\x00\x00\x0d\n\tOSMHeader", "OSM PBF"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (bytes(range(256)) * 8, "binary"),
        (b"\0" * 1_000, "binary"),
        (b"\x7fELF\x02", "program"),
    ],
)
def test_formats_that_are_not_read_are_named(raw: bytes, named: str) -> None:
    sniffed = _sniff(raw, "data.csv", "text/csv")
    assert sniffed.format is None
    assert named in sniffed.unsupported


@given(st.binary(max_size=300), st.sampled_from(["", "x.csv"]), st.booleans())
def test_any_bytes_are_of_some_kind(raw: bytes, name: str, whole: bool) -> None:
    sniffed = sniff_format(
        raw, whole=whole, file_name=name, declared_type="", options=ParseOptions()
    )
    assert (sniffed.format is None) == bool(sniffed.unsupported)


@pytest.mark.parametrize(
    "piece", ["<!--a-->", "<!--", "<a ", '"', '"a",', "a;b,c\td|e\n", " ", "\n", "x-a: b\n", "{ ", "1 ,"]
)  # fmt: skip
def test_no_content_makes_the_judgement_slow(piece: str) -> None:
    raw = (piece.encode() * HEAD_BYTES)[:HEAD_BYTES]
    started = time.process_time()
    sniff_format(raw, whole=False, file_name="x", declared_type="", options=ParseOptions())
    assert time.process_time() - started < 0.5


def test_workbooks_and_parquet_are_known_whatever_their_name() -> None:
    assert _sniff(_zip("xl/workbook.xml"), "data.csv", "text/csv").format is Format.XLSX
    assert _sniff(b"PAR1\x15\x00", "data.csv", "text/csv").format is Format.PARQUET
    assert _sniff(_zip("word/document.xml"), "book.xlsx").format is Format.DOCX


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"%PDF-1.7\n...", Format.PDF),
        (b"junk before\n%PDF-1.4\n1 0 obj\nendobj\n", Format.PDF),
        (b"A PDF begins with %PDF-1.7.\nThat is all.\n", Format.TEXT),
        (b"<h1>Part of a page</h1><p>x", Format.HTML),
        (b'<?xml version="1.0"?><p>x</p>', Format.XML),
        (_zip("word/document.xml"), Format.DOCX),
        (b"\x89PNG\r\n\x1a\n\x00", Format.PNG),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", Format.JPEG),
        (b"<!DOCTYPE html><html></html>", Format.HTML),
        (b"  <!-- x --><HTML>", Format.HTML),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html><html/>', Format.HTML),
        (b'<?xml version="1.0"?><osm/>', Format.XML),
        (b"<note><to>x</to></note>", Format.XML),
        ("<?xml version='1.0'?><x/>".encode("utf-16"), Format.XML),
        (b"From: a@example.com\nSubject: hi\n\nbody", Format.MAIL),
    ],
)
def test_documents_are_known_by_their_content(raw: bytes, expected: Format) -> None:
    for name in ("data", "data.docx", "data.pdf"):
        assert _sniff(raw, name).format is expected


def test_markdown_is_a_text_that_is_named_so() -> None:
    table = b"| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert _sniff(table, "x.md").format is Format.MARKDOWN
    assert _sniff(b"<p>x</p>", "README.MARKDOWN").format is Format.MARKDOWN
    assert _sniff(b"# x", "x", "text/markdown").format is Format.MARKDOWN
    assert _sniff(table, "x.md", options=ParseOptions(delimiter="|")).format is Format.CSV
    assert _sniff(b"%PDF-1.7", "x.md").format is Format.PDF
