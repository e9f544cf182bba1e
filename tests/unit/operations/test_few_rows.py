"""Learners on tables with a handful of filled rows: what they make of them, and how sure they are."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.enrichment.learners import categories
from gridmill.operations.enrichment.learners.exchange import Prediction, Row, Table, Target
from gridmill.operations.enrichment.learners.fitting import fit
from gridmill.operations.enrichment.learners.meaning import count_affordable
from gridmill.operations.enrichment.learners.stack import (
    FEW_VALUES,
    MIN_CALIBRATION,
    Calibration,
)
from gridmill.operations.outcomes import FLOOR

pytestmark = pytest.mark.unit

NUMBER = ValueRules(DataType.NUMBER)
THINGS = {
    "fruit": ("apple", "pear", "plum", "cherry", "grape"),
    "tool": ("nail", "hammer", "saw", "drill", "wrench"),
    "furniture": ("chair", "table", "sofa", "desk", "bed"),
}
ADJECTIVES = ("yellow", "long", "small", "old", "cheap", "new")


def make_things(count: int, seed: int) -> list[tuple[str, str]]:
    chance = random.Random(seed)
    rows: list[tuple[str, str]] = []
    for number in range(count):
        kind = chance.choice(list(THINGS))
        rows.append((f"{chance.choice(ADJECTIVES)} {chance.choice(THINGS[kind])} {number}", kind))
    return rows


def learn(
    columns: Sequence[str],
    rows: Sequence[Row],
    new: Sequence[Row],
    rules: ValueRules | None = None,
) -> list[Prediction]:
    """Answers for `new`; the target is the last column."""
    table = Table(tuple(columns), tuple(f"k{n}" for n in range(len(rows))), tuple(rows))
    learner = fit(table, Target(columns[-1], rules or ValueRules(), columns[-1]), 0)
    assert not isinstance(learner, str), learner
    return learner.predict([f"new{n}" for n in range(len(new))], new)


def test_words_tell_a_category_from_thirty_rows_and_it_is_known_how_often() -> None:
    right: list[bool] = []
    said: list[float] = []
    for seed in range(3):
        rows, new = make_things(30, seed), make_things(40, seed + 50)
        found = learn(("Name", "Kind"), rows, [(name, None) for name, _ in new])
        right += [p.value == kind for p, (_, kind) in zip(found, new, strict=True)]
        said += [p.confidence for p in found]
    accuracy = sum(right) / len(right)
    assert accuracy > 0.8
    assert abs(sum(said) / len(said) - accuracy) < 0.1


def test_the_rows_most_alike_are_the_sources() -> None:
    rows = make_things(40, 1)
    names = [f"fine {word} 99" for words in THINGS.values() for word in words]
    found = learn(("Name", "Kind"), rows, [(name, None) for name in names])
    assert len({p.row_ids for p in found}) > 10
    for prediction, name in zip(found, names, strict=True):
        sources = [rows[int(row_id[1:])] for row_id in prediction.row_ids]
        assert {kind for _, kind in sources} <= {prediction.value}
        word = name.split()[1]
        alike = {kind for text, kind in rows if f" {word} " in text}
        if prediction.value in alike:
            assert f" {word} " in sources[0][0]


def test_eight_rows_never_make_anything_nearly_certain() -> None:
    rows = make_things(8, 3)
    found = learn(("Name", "Kind"), rows, [(name, None) for name, _ in make_things(20, 4)])
    assert all(p.confidence < 0.85 for p in found)


@pytest.mark.parametrize("count", [5, 10, 20])
def test_a_handful_of_rows_gives_no_value_that_is_hardly_likely(count: int) -> None:
    doubtful = 0
    for seed in range(6):
        chance = random.Random(seed)
        # One kind in three is a matter of chance, so that the rows teach something, but not much.
        rows = [
            (name, chance.choice(list(THINGS)) if chance.random() < 0.3 else kind)
            for name, kind in make_things(count, seed)
        ]
        new: list[Row] = [(name, None) for name, _ in make_things(20, seed + 50)]
        found = learn(("Name", "Kind"), rows, new)
        doubtful += sum(p.value is None for p in found)
        assert all(p.confidence >= 0.6 for p in found if p.value is not None)
    assert doubtful


def test_a_border_between_numbers_is_found_in_thirty_rows() -> None:
    chance = random.Random(5)
    ages = [chance.randrange(1, 60) for _ in range(70)]
    rows = [(f"p{n}", str(age), str(age >= 18).lower()) for n, age in enumerate(ages)]
    found = learn(
        ("Name", "Age", "Adult"),
        rows[:30],
        [(name, age, None) for name, age, _ in rows[30:]],
        ValueRules(DataType.BOOLEAN),
    )
    assert sum(p.value == row[2] for p, row in zip(found, rows[30:], strict=True)) >= 37


def test_a_random_category_is_left_empty_where_no_value_is_likely() -> None:
    chance = random.Random(6)
    rows = [(f"{chance.randrange(100)}", chance.choice("xyz")) for _ in range(60)]
    found = learn(("Size", "Luck"), rows, [(f"{n}", None) for n in range(40)])
    filled = [p for p in found if p.value is not None and p.confidence >= FLOOR]
    assert len(filled) <= 4


@pytest.mark.parametrize("seed", range(3))
def test_formulas_are_found_in_twenty_rows(seed: int) -> None:
    chance = random.Random(seed)
    inputs = [(chance.randrange(1, 20), chance.randrange(100, 5_000)) for _ in range(40)]
    for compute in (lambda q, p: q * p / 100, lambda q, p: 3 * q + p / 10):
        rows = [(str(q), f"{p / 100:.2f}", f"{compute(q, p):.2f}") for q, p in inputs]
        new: list[Row] = [(q, p, None) for q, p, _ in rows[20:]]
        for said, row in zip(
            learn(("Qty", "Price", "Total"), rows[:20], new, NUMBER), rows[20:], strict=True
        ):
            assert float(said.value or "nan") == pytest.approx(float(row[2]), rel=0.02)
            assert said.confidence > 0.8


def test_a_number_that_rests_on_empty_cells_is_not_given() -> None:
    rows = [(str(n), f"{2.5 * n + 1}") for n in range(30)]
    [known, unknown] = learn(("A", "B"), rows, [("7", None), (None, None)], NUMBER)
    assert known.value == "18.5"
    assert unknown.value is None or unknown.confidence < FLOOR


def test_random_numbers_are_not_given() -> None:
    chance = random.Random(8)
    rows = [(str(chance.randrange(100)), str(chance.randrange(1_000))) for _ in range(40)]
    found = learn(("A", "B"), rows, [(str(n), None) for n in range(20)], NUMBER)
    assert all(p.value is None or p.confidence < 0.5 for p in found)


def test_a_zip_codes_start_tells_the_state_of_codes_never_seen() -> None:
    chance = random.Random(9)
    starts = {"TX": "770", "CA": "900", "NY": "142", "OH": "443"}
    states = [chance.choice(list(starts)) for _ in range(80)]
    rows = [(f"{starts[state]}{chance.randrange(100):02}", state) for state in states]
    found = learn(("Zip", "State"), rows[:40], [(code, None) for code, _ in rows[40:]])
    assert [p.value for p in found] == states[40:]


def test_a_sample_beyond_those_judged_is_answered_without_its_own_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(categories, "_JUDGED_ROWS", 20)
    cities = ["Oulu", "Turku"] * 40
    rows: list[Row] = [(city, f"of {city}") for city in cities]
    rows += [(f"alone{n}", f"never seen {n}") for n in range(20)]
    table = Table(("City", "Club"), tuple(f"k{n}" for n in range(100)), tuple(rows))
    learner = fit(table, Target("Club", ValueRules(), "Club"), 0)
    assert not isinstance(learner, str)
    for said, row in zip(learner.predict(table.row_ids, rows), rows, strict=True):
        if (row[0] or "").startswith("alone"):
            assert said.value != row[1]
        else:
            assert said.value == row[1]


def test_texts_are_read_up_to_a_number_of_characters_each_once() -> None:
    assert count_affordable(["abc", "abc", "de", "f"], 5) == 3
    assert count_affordable(["abc"], 5) == 1
    assert count_affordable([], 5) == 0


def test_calibration_is_humble_with_few_rows_and_falls_with_the_score() -> None:
    for rows, most in ((3, 0.7), (10, 0.9), (60, 0.97), (400, 0.998)):
        calibration = Calibration(np.full(rows, 0.99), np.ones(rows))
        said = calibration.apply(np.array([0.05, 0.5, 0.99]))
        assert said[0] < said[1] <= said[2] < most
        assert said[0] < 0.3


@given(
    st.lists(st.tuples(st.floats(0.01, 0.99), st.booleans()), min_size=1, max_size=29),
    st.floats(0.01, 0.99),
)
def test_few_left_out_rows_bound_what_a_score_is_worth_and_each_hit_adds_to_it(
    rows: list[tuple[float, bool]], score: float
) -> None:
    assert len(rows) < MIN_CALIBRATION
    scores = np.array([said for said, _ in rows])
    right = np.array([float(hit) for _, hit in rows])
    found = Calibration(scores, right, FEW_VALUES).apply(np.array([score * 0.9, score]))
    assert 0.0 <= found[0] <= found[1] <= (right.sum() + 1) / (right.sum() + 3)
    for place in np.flatnonzero(right == 0).tolist():
        better = right.copy()
        better[place] = 1.0
        more = Calibration(scores, better, FEW_VALUES).apply(np.array([score]))
        assert more[0] >= found[1]


@pytest.mark.parametrize(("count", "least"), [(5, 0.6), (10, 0.75), (20, 0.85)])
def test_a_column_that_another_one_determines_is_given_from_a_handful_of_rows(
    count: int, least: float
) -> None:
    clubs = {"Oulu": "north", "Turku": "south"}
    cities = ["Oulu", "Turku"] * count
    rows: list[Row] = [(city, f"p{n}", clubs[city]) for n, city in enumerate(cities[:count])]
    found = learn(("City", "Name", "Club"), rows, [(city, "new", None) for city in clubs])
    assert [p.value for p in found] == list(clubs.values())
    assert all(p.confidence >= least for p in found)


def test_calibration_follows_left_out_rows_that_contradict_the_score() -> None:
    chance = np.random.default_rng(0)
    for rows in (60, 400):
        right = (chance.random(rows) < 0.5).astype(np.float64)
        said = Calibration(np.full(rows, 0.95), right).apply(np.array([0.95]))
        assert abs(float(said[0]) - float(right.mean())) < 0.12
