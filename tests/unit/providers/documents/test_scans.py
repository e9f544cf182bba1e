"""Pictures of pages: their text by OCR, with its places."""

import io
import struct
import zlib
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from PIL import Image

from gridmill.providers.documents.errors import UnreadableDocument
from tests.support.documents import put, read, write_pdf, write_stream

_LINES = ["Invoice 20417", "Total due 1,250.00 EUR"]
_PAGE = write_pdf("".join(put(line, 30, 340 - 60 * at, 20) for at, line in enumerate(_LINES)))


def _draw() -> Image.Image:
    """The page at 144 dots an inch: two pixels a point."""
    with pdfium.PdfDocument(_PAGE) as document:
        return document[0].render(scale=2).to_pil()


def _save(picture: Image.Image, kind: str, **more: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **more)
    return buffer.getvalue()


def test_a_picture_is_read_with_the_places_of_its_words(tmp_path: Path) -> None:
    done = read(tmp_path, _save(_draw(), "PNG", dpi=(144, 144)), "image/png")
    page = done.pages[0]
    assert page.text.replace("\n\n", "\n") == "\n".join(_LINES)
    words = {page.text[word.start : word.end]: word.box for word in page.words}
    left, top, right, bottom = words["Invoice"]
    assert 24 < left < 36
    assert 80 < right < 105
    assert 35 < top < 50 < bottom < 75


def test_a_page_without_text_is_read_by_its_picture(tmp_path: Path) -> None:
    picture = write_stream(
        _save(_draw(), "JPEG", quality=90),
        "/Type /XObject /Subtype /Image /Width 600 /Height 800 /ColorSpace /DeviceRGB "
        "/BitsPerComponent 8 /Filter /DCTDecode",
    )
    content = "q 300 0 0 400 0 0 cm /I1 Do Q\n"
    resources = "/XObject << /I1 4 0 R >>"
    scan = read(tmp_path, write_pdf(content, resources=resources, more=[picture]))
    assert scan.texts[0].replace("\n\n", "\n") == "\n".join(_LINES)
    assert 24 < scan.pages[0].words[0].box[0] < 36
    # A layer of invisible text stands for the picture where that shows ink, and only there.
    layer = content + "3 Tr " + put("LAYER", 30, 340, 20) + put("secret", 30, 100, 20)
    layered = read(tmp_path, write_pdf(layer, resources=resources, more=[picture]))
    assert (layered.texts, layered.hidden) == (["LAYER"], ["secret"])


def _png(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def _jpeg(width: int, height: int) -> bytes:
    small = _save(Image.new("RGB", (8, 8)), "JPEG")
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + struct.pack(">HH", height, width) + small[at + 4 :]


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (_png(100_000, 100_000), "million pixels"),
        (_png(10_000, 6_001), "10,000 × 6,001"),
        (_jpeg(65_000, 65_000), "million pixels"),
        (_png(100, 100), "damaged"),
        (_save(Image.new("RGB", (90, 90)), "PNG")[:-40], "damaged"),
        (b"\xff\xd8\xff\xe0" + b"x" * 40, "damaged"),
    ],
    ids=["huge", "large", "huge JPEG", "too little data", "cut", "noise"],
)
def test_a_picture_that_cannot_be_read_says_why(tmp_path: Path, raw: bytes, place: str) -> None:
    with pytest.raises(UnreadableDocument, match=place):
        read(tmp_path, raw, "image/png")
