"""Query strings are as strict as bodies."""

import contextlib
from enum import StrEnum
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from gridmill.kit.errors import InvalidText, ValidationFailed
from gridmill.kit.http import ListQuery, parse_query


class _Order(StrEnum):
    UP = "asc"
    DOWN = "desc"


class _Query(ListQuery):
    order: _Order = _Order.UP
    share: float | None = Field(default=None, ge=0, le=1)
    with_all: bool = False
    search: str | None = None


def _fields(raw: bytes) -> list[str]:
    with pytest.raises(ValidationFailed) as caught:
        parse_query(_Query, raw)
    return [fault.field for fault in caught.value.fields]


def test_what_is_left_out_has_its_default() -> None:
    assert parse_query(_Query, b"") == _Query()


def test_every_type_is_read() -> None:
    found = parse_query(
        _Query, b"page=3&limit=100&order=desc&share=0.25&withAll=true&search=a%20b%2Bc"
    )
    assert found == _Query(
        page=3, limit=100, order=_Order.DOWN, share=0.25, with_all=True, search="a b+c"
    )


@pytest.mark.parametrize(
    "text",
    ["1_000", "%201", "1%20", "1.0", "1e2", "0x1", "", "true", "01", "%2B1", "%D9%A3", "9" * 30],
)
def test_a_malformed_integer_is_refused(text: str) -> None:
    assert _fields(f"page={text}".encode()) == ["page"]


@pytest.mark.parametrize("text", ["nan", "inf", "1e-1", ".5", "5.", "1,5", "-1", "1.01"])
def test_a_malformed_or_unbounded_number_is_refused(text: str) -> None:
    assert _fields(f"share={text}".encode()) == ["share"]


@pytest.mark.parametrize("text", ["True", "1", "yes", ""])
def test_only_true_and_false_are_booleans(text: str) -> None:
    assert _fields(f"withAll={text}".encode()) == ["withAll"]


def test_repeated_unknown_and_out_of_range_parameters_are_each_named() -> None:
    assert _fields(b"page=1&page=2") == ["page"]
    assert _fields(b"with_all=true") == ["with_all"]
    assert _fields(b"limit=101") == ["limit"]
    assert _fields(b"page=0") == ["page"]
    assert _fields(b"order=sideways") == ["order"]


@pytest.mark.parametrize("raw", [b"search=%00", b"search=%FF", b"search=%ED%A0%80", b"search=\xff"])
def test_text_that_no_store_keeps_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidText):
        parse_query(_Query, raw)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_any_other_text_arrives_unaltered(text: str) -> None:
    assert parse_query(_Query, f"search={quote(text, safe='')}".encode()).search == text


@given(st.binary(max_size=60))
def test_no_query_string_does_anything_but_parse_or_be_refused(raw: bytes) -> None:
    with contextlib.suppress(ValidationFailed, InvalidText):
        parse_query(_Query, raw)
