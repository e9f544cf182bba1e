import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.enrichment.local_questions import Kind, Task, plan_task
from gridmill.operations.enrichment.silence import says_nothing
from gridmill.operations.model import ColumnSpec, ExampleRow

MAIL = ColumnSpec(1, "mail", ValueRules())
SILENT = ["Nobody", "none", "UNKNOWN", "N/A", "not_specified", "Niemand", "k. A.", "inconnue", "–"]


def plan(known: list[str], options: tuple[str, ...] = ()) -> Task:
    rules = ValueRules(DataType.ENUM, options) if options else ValueRules()
    sender = ColumnSpec(2, "sender", rules, prompt="Who sent {{mail}}?")
    rows = [
        ExampleRow(number, f"row{number}", {"mail": f"From {name}", "sender": name})
        for number, name in enumerate(known, 1)
    ]
    planned = plan_task(sender, [MAIL, sender], rows)
    assert planned is not None
    return planned[0]


@pytest.mark.parametrize("word", SILENT)
def test_a_word_that_says_nothing_is_no_value_though_it_stands_in_the_row(word: str) -> None:
    task = plan(["Ada", "Grace"])
    assert task.kind is Kind.COPY
    assert task.is_grounded("Nobody", {"mail": "Nobody signed."})
    assert task.read({"value": word}) is None
    assert task.read({"value": "Ada"}) == "Ada"


def test_it_is_a_value_where_the_column_has_it_or_offers_it() -> None:
    assert plan(["Ada", "Nobody", "Grace"]).read({"value": "nobody"}) == "nobody"
    assert plan([], ("Ada", "None")).read({"value": "none"}) == "None"
    assert plan([], ("Ada", "Grace")).read({"value": "none"}) is None


@given(word=st.sampled_from(SILENT), mark=st.sampled_from(["", " ", ".", "!"]), upper=st.booleans())
def test_case_and_marks_around_it_do_not_count(word: str, mark: str, *, upper: bool) -> None:
    assert says_nothing(f"{mark}{word.upper() if upper else word}{mark}")


@pytest.mark.parametrize(
    "text", ["Nobody's Child GmbH", "NA", "no", "0", "Nil Desperandum", "Nikta"]
)
def test_names_and_short_answers_say_something(text: str) -> None:
    assert not says_nothing(text)
