"""PDFs: reading order, places, tables, and what no reader sees."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.providers.documents.composing import compose_page
from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.placing import Placed
from tests.support.documents import draw_line, put, read, write_objects, write_pdf, write_stream

_ROWS = [("Item", "Qty", "Price"), ("Nail", "10", "1.50"), ("Long screw", "2", "20.00")]
_CELLS = [list(row) for row in _ROWS]


def _put_rows(top: float, step: float = 20) -> str:
    return "".join(
        put(cell, 25 + 80 * column, top - step * line)
        for line, row in enumerate(_ROWS)
        for column, cell in enumerate(row)
    )


def test_words_stand_where_the_page_shows_them(tmp_path: Path) -> None:
    done = read(tmp_path, write_pdf(put("Hello there,", 20, 370) + put("world", 20, 340)))
    page = done.pages[0]
    assert page.text == "Hello there,\n\nworld"
    assert [page.text[word.start : word.end] for word in page.words] == ["Hello", "there,", "world"]
    left, top, right, bottom = page.words[0].box
    assert 19 < left < 22
    assert 40 < right < 50
    # The base line is 370 of 400 points above the lower edge.
    assert top < 30 < bottom + 3
    assert bottom - top < 20


@pytest.mark.parametrize(
    ("turns", "left", "top"), [(0, 50, 100), (90, 300, 50), (180, 250, 300), (270, 100, 250)]
)
def test_a_turned_page_s_words_stand_where_it_shows_them(
    tmp_path: Path, turns: int, left: float, top: float
) -> None:
    frame = f"/MediaBox [0 0 300 400] /Rotate {turns}"
    word = read(tmp_path, write_pdf(put("I", 50, 300), page=frame)).pages[0].words[0]
    assert word.box[0] - 15 <= left <= word.box[2] + 15
    assert word.box[1] - 15 <= top <= word.box[3] + 15


def test_a_cut_page_is_measured_from_its_cut(tmp_path: Path) -> None:
    frame = "/MediaBox [0 0 300 400] /CropBox [100 100 300 300]"
    content = put("in", 120, 250) + put("outside", 10, 250)
    done = read(tmp_path, write_pdf(content, page=frame))
    assert done.texts == ["in"]
    assert done.hidden == ["outside"]
    assert 19 < done.pages[0].words[0].box[0] < 22


def test_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    left = [f"the left column says line {number}" for number in range(8)]
    right = [f"and the right one line {number}" for number in range(8)]
    lines = put("A title over both of the columns of the page", 20, 380)
    for number, pair in enumerate(zip(left, right, strict=True)):
        # Line by line across the page, as some programs write it.
        lines += put(pair[0], 20, 350 - 14 * number, 8) + put(pair[1], 165, 350 - 14 * number, 8)
    lines += put("A footer that spans the width of the page again", 20, 200)
    text = read(tmp_path, write_pdf(lines)).texts[0]
    expected = [
        "A title over both of the columns of the page",
        "\n".join(left),
        "\n".join(right),
        "A footer that spans the width of the page again",
    ]
    assert text == "\n\n".join(expected)


def test_a_table_with_lines_is_its_cells(tmp_path: Path) -> None:
    content = put("Before the table stands a line.", 25, 350)
    content += _put_rows(285)
    content += put("(boxed)", 105, 256, 6)
    for up in (300, 280, 250, 230):
        content += draw_line(20, up, 260, up)
    for across in (20, 100, 180, 260):
        content += draw_line(across, 230, across, 300)
    done = read(tmp_path, write_pdf(content.replace("245", "240")))
    assert done.texts[0].startswith("Before the table stands a line.\n\nItem\tQty\tPrice\n")
    assert done.tables == [[["Item", "Qty", "Price"], ["Nail", "10 (boxed)", "1.50"], _CELLS[2]]]
    assert done.fields[1] == {"Item": "Long screw", "Qty": "2", "Price": "20.00"}


def test_a_table_without_lines_is_its_cells(tmp_path: Path) -> None:
    done = read(tmp_path, write_pdf(_put_rows(300, 14)))
    assert done.tables == [_CELLS]
    assert done.entries == ["Nail\t10\t1.50", "Long screw\t2\t20.00"]
    assert [record.number for record in done.records] == [1, 2]


def test_a_table_drawn_by_one_path_or_by_boxes_is_its_cells(tmp_path: Path) -> None:
    path = "".join(f"20 {up} m 260 {up} l " for up in (300, 280, 260, 240))
    path += "".join(f"{across} 240 m {across} 300 l " for across in (20, 100, 180, 260))
    boxes = "".join(
        f"{across} {up} 80 20 re S\n" for across in (20, 100, 180) for up in (240, 260, 280)
    )
    for lines in (path + "S\n", boxes):
        assert read(tmp_path, write_pdf(lines + _put_rows(285))).tables == [_CELLS]


_SEEN = put("Seen text here", 20, 370)
_HIDDEN = [
    ("white", "1 1 1 rg " + put("secret words", 20, 340)),
    ("tiny", put("secret words", 20, 340, 0.5)),
    ("off the page", put("secret words", 400, 340)),
    ("not drawn", "3 Tr " + put("secret words", 20, 340)),
    ("in its ground's colour", "20 330 200 30 re f " + put("secret words", 20, 340)),
    ("covered", put("secret words", 20, 340) + "1 1 1 rg 20 330 200 30 re f "),
    ("transparent", "/G1 gs " + put("secret words", 20, 340)),
]


@pytest.mark.parametrize("content", [one for _, one in _HIDDEN], ids=[name for name, _ in _HIDDEN])
def test_what_no_reader_sees_is_kept_apart(tmp_path: Path, content: str) -> None:
    raw = write_pdf(_SEEN + content, resources="/ExtGState << /G1 << /ca 0.0 >> >>")
    done = read(tmp_path, raw)
    assert done.texts == ["Seen text here"]
    assert done.hidden == ["secret words"]


@pytest.mark.parametrize(
    "content",
    [
        "0.1 0.1 0.4 rg 20 330 200 30 re f 1 1 1 rg " + put("seen as well", 20, 340),
        "0.7 0.7 0.7 rg " + put("seen as well", 20, 340),
        "0.9 0.9 0.9 rg 20 330 200 30 re f 0 0 0 rg " + put("seen as well", 20, 340),
        put("seen as well", 20, 340, 4),
    ],
    ids=["white on blue", "grey", "on grey", "small"],
)
def test_what_a_reader_sees_is_text(tmp_path: Path, content: str) -> None:
    done = read(tmp_path, write_pdf(_SEEN + content))
    assert done.texts == ["Seen text here\n\nseen as well"]
    assert done.hidden == [None]


def test_a_filled_form_is_read_with_what_it_was_filled_with(tmp_path: Path) -> None:
    look = write_stream(
        put("Ann Smith", 2, 4), "/Type /XObject /Subtype /Form /BBox [0 0 100 20] "
        "/Resources << /Font << /F1 3 0 R >> >>"
    )  # fmt: skip
    field = (
        "<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /F 4 /Rect [80 300 180 320] "
        "/AP << /N 4 0 R >> >>"
    )
    frame = "/MediaBox [0 0 300 400] /Annots [5 0 R]"
    done = read(tmp_path, write_pdf(put("Name:", 20, 304), page=frame, more=[look, field]))
    assert done.texts[0].split() == ["Name:", "Ann", "Smith"]


def test_text_inside_of_forms_is_read_and_judged(tmp_path: Path) -> None:
    inner = write_stream(
        put("inner text", 0, 0) + "1 1 1 rg " + put("secret", 0, 30),
        "/Type /XObject /Subtype /Form /BBox [0 0 200 100] /Resources << /Font << /F1 3 0 R >> >>",
    )
    raw = write_pdf(
        "q 1 0 0 1 20 200 cm /X1 Do Q", resources="/XObject << /X1 4 0 R >>", more=[inner]
    )
    done = read(tmp_path, raw)
    assert (done.texts, done.hidden) == (["inner text"], ["secret"])


def test_an_empty_page_is_one_without_text(tmp_path: Path) -> None:
    assert read(tmp_path, write_pdf("", put("x", 20, 20))).texts == ["", "x"]


_ENCRYPTED = write_pdf(
    put("x", 20, 20),
    trailer="/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (" + "a" * 32 + ") /U (" + "b" * 32
    + ") >> /ID [(a) (b)]",
)  # fmt: skip
_NO_PAGES = write_objects(
    ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [] /Count 0 >>"]
)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"%PDF-1.7\n", "damaged"),
        (b"%PDF-1.7\n" + random.Random(1).randbytes(500), "damaged"),
        (_ENCRYPTED, "encrypted"),
        (_NO_PAGES, "save it"),
        (write_pdf(put("x", 20, 20)).replace(b"/Type /Page /Parent", b"/Type /None /Pa"), "Page 1"),
    ],
    ids=["cut", "noise", "encrypted", "no pages", "no page"],
)
def test_a_pdf_that_cannot_be_read_says_why(tmp_path: Path, raw: bytes, place: str) -> None:
    with pytest.raises(UnreadableDocument, match=place):
        read(tmp_path, raw)


_SIZES = st.floats(0, 600, width=32)
_PLACED = st.builds(
    lambda text, left, top, width, height: Placed(text, left, top, left + width, top + height),
    st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=8),
    _SIZES,
    _SIZES,
    st.floats(1, 200, width=32),
    st.floats(1, 30, width=32),
)


@given(st.lists(_PLACED, max_size=40))
def test_every_word_stands_once_in_the_text_where_it_says(words: list[Placed]) -> None:
    page = compose_page(1, words)
    found = [page.text[word.start : word.end] for word in page.words]
    assert sorted(found) == sorted(word.text for word in words)
    assert all(first.end <= second.start for first, second in pairwise(page.words))
    assert "".join(page.text.split()) == "".join("".join(found).split())
    spans = {(word.start, word.end) for word in page.words}
    for table in page.tables:
        for row in (table.header, *table.rows):
            assert len(row) == len(table.header)
            for span in filter(None, row):
                assert any(start == span.start for start, _ in spans)
                assert any(end == span.end for _, end in spans)
