"""Documents made to harm: each fails by itself, within its limits, and says so."""

import io
import time
import zipfile
import zlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from gridmill.datasources.blame import blame_file
from gridmill.datasources.parsing.files import parse_file
from gridmill.datasources.parsing.model import Format, Parsed, ParseFailure
from gridmill.kit.processes import ProcessPool
from tests.support.documents import put, write_objects, write_pdf, write_stream
from tests.support.reading import NO_OPTIONS, read

_MIB = 2**20


@pytest_asyncio.fixture
async def pool() -> AsyncGenerator[ProcessPool]:
    """A process with a sixth of the memory that parsers have."""
    pool = ProcessPool(1, memory_bytes=350 * _MIB)
    yield pool
    await pool.close()


async def _parse(pool: ProcessPool, folder: Path, raw: bytes, kind: Format) -> Parsed:
    path = folder / "file"
    path.write_bytes(raw)
    with blame_file(20):
        return await pool.run(
            parse_file, str(path), str(folder / "rows"), kind.value, NO_OPTIONS,
            seconds=100, cpu_seconds=20,
        )  # fmt: skip


def _inflate_to(size: int) -> bytes:
    """Blanks, deflated twice: a few hundred bytes."""
    packer = zlib.compressobj(9)
    block = b" " * _MIB
    once = b"".join(packer.compress(block) for _ in range(size // _MIB)) + packer.flush()
    return zlib.compress(once, 9)


def _bomb() -> bytes:
    # Blanks before text: nothing shows until all of it is inflated.
    stream = write_stream(_inflate_to(400 * _MIB), "/Filter [/FlateDecode /FlateDecode]")
    return write_objects(
        [
            "<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents [4 0 R 5 0 R] >>",
            stream,
            write_stream(put("x", 1, 1)),
        ]
    )


async def test_a_pdf_bomb_fails_alone(pool: ProcessPool, tmp_path: Path) -> None:
    raw = _bomb()
    assert len(raw) < 10_000
    with pytest.raises(ParseFailure, match="memory"):
        await _parse(pool, tmp_path, raw, Format.PDF)
    # The next file is read as if nothing had been.
    parsed = await _parse(pool, tmp_path, write_pdf(put("fine", 20, 20)), Format.PDF)
    assert parsed.pages == 1


async def test_a_document_that_takes_all_memory_fails_alone(
    pool: ProcessPool, tmp_path: Path
) -> None:
    raw = b"<p>" + b"<b>x</b>" * 3_000_000
    with pytest.raises(ParseFailure, match="memory"):
        await _parse(pool, tmp_path, raw, Format.HTML)


def test_a_pdf_whose_parts_hold_one_another_is_read(tmp_path: Path) -> None:
    form = write_stream(
        "/X1 Do " + put("once", 20, 20),
        "/Type /XObject /Subtype /Form /BBox [0 0 300 400] "
        "/Resources << /Font << /F1 3 0 R >> /XObject << /X1 4 0 R >> >>",
    )
    raw = write_pdf("/X1 Do", resources="/XObject << /X1 4 0 R >>", more=[form])
    assert (read(tmp_path, raw, Format.PDF).rows[0][1] or "").startswith("once")


def test_a_page_tree_that_holds_itself_ends(tmp_path: Path) -> None:
    raw = write_objects(
        [
            "<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 4 /Parent 2 0 R >>",
            "<< /Type /Pages /Kids [2 0 R] /Count 2 /Parent 3 0 R >>",
        ]
    )
    with pytest.raises(ParseFailure):
        read(tmp_path, raw, Format.PDF)


def test_two_thousand_pages_are_read_in_time(tmp_path: Path) -> None:
    raw = write_pdf(*(put(f"Page {number} of many", 20, 370) for number in range(1, 2_001)))
    started = time.process_time()
    reading = read(tmp_path, raw, Format.PDF)
    assert time.process_time() - started < 100
    assert reading.parsed.pages == 2_000
    assert reading.rows[-1] == ["2000", "Page 2000 of many"]


def test_a_text_named_like_a_pdf_is_a_text(tmp_path: Path) -> None:
    assert read(tmp_path, "Just a text.", Format.TEXT).rows == [["1", "Just a text."]]
    with pytest.raises(ParseFailure, match="no PDF"):
        read(tmp_path, "Just a text.", Format.PDF)


def test_a_docx_of_endless_parts_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(10_001):
            archive.writestr(f"word/{number}.xml", "")
    with pytest.raises(ParseFailure, match="10,001 parts"):
        read(tmp_path, buffer.getvalue(), Format.DOCX)
