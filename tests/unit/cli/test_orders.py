from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.cli.running import CommandFailed
from gridmill.cli.table.order import (
    DEFAULT_COLUMN,
    Input,
    Order,
    Target,
    choose_target,
    read_columns,
    read_overrides,
)

pytestmark = pytest.mark.unit


def test_a_prompt_names_its_column_before_the_equals_sign() -> None:
    (column,) = read_columns(["sector = The industry of {{name}}, a=b"], [], [])
    assert column == {"name": "sector", "metadata": {"prompt": "The industry of {{name}}, a=b"}}


def test_a_name_with_spaces_stands_in_quotes() -> None:
    (column,) = read_columns(['"unit price"=In euros'], [], [])
    assert column["name"] == "unit price"


def test_a_name_alone_fills_the_column_without_further_words() -> None:
    assert read_columns(["city="], [], []) == [{"name": "city", "metadata": {}}]


@given(st.text(min_size=1).filter(lambda text: "=" not in text and text.strip()))
def test_a_text_without_a_name_fills_the_answer_column(text: str) -> None:
    (column,) = read_columns([text], [], [])
    assert column["name"] == DEFAULT_COLUMN
    assert column["metadata"]["prompt"] == text.strip()


def test_a_question_that_holds_an_equals_sign_later_is_no_name() -> None:
    (column,) = read_columns(["Is the price = 5?"], [], [])
    assert column["name"] == DEFAULT_COLUMN


def test_options_make_an_enum_unless_a_type_says_otherwise() -> None:
    columns = read_columns(["a=x", "b=y"], ["b=text"], ["a=red, blue", "b=1,2"])
    assert columns[0]["dataType"] == "enum"
    assert columns[0]["metadata"]["options"] == ["red", "blue"]
    assert columns[1]["dataType"] == "text"


@pytest.mark.parametrize(
    ("prompts", "types", "options"),
    [
        ([], [], []),
        (["one question", "another"], [], []),
        (["a=x", "a=y"], [], []),
        (["a=x"], ["b=integer"], []),
        (["a=x"], ["integer"], []),
        (["a=x"], [], ["a="]),
    ],
)
def test_orders_that_make_no_sense_are_refused(
    prompts: list[str], types: list[str], options: list[str]
) -> None:
    with pytest.raises(CommandFailed):
        read_columns(prompts, types, options)


def test_the_ending_names_the_format_and_a_flag_overrides_it(tmp_path: Path) -> None:
    assert choose_target("-", None).file_format == "csv"
    assert choose_target(str(tmp_path / "a.ndjson"), None).file_format == "jsonl"
    assert choose_target(str(tmp_path / "a.txt"), "csv").file_format == "csv"


@pytest.mark.parametrize("out", ["a.txt", "a", "missing/a.csv", "."])
def test_a_target_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, out: str
) -> None:
    with pytest.raises(CommandFailed):
        choose_target(str(tmp_path / out), None)


def test_the_key_of_a_run_follows_its_work_and_not_its_target(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    source = Input(file, "a.csv")
    columns = read_columns(["b=x"], [], [])
    order = Order(columns, {}, Target(None, "csv"))
    key = order.make_key(source)
    assert Order(columns, {}, Target(file, "jsonl")).make_key(source) == key
    assert Order(columns, {"header": "false"}, Target(None, "csv")).make_key(source) != key
    assert Order(read_columns(["b=y"], [], []), {}, order.target).make_key(source) != key
    file.write_text("a\n2\n")
    assert order.make_key(source) != key


def test_a_named_sheet_is_an_override_like_the_others() -> None:
    assert read_overrides(None, None, None, "Prices 2026") == {"sheet": "Prices 2026"}
    assert read_overrides(None, None, True) == {"header": "true"}
