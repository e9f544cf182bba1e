"""HTML, Markdown, XML and mail: what a reader sees of them, block by block."""

from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.providers.documents.breaking import PAGE_CHARACTERS
from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.flow import Flow
from tests.support.documents import Read, read

_CELLS = [["Name", "Price", "Note"], ["Nail", "1.50", None], ["Screw", "2", "x"]]


def test_html_is_read_as_it_is_seen(tmp_path: Path) -> None:
    done = read(
        tmp_path,
        """<title>Shop</title><script>var a = "b"</script><h1>Prices &amp; more</h1>
        <p>Hello <b>wor</b>ld,<br>line   two</p><ul><li>one<li>two <i>b</i></ul>
        <ol start=3><li>three</li><li>four</li></ol>
        <table><tr><th>Name<th>Price<th>Note</tr><tr><td>Nail<td>1.50<td></tr>
        <tr><td>Screw<td>2<td>x</table><pre>a   b\n  c</pre>the end""",
        "text/html",
    )
    assert done.texts == [
        (
            "Prices & more\n\nHello world,\nline two\n\n- one\n- two b\n\n3. three\n4. four\n\n"
            "Name\tPrice\tNote\nNail\t1.50\nScrew\t2\tx\n\na   b\n  c\n\nthe end"
        )
    ]
    assert done.tables == [_CELLS]
    assert done.entries == ["one", "two b", "three", "four", "Nail\t1.50", "Screw\t2\tx"]


@pytest.mark.parametrize(
    "hiding",
    [
        "<!-- secret -->",
        '<p style="display: none">secret</p>',
        '<p style="color:red;visibility:hidden">secret</p>',
        "<p hidden>secret</p>",
        '<span style="font-size:1px">secret</span>',
        '<span style="font-size:0">secret</span>',
        '<div style="color: #fff"><b>secret</b></div>',
        '<font color="white">secret</font>',
        '<p style="opacity:0">secret</p>',
        '<p style="position:absolute; left:-9999px">secret</p>',
        '<style>.x, p.z > b {display:none}</style><p class="y x">secret</p>',
        "<style>#one{font-size:0.1pt}</style><p id=one>secret</p>",
        '<input type="hidden" value="secret">',
        "\U000e0073\U000e0065\U000e0063\U000e0072\U000e0065\U000e0074",
        '<table style="display:none"><tr><td>secret</table>',
        "<table><tr><td>seen<td>cell</tr><tr hidden><td>secret<td></tr><tr><td>a<td>b</table>",
    ],
)
def test_what_html_hides_is_kept_apart(tmp_path: Path, hiding: str) -> None:
    done = read(tmp_path, f"<p>before</p>{hiding}<p>after</p>", "text/html")
    assert "secret" not in done.texts[0]
    assert done.texts[0].startswith("before\n\n")
    assert done.texts[0].endswith("after")
    assert done.hidden == ["secret"]


@pytest.mark.parametrize(
    "shown",
    [
        '<p style="color:#fff; background:#000">seen</p>',
        '<p style="font-size:9px; opacity:0.8">seen</p>',
        '<p style="background-color:white">seen</p>',
        '<p style="margin-left:-5px">seen</p>',
        "<style>@media print {.a{color:red}}</style><p class=a>seen</p>",
    ],
)
def test_what_html_shows_is_text(tmp_path: Path, shown: str) -> None:
    done = read(tmp_path, f"<p>before</p>{shown}", "text/html")
    assert (done.texts, done.hidden) == (["before\n\nseen"], [None])


def test_a_table_that_lays_out_a_page_is_its_blocks(tmp_path: Path) -> None:
    inner = "<table><tr><td>a<td>b<td>c</tr><tr><td>1<td>2<td>3</tr></table>"
    done = read(tmp_path, f"<table><tr><td>menu<td>{inner}</table>", "text/html")
    assert done.texts == ["menu\n\na\tb\tc\n1\t2\t3"]
    assert done.tables == [[["a", "b", "c"], ["1", "2", "3"]]]


def test_html_nested_deep_is_read_and_without_end_refused(tmp_path: Path) -> None:
    assert read(tmp_path, "<div>" * 1_500 + "deep", "text/html").texts == ["deep"]
    with pytest.raises(UnreadableDocument, match="nested deeper"):
        read(tmp_path, "<div>" * 50_000 + "deep", "text/html")


def test_markdown_is_read_as_it_is_rendered(tmp_path: Path) -> None:
    done = read(
        tmp_path,
        "---\ntitle: x\n---\n# Title\n\nSome *text*.\n\n1. one\n2. two\n\n"
        "| Name | Price | Note |\n|---|---|---|\n| Nail | 1.50 | |\n| Screw | 2 | x |\n\n"
        "<!-- hidden -->\n\n[link](http://example.com)\n",
        "text/markdown",
    )
    assert done.texts == [
        (
            "title: x\n\nTitle\n\nSome text.\n\n1. one\n2. two\n\n"
            "Name\tPrice\tNote\nNail\t1.50\nScrew\t2\tx\n\nlink"
        )
    ]
    assert done.tables == [_CELLS]
    assert done.hidden == ["hidden"]


def test_xml_is_labelled_values_and_repeated_elements_are_records(tmp_path: Path) -> None:
    done = read(
        tmp_path,
        '<?xml version="1.0"?><i:invoice xmlns:i="urn:x" no="7"><from>Ann</from>'
        "<line><name>Nail</name><price cur='EUR'>1.50</price></line>"
        "<line><name>Screw</name><price cur='EUR'>2</price></line>"
        "<note>Some <b>bold</b> text<!-- secret --></note></i:invoice>",
        "application/xml",
    )
    assert done.texts == [
        (
            "no: 7\nfrom: Ann\n\nname: Nail\nprice: 1.50\ncur: EUR\n\n"
            "name: Screw\nprice: 2\ncur: EUR\n\nnote: Some bold text"
        )
    ]
    assert done.hidden == ["secret"]
    assert done.fields == [
        {"name": "Nail", "price": "1.50", "cur": "EUR"},
        {"name": "Screw", "price": "2", "cur": "EUR"},
    ]


_ENTITIES = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>'
_EXTERNAL = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ("<a>\n<b>\n</a>", "line 3"),
        ("", "empty|broken"),
        (_ENTITIES, "declares entities"),
        (_EXTERNAL, "declares entities"),
        (_EXTERNAL.encode("utf-16"), "declares entities"),
        ('<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1:9/x"> %b;]><a/>', "declares entities"),
        ("<a>" * 5_000, "broken at line 1"),
        (b'<?xml version="1.0" encoding="utf-9"?><a/>', "line 1"),
    ],
)
def test_xml_that_is_broken_or_declares_entities_is_refused(
    tmp_path: Path, raw: str | bytes, place: str
) -> None:
    with pytest.raises(UnreadableDocument, match=place):
        read(tmp_path, raw, "application/xml")


def _mail(**more: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann <ann@example.com>"
    message["Subject"] = "Über Nägel"
    message.set_content(more.get("plain", "The plain text.\n"))
    return message


def _read_mail(tmp_path: Path, message: EmailMessage) -> Read:
    return read(tmp_path, message.as_bytes(), "message/rfc822")


def test_a_mail_is_its_headers_text_and_the_names_of_what_is_attached(tmp_path: Path) -> None:
    message = _mail()
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="räch.pdf")
    assert _read_mail(tmp_path, message).texts == [
        (
            "From: Ann <ann@example.com>\nSubject: Über Nägel\n\nThe plain text.\n\n"
            "Attachment: räch.pdf (application/pdf, 5 bytes)"
        )
    ]


def test_a_mail_is_read_as_its_html_shows_it(tmp_path: Path) -> None:
    message = _mail()
    message.add_alternative(
        "<p>The <b>rich</b> text.</p><p style='display:none'>x</p>", subtype="html"
    )
    done = _read_mail(tmp_path, message)
    assert done.texts[0].endswith("\n\nThe rich text.")
    assert done.hidden == ["x"]


def test_a_mail_of_parts_without_end_is_refused_or_read(tmp_path: Path) -> None:
    nested = "Content-Type: multipart/mixed; boundary=x\n\n--x\n" * 400
    raw = "From: a@example.com\nSubject: x\nMIME-Version: 1.0\n" + nested
    try:
        assert read(tmp_path, raw, "message/rfc822").texts[0].startswith("From: a@example.com")
    except UnreadableDocument as refused:
        assert "cannot be read" in refused.message


_BLOCKS = st.one_of(
    st.text("ab \n\u200b", max_size=300).map(lambda text: ("text", text)),
    st.integers(1, 3_000).map(lambda count: ("text", "word " * count)),
    st.lists(st.lists(st.text("ab\t\n ", max_size=9), max_size=4), max_size=500).map(
        lambda rows: ("table", rows)
    ),
    st.just(("break", "")),
)


@given(st.lists(_BLOCKS, max_size=12))
def test_pages_keep_all_text_in_order_and_their_bound(blocks: list[tuple[str, object]]) -> None:
    flow = Flow()
    expected: list[str] = []
    for kind, content in blocks:
        if isinstance(content, list):
            flow.add_table(content, has_header=False)
            expected += [sign for row in content for cell in row for sign in cell]
        elif kind == "text":
            flow.add(str(content))
            expected += str(content)
        else:
            flow.break_page()
    pages = list(flow.take_pages())
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert all(len(page.text) <= PAGE_CHARACTERS for page in pages)
    seen = "".join("".join(page.text.split()) for page in pages)
    assert seen == "".join("".join(expected).replace("\u200b", "").split())
    for page in pages:
        for table in page.tables:
            for span in (span for row in table.rows for span in row if span is not None):
                cell = page.text[span.start : span.end]
                assert cell.strip() == cell
                assert cell
                assert "\t" not in cell
