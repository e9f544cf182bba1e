"""DOCX to pages: headers, paragraphs, lists, tables, footnotes, with the pages that Word marked.

The parts are read by lxml, for python-docx knows no footnotes, rendered page breaks or hidden text.
Names of elements are those of ECMA-376, part 1, chapter 17.
"""

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from gridmill.providers.documents.archive import Archive
from gridmill.providers.documents.docx_styles import Styles, w
from gridmill.providers.documents.elements import Element
from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.flow import Flow
from gridmill.providers.documents.model import Page
from gridmill.providers.documents.xml import parse_xml

_MAIN = "word/document.xml"
_PAGE_CHARACTERS = 8_000
"""The most characters of a page: twice a printed one, since breaks that Word marked come first."""

_MAX_DEPTH = 20
"""Content controls within one another that are read."""

_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def read_docx(path: Path, encoding: str) -> Iterator[Page]:  # noqa: ARG001 (its XML says its own)
    """The pages of a DOCX file.

    Raises:
        UnreadableDocument: damaged, encrypted, no Word document, a zip bomb, or its XML declares
            entities.
    """
    with Archive(path) as archive:
        main = _parse(archive, _MAIN)
        if main is None:
            raise UnreadableDocument("This ZIP archive holds no Word document.")
        notes = _read_notes(archive, "word/footnotes.xml") | _read_notes(
            archive, "word/endnotes.xml"
        )
        styles = Styles(_parse(archive, "word/styles.xml"), _parse(archive, "word/numbering.xml"))
        headers = [
            part
            for kind in ("header", "footer")
            for name in sorted(archive.list_names())
            if name.startswith(f"word/{kind}") and name.endswith(".xml")
            if (part := _parse(archive, name)) is not None
        ]
    writer = _Writer(styles, notes)
    writer.write(main, headers)
    yield from writer.flow.take_pages()


def _parse(archive: Archive, name: str) -> Element | None:
    raw = archive.read(name)
    if raw is None:
        return None
    try:
        return parse_xml(raw)
    except UnreadableDocument as error:
        raise UnreadableDocument(f"{name}: {error.message}") from None


def _read_notes(archive: Archive, name: str) -> dict[tuple[str, str], Element]:
    root = _parse(archive, name)
    if root is None:
        return {}
    kind = name.removeprefix("word/").removesuffix("s.xml")
    return {
        (kind, note.get(w("id"), "")): note
        for note in root.iter(w(kind))
        # Separators between text and notes are notes of a type of their own.
        if note.get(w("type")) is None
    }


class _Writer:
    """Walks the body; runs gather in a line until their paragraph ends."""

    def __init__(self, styles: Styles, notes: dict[tuple[str, str], Element]) -> None:
        self.flow = Flow(_PAGE_CHARACTERS)
        self._styles = styles
        self._notes = notes
        self._cited: list[Element] = []
        self._was_list = False

    def write(self, main: Element, headers: list[Element]) -> None:
        """Append headers and footers once, in front; then the body, each page with its notes."""
        for part in headers:
            self._write_blocks(part, 0)
        body = main.find(w("body"))
        self._write_blocks(main if body is None else body, 0)
        self._write_cited()

    def _write_blocks(self, parent: Element, depth: int) -> None:
        for child in parent if depth <= _MAX_DEPTH else ():
            if child.tag == w("p"):
                self._write_paragraph(child)
            elif child.tag == w("tbl"):
                self._write_table(child)
            elif child.tag in {w("sdt"), w("sdtContent"), w("ins"), w("customXml"), w("smartTag")}:
                self._write_blocks(child, depth + 1)

    def _write_paragraph(self, paragraph: Element) -> None:
        if self._styles.breaks_before(paragraph):
            self._break_page()
        mark = self._styles.next_mark(paragraph)
        is_list = bool(mark)
        pieces: list[str] = []
        for piece in self._read_runs(paragraph):
            if piece != "\f":
                pieces.append(piece)
                continue
            self._end_line(mark, pieces, tight=is_list and self._was_list)
            mark, pieces = "", []
            self._break_page()
        self._end_line(mark, pieces, tight=is_list and self._was_list)
        self._was_list = is_list
        if self._styles.ends_section(paragraph):
            self._break_page()

    def _end_line(self, mark: str, pieces: list[str], *, tight: bool) -> None:
        text = "".join(pieces).strip()
        if text:
            self.flow.add(mark + text, tight=tight)

    def _break_page(self) -> None:
        self._write_cited()
        self.flow.break_page()

    def _write_cited(self) -> None:
        """Footnotes stand below the page that cites them."""
        cited, self._cited = self._cited, []
        for note in cited:
            self._write_blocks(note, 0)

    def _read_runs(self, paragraph: Element, *, shaded: bool = False) -> Iterator[str]:
        """What the runs of a paragraph show; a form feed where a page ends."""
        walker = etree.iterwalk(paragraph, events=("start",))
        for _, element in walker:
            tag = element.tag
            if tag in {w("del"), w("moveFrom"), w("rPr"), w("pPr"), _FALLBACK}:
                walker.skip_subtree()
            elif tag == w("r") and self._styles.hides_run(element, paragraph, shaded=shaded):
                self.flow.add_hidden("".join(text.text or "" for text in element.iter(w("t"))))
                walker.skip_subtree()
            elif tag == w("t"):
                yield element.text or ""
            elif tag in {w("tab"), w("cr")}:
                yield " " if tag == w("tab") else "\n"
            elif tag == w("noBreakHyphen"):
                yield "-"
            elif tag == w("lastRenderedPageBreak"):
                yield "\f"
            elif tag == w("br"):
                yield "\f" if element.get(w("type")) == "page" else "\n"
            elif tag == w("p") and element is not paragraph:
                # A text box inside the paragraph.
                yield "\n"
            elif tag in {w("footnoteReference"), w("endnoteReference")}:
                kind = "footnote" if tag == w("footnoteReference") else "endnote"
                note = self._notes.pop((kind, element.get(w("id"), "")), None)
                if note is not None:
                    self._cited.append(note)

    def _write_table(self, table: Element) -> None:
        rows: list[list[str]] = []
        for row in table.iter(w("tr")):
            if next(row.iterancestors(w("tbl"))) is not table:
                continue
            rows.append([])
            for cell in row.iter(w("tc")):
                if next(cell.iterancestors(w("tr"))) is not row:
                    continue
                rows[-1].append(self._read_cell(cell))
                rows[-1] += [""] * (self._styles.read_span(cell) - 1)
        if not rows:
            return
        if max(map(len, rows)) < 2:
            # A frame round other blocks.
            for row in rows:
                self.flow.add("".join(row))
            return
        self._was_list = False
        self.flow.add_table(rows, has_header=max(map(len, rows)) > 2 or _marks_header(table))

    def _read_cell(self, cell: Element) -> str:
        shaded = self._styles.is_shaded(cell)
        pieces = [
            "".join(self._read_runs(paragraph, shaded=shaded)).replace("\f", " ")
            for paragraph in cell.iter(w("p"))
        ]
        return " ".join(pieces)


def _marks_header(table: Element) -> bool:
    first = table.find(w("tr"))
    return first is not None and first.find(f"{w('trPr')}/{w('tblHeader')}") is not None
