"""Documents made by code: PDFs written by hand, and what was read of any of them in plain words."""

from collections.abc import Sequence
from pathlib import Path

from gridmill.providers.documents.model import Page, Record, Span
from gridmill.providers.documents.service import read_document

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def write_objects(objects: Sequence[str | bytes], trailer: str = "") -> bytes:
    """A PDF of these objects, numbered from 1; the first one is its catalogue."""
    out = bytearray(b"%PDF-1.4\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        raw = body.encode("latin-1") if isinstance(body, str) else body
        out += b"%d 0 obj\n%b\nendobj\n" % (number, raw)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\n".encode()
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def write_stream(content: str | bytes, entries: str = "") -> bytes:
    """A stream object of a PDF."""
    raw = content.encode("latin-1") if isinstance(content, str) else content
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(raw), entries.encode(), raw)


def write_pdf(
    *contents: str | bytes,
    page: str = "/MediaBox [0 0 300 400]",
    resources: str = "",
    more: Sequence[str | bytes] = (),
    trailer: str = "",
) -> bytes:
    """A PDF with a page for each content stream, in Helvetica as `/F1`.

    `more` objects are numbered from 4 on; the pages follow them.
    """
    first = 4 + len(more)
    kids = " ".join(f"{first + 2 * at} 0 R" for at in range(len(contents)))
    objects: list[str | bytes] = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *more,
    ]
    for at, content in enumerate(contents):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R {page} /Contents {first + 2 * at + 1} 0 R "
            f"/Resources << /Font << /F1 3 0 R >> {resources} >> >>"
        )
        objects.append(write_stream(content))
    return write_objects(objects, trailer)


def put(text: str, left: float, up: float, size: float = 10) -> str:
    """A line of text in a content stream, from the page's lower left corner."""
    return f"BT /F1 {size} Tf {left} {up} Td ({text}) Tj ET\n"


def draw_line(left: float, up: float, right: float, top: float) -> str:
    """A drawn line in a content stream."""
    return f"{left} {up} m {right} {top} l S\n"


class Read:
    """A document that was read, with what stands at its spans."""

    def __init__(self, pages: Sequence[tuple[Page, tuple[Record, ...]]]) -> None:
        self.pages = [page for page, _ in pages]
        self.texts = [page.text for page in self.pages]
        self.hidden = [page.hidden for page in self.pages]
        self.tables = [
            [[_show(page, span) for span in row] for row in (table.header, *table.rows)]
            for page in self.pages
            for table in page.tables
        ]
        self.records = [record for _, records in pages for record in records]
        self.entries = [
            self.pages[record.page - 1].text[record.span.start : record.span.end]
            for record in self.records
        ]
        self.fields = [
            {name: _show(self.pages[record.page - 1], span) for name, span in record.fields}
            for record in self.records
        ]


def _show(page: Page, span: Span | None) -> str | None:
    return None if span is None else page.text[span.start : span.end]


def read(folder: Path, raw: bytes | str, kind: str = "application/pdf") -> Read:
    """A document of a content type, read here and now."""
    path = folder / "document"
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    return Read(list(read_document(path, kind)))
