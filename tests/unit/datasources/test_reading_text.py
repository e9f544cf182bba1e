"""Plain text: pages that together are the text."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmill.datasources.parsing.model import Format
from gridmill.providers.documents.breaking import PAGE_CHARACTERS
from tests.support.reading import fail, read


def test_a_text_is_a_document_of_pages(tmp_path: Path) -> None:
    reading = read(tmp_path, "one\r\n\ftwo\n\f\fthree", Format.TEXT)
    assert reading.names == ["page", "text"]
    assert reading.types == ["integer", "text"]
    assert reading.rows == [["1", "one\r\n"], ["2", "two\n"], ["3", ""], ["4", "three"]]
    assert reading.parsed.pages == 4


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=25,
)
@given(
    st.lists(
        st.sampled_from(["word ", "\n", "\n\n", "\r\n", "é" * 700, "x" * 3_000, "\f", "."]),
        min_size=1,
        max_size=60,
    )
)
def test_the_pages_together_are_the_text(tmp_path: Path, pieces: list[str]) -> None:
    text = "start" + "".join(pieces)
    reading = read(tmp_path, text, Format.TEXT)
    pages = [page or "" for _, page in reading.rows]
    assert "".join(pages) == text.replace("\f", "")
    assert all(len(page) <= PAGE_CHARACTERS for page in pages)
    assert [number for number, _ in reading.rows] == [str(n + 1) for n in range(len(pages))]


@pytest.mark.parametrize(("raw", "place"), [("a\nb\0c", "Line 2 holds a NUL"), (" \n", "blank")])
def test_a_text_that_is_none_is_refused(tmp_path: Path, raw: str, place: str) -> None:
    assert place in fail(tmp_path, raw, Format.TEXT).message
