"""HTML to pages: what a reader sees of it, block by block; nothing is fetched, nothing runs."""

import codecs
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lxml import etree
from lxml import html as lxml_html

from gridmill.providers.documents.elements import Element, check_memory
from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.flow import Flow
from gridmill.providers.documents.model import Page
from gridmill.providers.documents.styles import hides, is_white, read_hiding_rules

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "menu",
        "nav",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_SILENT = frozenset(
    [
        "head",
        "script",
        "style",
        "template",
        "noscript",
        "svg",
        "math",
        "object",
        "embed",
        "applet",
        "iframe",
        "audio",
        "video",
        "canvas",
        "map",
        "select",
        "datalist",
    ]
)
_TIGHT = frozenset({"li", "tr", "dt", "dd", "option"})
_DECLARED = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\xa0]+")
_MAX_SPAN = 100
_LISTS = frozenset({"ul", "ol", "menu", "dir"})


def read_html(path: Path, encoding: str) -> Iterator[Page]:
    """The pages of an HTML file.

    Raises:
        UnreadableDocument: it holds no element, or is nested deeper than 2,048 of them.
    """
    raw = path.read_bytes()
    flow = Flow()
    write_html(flow, raw, encoding)
    yield from flow.take_pages()


def find_charset(raw: bytes) -> str | None:
    """The encoding that an HTML file names itself, when Python knows it."""
    found = _DECLARED.search(raw, 0, 4096)
    if found is None or raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
        "".encode(name)
    except (LookupError, UnicodeError):
        return None
    return None if name.startswith("utf-16") else name


def write_html(flow: Flow, raw: bytes, encoding: str) -> None:
    """Append what an HTML document shows to `flow`. Raises `UnreadableDocument`."""
    text = raw.decode(encoding, "replace").removeprefix("\ufeff").replace("\0", "")
    parser = lxml_html.HTMLParser(
        encoding="utf-8", remove_comments=False, no_network=True, huge_tree=True
    )
    try:
        root = lxml_html.document_fromstring(text.encode(), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, AssertionError):
        check_memory(parser.error_log)
        raise UnreadableDocument("The HTML holds no element that can be read.") from None
    check_memory(parser.error_log)
    if any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log):
        # What lies deeper than 2,048 elements is lost to the parser, and would be to the reader.
        raise UnreadableDocument("The HTML is nested deeper than can be read; save it simplified.")
    sheets = "\n".join(style.text or "" for style in root.iter("style"))
    _Writer(flow, read_hiding_rules(sheets)).write(root)


class _Writer:
    """Walks the tree once, without recursion; text gathers in a line until a block begins or ends."""

    def __init__(self, flow: Flow, rules: Mapping[str, frozenset[str]]) -> None:
        self._flow = flow
        self._rules = rules
        self._line: list[str] = []
        self._marks: list[int | None] = []
        self._mark = ""
        self._tight = False
        self._pre = 0

    def write(self, root: Element) -> None:
        title = root.find(".//title")
        heading = "" if title is None else " ".join((title.text or "").split())
        if heading and root.find(".//h1") is None:
            self._flow.add(heading)
        walker = etree.iterwalk(root, events=("start", "end", "comment", "pi"))
        skipped: Element | None = None
        for event, element in walker:
            if event == "start":
                if self._skips(element) or (element.tag == "table" and self._write_table(element)):
                    skipped = element
                    walker.skip_subtree()
                else:
                    self._open(element)
                continue
            if event == "comment":
                self._flow.add_hidden(element.text or "")
            elif event == "end" and element is not skipped:
                self._close(element)
            if element is not root:
                self._say(element.tail)
        self._end_block()

    def _open(self, element: Element) -> None:
        tag = str(element.tag)
        if tag in _BLOCKS:
            self._end_block()
            self._tight = tag in _TIGHT
        if tag == "pre":
            self._pre += 1
        if tag in _LISTS:
            self._marks.append(_read_start(element) if tag == "ol" else None)
        elif tag == "li":
            self._mark = self._next_mark()
            self._tight = element.getprevious() is not None
        elif tag == "br":
            self._line.append("\n")
        elif tag == "input":
            self._line.append(element.get("value", "") + " ")
        self._say(element.text)

    def _close(self, element: Element) -> None:
        if element.tag in _BLOCKS:
            self._end_block()
        if element.tag == "pre":
            self._pre -= 1
        if element.tag in _LISTS:
            self._marks.pop()

    def _skips(self, element: Element) -> bool:
        """Whether an element shows nothing; the text that it hides is kept."""
        if element.tag in _SILENT:
            return True
        if self._is_hidden(element):
            self._flow.add_hidden(" ".join(element.itertext("*")) + " " + element.get("value", ""))
            return True
        return False

    def _is_hidden(self, element: Element) -> bool:
        if element.get("hidden") is not None or hides(element.get("style", "")):
            return True
        if element.tag == "input" and element.get("type", "").lower() == "hidden":
            return True
        if element.tag == "font" and is_white(element.get("color", "")):
            return True
        return (
            element.tag in self._rules["tag"]
            or element.get("id", "") in self._rules["#"]
            or not self._rules["."].isdisjoint(element.get("class", "").split())
        )

    def _say(self, text: str | None) -> None:
        if text:
            self._line.append(text if self._pre else _SPACES.sub(" ", text))

    def _end_block(self) -> None:
        lines = "".join(self._line).replace("\xa0", " ").split("\n")
        self._line.clear()
        text = "\n".join(line.rstrip() if self._pre else line.strip() for line in lines).strip("\n")
        if text.strip():
            self._flow.add(self._mark + text, tight=self._tight)
            self._mark = ""
            self._tight = False

    def _next_mark(self) -> str:
        number = self._marks[-1] if self._marks else None
        if number is None:
            return "- "
        self._marks[-1] = number + 1
        return f"{number}. "

    def _write_table(self, table: Element) -> bool:
        """Write a table of data; `False` for one that only lays out other blocks."""
        if table.find(".//table") is not None:
            return False
        rows = [row for row in table.iter("tr") if len(row)]
        if len(rows) < 2 or max(map(len, rows)) < 2:
            return False
        self._end_block()
        for caption in table.iter("caption"):
            self._flow.add(self._read_inside(caption))
        cells: list[list[str]] = []
        has_header = False
        for part in table:
            if self._skips(part):
                continue
            for row in [part] if part.tag == "tr" else part.iter("tr"):
                if self._skips(row):
                    continue
                line = [cell for cell in row if cell.tag in {"td", "th"}]
                has_header |= not cells and all(cell.tag == "th" for cell in line)
                cells.append([])
                for cell in line:
                    cells[-1] += [self._read_inside(cell), *[""] * (_read_span(cell) - 1)]
        self._flow.add_table(cells, has_header=has_header or max(map(len, cells), default=0) > 2)
        return True

    def _read_inside(self, cell: Element) -> str:
        """The text that an element shows, on one line."""
        pieces: list[str] = []
        walker = etree.iterwalk(cell, events=("start", "end", "comment"))
        for event, element in walker:
            if event == "start":
                if self._skips(element):
                    walker.skip_subtree()
                else:
                    pieces.append(element.text or "")
                continue
            if event == "comment":
                self._flow.add_hidden(element.text or "")
            if element.tag in _BLOCKS or element.tag == "br":
                pieces.append(" ")
            if element is not cell:
                pieces.append(element.tail or "")
        return " ".join("".join(pieces).split())


def _read_start(element: Element) -> int:
    start = element.get("start", "1")
    return int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1


def _read_span(cell: Element) -> int:
    span = cell.get("colspan", "1")
    return (
        max(1, min(int(span), _MAX_SPAN))
        if span.isascii() and span.isdigit() and len(span) < 5
        else 1
    )
