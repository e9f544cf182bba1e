"""The report's page: whatever a dataset's names and values are, they stay text."""

from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridmill.providers.synthesizer.model import ColumnShape
from gridmill.providers.synthesizer.report import measure
from gridmill.tasks.report_page import render_page

KNOWN_TAGS = frozenset(
    (
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "h3",
        "p",
        "span",
        "div",
        "b",
        "section",
        "svg",
        "g",
        "rect",
        "text",
        "ol",
        "li",
    )
)


class Reader(HTMLParser):
    """Which elements a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in {"href", "src"}]


def report_of(generation: Any) -> dict[str, Any]:
    return {
        "taskId": "t",
        "operation": "ai_generation",
        "status": "completed",
        "cellsByStatus": {"ok": 1},
        "generation": generation,
    }


@settings(max_examples=10, deadline=None)
@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_names_and_values_stay_text(name: str, value: str) -> None:
    hostile = f'"><script>{name}</script><img src=x onerror=1>'
    rows = [(f"{hostile}{n % 2}", value) for n in range(12)]
    shapes = [ColumnShape(hostile), ColumnShape(f"{name}2")]
    reader = Reader()
    reader.feed(render_page(hostile, report_of(measure(shapes, rows, rows[::-1]))))
    assert reader.tags <= KNOWN_TAGS
    assert "svg" in reader.tags


def test_a_report_without_figures_is_a_page_all_the_same() -> None:
    assert "no rows up" in render_page("d", report_of(None))
    nothing = measure([ColumnShape("a")], [], [("x",)])
    assert "not known" in render_page("d", report_of(nothing))
