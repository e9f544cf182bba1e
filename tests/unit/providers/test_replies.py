from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.providers.llm.replies import list_missing, read_object

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' \n{"a": 1}\n',
        '```json\n{"a": 1}\n```',
        'Here you are: {"a": 1}. Anything else?',
        '<think>{"b": 2} or so</think>{"a": 1}',
        'I used {curly} words {"a": 1}',
        '{"a": 1} {"a": 2}',
    ],
)
def test_the_first_object_is_found(text: str) -> None:
    assert read_object(text) == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no object",
        "[1, 2]",
        '"text"',
        "null",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": {"b": 1}',
        '{"outer": {"b": 1}, "cut": "of',
        "[" * 100_000,
        '{"a":' * 100_000,
        "{" * 100_000,
    ],
)
def test_what_is_no_whole_object_gives_none(text: str) -> None:
    assert read_object(text) is None


def test_long_integers_keep_every_digit() -> None:
    digits = 12345678901234567890123
    assert read_object(f'{{"a": {digits}}}') == {"a": digits}
    assert read_object(f'words {{"a": {digits}}}') == {"a": digits}


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    found = read_object(text)
    assert found is None or isinstance(found, dict)


def test_missing_keys_are_named() -> None:
    schema = {"required": ["a", "b"]}
    assert list_missing({"a": None}, schema) == ['"b" is missing']


def test_thoughts_are_passed_over_and_unclosed_ones_cost_no_time() -> None:
    assert read_object('<think>{"a": 1}</think> {"a": 2}') == {"a": 2}
    assert read_object('<think><think>{"a": 1}</think> {"a": 2}') == {"a": 2}
    assert read_object('<think>never closed, yet: {"a": 3}') == {"a": 3}
    began = process_time()
    assert read_object("<think>" * 200_000) is None
    # A pattern that looks for every mark's end took 5.9 s for a tenth of this.
    assert process_time() - began < 5
