"""DOCX files as python-docx writes them: what Word shows, page by page."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from docx import Document
from docx.document import Document as DocumentObject
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt, RGBColor
from docx.styles.style import ParagraphStyle
from docx.text.run import Run

from gridmill.providers.documents.errors import UnreadableDocument
from tests.support.documents import DOCX, Read, read


def _save(document: DocumentObject) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _read(tmp_path: Path, document: DocumentObject) -> Read:
    return read(tmp_path, _save(document), DOCX)


def test_a_document_is_read_as_word_shows_it(tmp_path: Path) -> None:
    document = Document()
    document.sections[0].header.paragraphs[0].text = "The header"
    document.sections[0].footer.paragraphs[0].text = "The footer"
    document.add_heading("Report", 1)
    document.add_paragraph("Hello\tthere.").add_run("\nNext line.")
    for style in ("List Bullet", "List Number"):
        document.add_paragraph("one", style=style)
        document.add_paragraph("two", style=style)
    table = document.add_table(3, 3)
    for line in range(3):
        for column in range(3):
            table.cell(line, column).text = f"{line}{column}" if (line, column) != (1, 2) else ""
    document.add_paragraph("First page ends.").add_run().add_break(WD_BREAK.PAGE)
    document.add_paragraph("Second page.")
    done = _read(tmp_path, document)
    assert done.texts[0] == (
        "The header\n\nThe footer\n\nReport\n\nHello there.\nNext line.\n\n- one\n- two\n"
        "1. one\n2. two\n\n00\t01\t02\n10\t11\n20\t21\t22\n\nFirst page ends."
    )
    assert done.texts[1:] == ["Second page."]
    assert done.tables == [[["00", "01", "02"], ["10", "11", None], ["20", "21", "22"]]]
    assert done.entries[:4] == ["one", "two", "one", "two"]


def test_a_merged_cell_leaves_the_others_in_their_columns(tmp_path: Path) -> None:
    document = Document()
    table = document.add_table(2, 3)
    for column, text in enumerate(("a", "b", "c")):
        table.cell(0, column).text = text
    table.cell(1, 0).merge(table.cell(1, 1)).text = "wide"
    table.cell(1, 2).text = "last"
    assert _read(tmp_path, document).tables == [[["a", "b", "c"], ["wide", None, "last"]]]


def _hide(run: Run) -> None:
    run.font.hidden = True


def _whiten(run: Run) -> None:
    run.font.color.rgb = RGBColor(255, 255, 255)


def _shrink(run: Run) -> None:
    run.font.size = Pt(1)


@pytest.mark.parametrize("conceal", [_hide, _whiten, _shrink])
def test_what_word_hides_is_kept_apart(tmp_path: Path, conceal: Callable[[Run], None]) -> None:
    document = Document()
    paragraph = document.add_paragraph("seen ")
    conceal(paragraph.add_run("secret"))
    done = _read(tmp_path, document)
    assert (done.texts, done.hidden) == (["seen"], ["secret"])


def test_a_style_hides_and_a_ground_shows(tmp_path: Path) -> None:
    document = Document()
    style = document.styles.add_style("Concealed", 1)
    assert isinstance(style, ParagraphStyle)
    style.font.hidden = True
    document.add_paragraph("secret", style="Concealed")
    table = document.add_table(2, 3)
    for line in range(2):
        for column in range(3):
            cell = table.cell(line, column)
            _whiten(cell.paragraphs[0].add_run(f"w{line}{column}"))
            if line == 0:
                shade = OxmlElement("w:shd")
                shade.set(qn("w:fill"), "000000")
                cell._tc.get_or_add_tcPr().append(shade)
    done = _read(tmp_path, document)
    assert done.texts == ["w00\tw01\tw02"]
    assert done.hidden == ["secret\nw10\nw11\nw12"]


def _change(raw: bytes, name: str, edit: Callable[[bytes], bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(buffer, "w") as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, edit(content) if part == name else content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def test_footnotes_stand_below_the_page_that_cites_them(tmp_path: Path) -> None:
    main = (
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
        '<w:p><w:r><w:t>Cited</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
        "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Next page</w:t></w:r></w:p>"
        "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>come</w:t></w:r></w:ins></w:p></w:body></w:document>"
    )
    notes = (
        '<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        '<w:footnote w:id="0" w:type="separator"><w:p><w:r><w:t>no</w:t></w:r></w:p></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", main)
        archive.writestr("word/footnotes.xml", notes)
    assert read(tmp_path, buffer.getvalue(), DOCX).texts == [
        "Cited\n\nThe note.",
        "Next page\n\ncome",
    ]


_RAW = _save(Document())
_MAIN = "word/document.xml"
_BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>'


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (_RAW[: len(_RAW) // 2], "damaged"),
        (_RAW.replace(b"word/document.xml", b"word/documant.xml"), "no Word document"),
        (_change(_RAW, _MAIN, lambda _: _BOMB + b"<x>&a;</x>"), "document.xml: .*entities"),
        (_change(_RAW, "word/styles.xml", lambda _: _BOMB + b"<x/>"), "styles.xml: .*entities"),
        (_change(_RAW, _MAIN, lambda text: text + b" " * 2**25), "inflates to over"),
        (_change(_RAW, _MAIN, lambda text: text[:-20]), "document.xml: .*broken"),
    ],
    ids=["cut", "no document", "entities", "entities in a part", "bomb", "broken"],
)
def test_a_docx_that_cannot_be_read_says_why(tmp_path: Path, raw: bytes, place: str) -> None:
    with pytest.raises(UnreadableDocument, match=place):
        read(tmp_path, raw, DOCX)


def test_names_that_lead_out_of_the_archive_lead_nowhere(tmp_path: Path) -> None:
    buffer = io.BytesIO(_save(Document()))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("../slipped.xml", "<x/>")
        archive.writestr("word/../../header9.xml", "<x/>")
    inside = tmp_path / "inside"
    inside.mkdir()
    read(inside, buffer.getvalue(), DOCX)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["document", "inside"]
