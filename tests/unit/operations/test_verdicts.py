"""What people's verdicts on earlier answers change in the next ones."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import ValueRules
from gridmill.operations.enrichment.learners.exchange import Prediction, Row, Table, Target
from gridmill.operations.enrichment.learners.fitting import fit
from gridmill.operations.enrichment.learners.verdicts import JudgedLearner, is_right
from gridmill.operations.model import Verdict

pytestmark = pytest.mark.unit

CLUBS = {"Oulu": "north", "Turku": "south"}
COLUMNS = ("City", "Club")


def judge(
    row: str, value: str = "north", truth: str | None = None, *, confidence: float = 0.8
) -> Verdict:
    return Verdict(row, "Club", value, truth, confidence, "learned", asked_for=True)


def learn(verdicts: Sequence[Verdict], asked: Sequence[str] = ("new",)) -> list[Prediction]:
    """Answers of clubs in Oulu."""
    rows: list[Row] = [(city, CLUBS[city]) for city in CLUBS] * 20
    table = Table(COLUMNS, tuple(f"k{n}" for n in range(len(rows))), tuple(rows), tuple(verdicts))
    learner = fit(table, Target("Club", ValueRules(), "Club"), 0)
    assert not isinstance(learner, str), learner
    return learner.predict(asked, [("Oulu", None)] * len(asked))


class Steady:
    """A learner that always says the same with the same confidence."""

    def __init__(self, confidence: float) -> None:
        self.confidence = confidence

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:
        return [Prediction("north", self.confidence, {"method": "learned"}) for _ in rows]


def test_approvals_raise_the_confidence_and_rejections_lower_it() -> None:
    [plain] = learn([])
    [approved] = learn([judge(f"a{n}", truth="north") for n in range(10)])
    [rejected] = learn([judge(f"a{n}") for n in range(10)])
    assert plain.value == approved.value == rejected.value == "north"
    assert rejected.confidence < plain.confidence < approved.confidence < 1
    assert "verdicts" not in plain.factors
    assert approved.factors["verdicts"] == {"approved": 10, "rejected": 0}
    assert rejected.factors["verdicts"] == {"approved": 0, "rejected": 10}


def test_a_rejected_value_is_not_offered_again_to_its_row_but_to_others() -> None:
    refused, other = learn([judge("r1", "North ")], ("r1", "r2"))
    assert refused.value is None
    assert refused.factors["rejectedBefore"] is True
    assert other.value == "north"


def test_verdicts_on_another_column_or_by_another_method_change_no_confidence() -> None:
    [plain] = learn([])
    others = [
        Verdict(f"a{n}", "City", "Oulu", None, 0.8, "learned", asked_for=True) for n in range(10)
    ]
    others += [
        Verdict(f"a{n}", "Club", "north", None, 0.8, "model", asked_for=True) for n in range(10)
    ]
    [found] = learn(others)
    assert (found.value, found.confidence) == (plain.value, plain.confidence)


def test_an_edit_of_a_cell_that_nobody_was_asked_about_only_refuses_its_value() -> None:
    edits = [
        Verdict(f"a{n}", "Club", "north", "south", 0.8, "learned", asked_for=False)
        for n in range(10)
    ]
    plain = learn([])[0]
    refused, other = learn(edits, ("a1", "new"))
    assert refused.value is None
    assert other.confidence == plain.confidence


def test_an_edit_that_leaves_the_value_approves_it_and_a_number_may_be_close() -> None:
    assert is_right(judge("a", "North", "north"))
    assert not is_right(judge("a", "north", "south"))
    for truth, right in (("100", True), ("106", True), ("140", False), ("none", False)):
        said = Verdict("a", "Size", "97", truth, 0.8, "regression", asked_for=True)
        assert is_right(said) is right


@given(
    st.lists(st.booleans(), min_size=1, max_size=60),
    st.floats(0.3, 0.95),
)
def test_every_approval_adds_confidence_and_it_stays_a_probability(
    outcomes: list[bool], stated: float
) -> None:
    def ask(approved: int) -> float:
        verdicts = [
            judge(f"a{n}", truth="north" if n < approved else None, confidence=stated)
            for n in range(len(outcomes))
        ]
        [found] = JudgedLearner(Steady(stated), verdicts).predict(["new"], [("Oulu", None)])
        return found.confidence

    right = sum(outcomes)
    assert 0 < ask(right) < 1
    if right:
        assert ask(right) > ask(right - 1)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_many_verdicts_settle_what_a_stated_confidence_is_worth(share: float) -> None:
    verdicts = [judge(f"a{n}", truth="north" if n < 200 * share else None) for n in range(200)]
    [found] = JudgedLearner(Steady(0.8), verdicts).predict(["new"], [("Oulu", None)])
    assert found.confidence == pytest.approx(share, abs=0.04)
