"""Confidence from counts: what was measured, what leans on it, what nobody measured."""

import pytest

from gridmill.operations.extraction.confidence import (
    CEILING,
    COUNTS,
    SMALL,
    UNGROUNDED,
    Evidence,
    is_calibrated,
    judge,
    weigh_model,
)
from gridmill.operations.extraction.model import Method
from gridmill.operations.outcomes import FLOOR

pytestmark = pytest.mark.unit

LABEL = Evidence(Method.LABEL, "strong", False)


def test_a_kind_with_many_answers_says_its_own_share_and_one_with_none_its_methods() -> None:
    counts = {"all": (100, 50), "label": (100, 80), "label strong clear": (1000, 900)}
    assert judge(LABEL, counts) == pytest.approx(0.9, abs=0.01)
    assert judge(Evidence(Method.LABEL, "weak", True), counts) == pytest.approx(0.8, abs=0.02)
    assert judge(Evidence(Method.FIELD, "weak", True), counts) == pytest.approx(0.5, abs=0.01)


def test_nothing_is_ever_certain_and_without_counts_all_is_even() -> None:
    assert judge(LABEL, {"all": (9999, 9999)}) == CEILING
    assert judge(LABEL, {}) == 0.5


def test_every_row_of_the_table_has_its_method_and_no_more_right_than_answers() -> None:
    methods = {method.value for method in Method} | {"all"}
    for key, (answers, right) in COUNTS.items():
        assert key.split()[0] in methods
        assert 0 <= right <= answers


def test_what_a_model_says_alone_and_nowhere_stands_is_capped_for_review() -> None:
    lost = weigh_model("openai", "large", "alone", grounded=False)
    assert judge(lost) == UNGROUNDED
    assert not is_calibrated(lost)


def test_the_measured_small_model_confirms_and_an_unmeasured_one_waits_for_review() -> None:
    measured = "qwen2.5-coder-0.5b-instruct"
    agreed = weigh_model("local", measured, "agrees", grounded=True)
    alone = weigh_model("local", measured, "alone", grounded=True)
    other = weigh_model("local", "qwen2.5-coder-1.5b-instruct", "alone", grounded=True)
    assert judge(agreed) > 0.8
    assert is_calibrated(agreed)
    assert judge(alone) < FLOOR
    assert judge(other) == SMALL
    assert not is_calibrated(other)
