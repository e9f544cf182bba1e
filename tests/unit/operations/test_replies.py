"""Reading what a model answered, cell by cell."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType
from gridmill.operations.enrichment.confidence import WORDS, Facts, judge
from gridmill.operations.enrichment.replies import ReplyReader
from gridmill.operations.outcomes import DEFAULT_THRESHOLD, FLOOR
from gridmill.providers.llm.replies import read_object
from tests.support.enriching import column

pytestmark = pytest.mark.unit

SECTOR = column(1, "Sector", None, DataType.ENUM, ("Food", "Steel"))
STAFF = column(2, "Staff", None, DataType.INTEGER)
READER = ReplyReader([SECTOR, STAFF])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=8), part, max_size=3)
    ),
    max_leaves=8,
)


def cell(value: Any, confidence: Any = 0.8, evidence: Any = ("Name",)) -> dict[str, Any]:
    return {"value": value, "confidence": confidence, "evidence": list(evidence)}


def test_a_bad_cell_does_not_spoil_its_neighbour() -> None:
    answer = {"Sector": cell("steel"), "Staff": cell("many")}
    replies = READER.read(answer)
    assert replies[1].value == "Steel"
    assert replies[2].value is None
    assert replies[2].problem is not None
    problems = READER.find_problems(answer)
    assert list(problems) == [2]
    assert '"Staff"' in problems[2]


def test_null_is_an_answer_and_no_problem() -> None:
    assert READER.find_problems({"Sector": cell(None), "Staff": cell(None)}) == {}


def test_a_missing_key_is_a_problem() -> None:
    assert READER.find_problems({"Sector": cell("Food")}) == {2: '"Staff": the key is missing.'}


def test_bare_values_and_percentages_are_understood() -> None:
    replies = READER.read({"Sector": "Food", "Staff": cell("1,200", 85)})
    assert (replies[1].value, replies[1].stated) == ("Food", None)
    assert (replies[2].value, replies[2].stated) == ("1200", 0.85)


@pytest.mark.parametrize(
    ("said", "stated"),
    [
        ("certain", 0.95),
        (" Likely ", 0.8),
        ("UNSURE", 0.5),
        (0.7, 0.7),
        (85, 0.85),
        ("0.7", 0.7),
        ("85 %", 0.85),
        ("1%", 0.01),
        ("high", None),
        ("", None),
        (-1, None),
        (101, None),
        ("nan", None),
        (True, None),
        (["certain"], None),
        (None, None),
    ],
)
def test_confidence_is_read_as_a_word_else_as_a_number_else_not_at_all(
    said: Any, stated: float | None
) -> None:
    assert ReplyReader([STAFF]).read({"Staff": cell(5, said)})[2].stated == stated


@pytest.mark.parametrize("stated", [*WORDS.values(), None])
@pytest.mark.parametrize("evidence", ["columns", "world", "none", "invented"])
@pytest.mark.parametrize("repaired", [False, True])
def test_a_value_that_fits_is_written_whatever_word_comes_with_it(
    *, stated: float | None, evidence: str, repaired: bool
) -> None:
    facts = Facts(stated, quoted=False, evidence=evidence, checked=False, repaired=repaired)
    assert judge(facts) >= FLOOR


def test_a_likely_value_and_a_bare_one_pass_and_one_that_the_model_doubts_is_reviewed() -> None:
    def grade(stated: float | None, evidence: str) -> float:
        return judge(Facts(stated, False, evidence, False, False))

    assert grade(WORDS["likely"], "world") >= DEFAULT_THRESHOLD
    assert grade(None, "none") >= DEFAULT_THRESHOLD
    assert grade(WORDS["unsure"], "columns") < DEFAULT_THRESHOLD
    assert judge(Facts(WORDS["unsure"], False, "columns", True, False)) < DEFAULT_THRESHOLD


@pytest.mark.parametrize(
    "answer",
    [
        {"SECTOR": cell("Food"), "staff": cell(7)},
        {"row": {"Sector": cell("Food"), "Staff": cell(7)}},
        {"result": {"sector": "Food", "staff": 7}},
        {"data": {"Sector": "Food", "Staff": "7"}, "note": {"by": "me"}},
        {"rows": [{"Sector": cell("Food"), "Staff": cell(7)}]},
        read_object('[{"Sector": "Food", "Staff": 7}]'),
    ],
)
def test_other_letters_and_one_more_level_are_understood(answer: dict[str, Any]) -> None:
    assert READER.find_problems(answer) == {}
    replies = READER.read(answer)
    assert (replies[1].value, replies[2].value) == ("Food", "7")


@pytest.mark.parametrize("name", ["Größe (cm)", "größe (CM)", "column_3"])
def test_a_column_is_found_by_its_name_where_its_key_is_another(name: str) -> None:
    reader = ReplyReader([column(3, "Größe (cm)", None, DataType.INTEGER)])
    assert reader.read({name: cell(180)})[3].value == "180"
    assert reader.read({"answer": {name: 180}})[3].value == "180"


def test_our_own_key_goes_before_any_other_spelling() -> None:
    assert READER.read({"SECTOR": "Steel", "Sector": "Food", "Staff": 1})[1].value == "Food"


def test_names_that_differ_in_letters_alone_are_not_mixed_up() -> None:
    reader = ReplyReader([column(1, "name"), column(2, "Name")])
    replies = reader.read({"name": "a", "NAME": "b"})
    assert replies[1].value == "a"
    assert replies[2].problem is not None


def test_the_parts_of_a_cell_are_not_taken_for_columns() -> None:
    reader = ReplyReader([column(1, "value"), column(2, "confidence")])
    replies = reader.read({"value": cell("x")})
    assert replies[1].value == "x"
    assert replies[2].problem is not None


def test_asked_for_one_column_the_cell_itself_is_an_answer() -> None:
    reply = ReplyReader([STAFF]).read(cell(5, 0.7))[2]
    assert (reply.value, reply.stated) == ("5", 0.7)


def test_two_rows_in_place_of_one_are_no_answer() -> None:
    rows = [{"Sector": "Food", "Staff": 1}, {"Sector": "Steel", "Staff": 2}]
    assert len(READER.find_problems({"rows": rows})) == 2


def test_rows_that_are_missing_doubled_or_made_up_are_left_to_be_asked_alone() -> None:
    rows = [{"row": 0}, {"row": 1}, {"row": 1}, {"row": 7}, {"row": True}, "x"]
    assert set(READER.split_rows({"rows": rows}, 3)) == {0}
    assert READER.split_rows({}, 3) == {}


@given(
    st.dictionaries(
        st.sampled_from(["Sector", "Staff", "rows"]), JSON | st.builds(cell, JSON, JSON)
    )
)
def test_no_reply_breaks_the_reader_and_no_bad_value_passes(answer: dict[str, Any]) -> None:
    replies = READER.read(answer)
    assert replies[1].value in {None, "Food", "Steel"}
    assert replies[2].value is None or replies[2].value.lstrip("-").isdigit()
    READER.split_rows(answer, 3)


@given(
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from(["columns", "world", "none", "invented"]),
    st.booleans(),
    st.booleans(),
)
def test_confidence_stays_in_bounds_and_grows_with_the_facts(
    stated: float, quoted: bool, evidence: str, checked: bool, repaired: bool
) -> None:
    found = judge(Facts(stated, quoted, evidence, checked, repaired))
    assert 0 <= found <= 0.97
    assert found <= judge(Facts(stated, True, "columns", True, False))
    assert found <= judge(Facts(1.0, quoted, evidence, checked, repaired))
