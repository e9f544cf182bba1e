"""Markdown to pages, by way of the HTML that it stands for."""

from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

from gridmill.providers.documents.flow import Flow
from gridmill.providers.documents.html import write_html
from gridmill.providers.documents.model import Page

_FRONT_MATTER = "---\n"


def read_markdown(path: Path, encoding: str) -> Iterator[Page]:
    """The pages of a Markdown file (CommonMark with tables); HTML in it is read as HTML.

    Raises `UnicodeError` when it is not in `encoding`.
    """
    text = path.read_text(encoding).removeprefix("\ufeff").replace("\0", "")
    flow = Flow()
    if text.startswith(_FRONT_MATTER) and (end := text.find("\n---\n", 3)) > 0:
        flow.add(text[len(_FRONT_MATTER) : end])
        text = text[end + 5 :]
    rendered = MarkdownIt("commonmark").enable("table").render(text)
    write_html(flow, f"<html><body>{rendered}</body></html>".encode(), "utf-8")
    yield from flow.take_pages()
