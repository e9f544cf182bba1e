"""A PDF to pages, one after the other."""

from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium
from pypdfium2 import raw

from gridmill.providers.documents.composing import compose_page
from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.model import Page
from gridmill.providers.documents.pdf.drawing import Drawing, read_drawing
from gridmill.providers.documents.pdf.geometry import draw, read_frame
from gridmill.providers.documents.pdf.hiding import find_hidden
from gridmill.providers.documents.pdf.words import PageWords, read_words

MAX_PAGES = 20_000
MAX_SCANS = 200
"""Pages of one file that are read by OCR: each takes some three seconds of a processor."""

_MOST_ANNOTATIONS = 5_000
_SHOWN_ANNOTATIONS = (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_STAMP)
_OCR_DPI = 200
_OCR_PIXELS = 4_000
"""Of a scan's longer side."""

_REASONS = {
    raw.FPDF_ERR_PASSWORD: "is encrypted; save it without a password",
    raw.FPDF_ERR_SECURITY: "is encrypted in a way that is not read; save it without a password",
    raw.FPDF_ERR_FORMAT: "is damaged or no PDF; open it in its own program and save it anew",
}


def read_pdf(path: Path, encoding: str) -> Iterator[Page]:  # noqa: ARG001 (fonts say their own)
    """The pages of a PDF; those without text are read by OCR.

    Raises:
        UnreadableDocument: encrypted, damaged, over 20,000 pages, over 200 of them scans; the message
            names the page.
    """
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        reason = _REASONS.get(error.err_code or 0, "cannot be opened; save it anew")
        raise UnreadableDocument(f"The PDF {reason}.") from None
    try:
        count = len(document)
        if not 0 < count <= MAX_PAGES:
            raise UnreadableDocument(
                f"The PDF says that it has {count:,} pages; 1 to {MAX_PAGES:,} are read."
            )
        scans = 0
        for number in range(1, count + 1):
            page, is_scan = _read_page(document, number)
            scans += is_scan
            if scans > MAX_SCANS:
                raise UnreadableDocument(
                    f"Page {number} is the {MAX_SCANS + 1}st that is a scan; at most {MAX_SCANS} "
                    "a file are read. Split it, or have a text layer put in."
                )
            yield page
    finally:
        document.close()


def _read_page(document: pdfium.PdfDocument, number: int) -> tuple[Page, bool]:
    """A page, and whether it had to be read by OCR."""
    page = _open(document, number)
    try:
        if _has_shown_annotations(page) and raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY):
            # What forms were filled with is no part of the page until they are flattened.
            page.close()
            page = _open(document, number)
        frame = read_frame(page)
        drawing = read_drawing(page, number, frame)
        words = read_words(page, number, frame, find_hidden(page, drawing, frame))
        if _needs_ocr(words, drawing):
            return _read_scan(page, number, words), True
        return (
            compose_page(
                number,
                words.shown,
                lines=drawing.lines,
                turned=words.turned,
                hidden=" ".join(words.hidden),
            ),
            False,
        )
    finally:
        page.close()


def _open(document: pdfium.PdfDocument, number: int) -> pdfium.PdfPage:
    try:
        return document[number - 1]
    except pdfium.PdfiumError:
        raise UnreadableDocument(
            f"Page {number} is damaged; open the PDF in its own program and save it anew."
        ) from None


def _has_shown_annotations(page: pdfium.PdfPage) -> bool:
    for at in range(min(raw.FPDFPage_GetAnnotCount(page), _MOST_ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page, at)
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        raw.FPDFPage_CloseAnnot(annotation)
        if kind in _SHOWN_ANNOTATIONS:
            return True
    return False


def _needs_ocr(words: PageWords, drawing: Drawing) -> bool:
    """Whether a page shows something of which its text says nothing."""
    shown = sum(len(word.text) for word in [*words.shown, *words.turned])
    if not shown:
        return drawing.has_shapes
    return words.unmapped > 0.3 * shown


def _read_scan(page: pdfium.PdfPage, number: int, words: PageWords) -> Page:
    from gridmill.providers.documents.ocr import read_words as recognise

    width, height = page.get_size()
    scale = min(_OCR_DPI / 72, _OCR_PIXELS / max(width, height, 1.0))
    found = [
        word._replace(
            left=word.left / scale,
            top=word.top / scale,
            right=word.right / scale,
            bottom=word.bottom / scale,
        )
        for word in recognise(draw(page, scale))
    ]
    return compose_page(number, found, hidden=" ".join(words.hidden))
