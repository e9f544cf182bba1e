"""Facts about places: looked up, judged on the filled rows, never guessed."""

from collections.abc import Sequence

import pytest

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.enrichment.learners.exchange import Prediction, Row, Table, Target
from gridmill.operations.enrichment.learners.facts import recognise
from gridmill.operations.enrichment.learners.fitting import fit

pytestmark = pytest.mark.unit


def ask(
    columns: Sequence[str], row: Row, filled: Sequence[Row] = (), rules: ValueRules | None = None
) -> Prediction:
    """The answer for one row; the target is the last column."""
    ids = tuple(f"k{number}" for number in range(len(filled)))
    target = Target(columns[-1], rules or ValueRules(), columns[-1])
    learner = fit(Table(tuple(columns), ids, tuple(filled)), target, 0)
    assert not isinstance(learner, str), learner
    return learner.predict(["new"], [row])[0]


@pytest.mark.parametrize(
    ("columns", "row", "value"),
    [
        (("Country", "Capital"), ("France", None), "Paris"),
        (("country", "currencyCode"), ("Japan", None), "JPY"),
        (("country", "iso3"), ("Germany", None), "DEU"),
        (("country", "continent"), ("KE", None), "Africa"),
        (("city", "state", "country"), ("Paris", "TX", None), "United States"),
        (("city", "time zone"), ("München", None), "Europe/Berlin"),
        (("city", "country"), ("東京都", None), "Japan"),
    ],
)
def test_a_fact_is_looked_up_without_one_filled_row(
    columns: tuple[str, ...], row: Row, value: str
) -> None:
    said = ask(columns, row)
    assert said.value == value
    assert said.sources[0]["license"] == "CC BY 4.0"
    assert "GeoNames" in said.sources[0]["quote"]


def test_a_name_of_several_places_is_not_guessed() -> None:
    assert ask(("city", "state"), ("Springfield", None)).value is None
    assert ask(("city", "country"), ("Paris", None)).value is None


def test_the_row_s_state_tells_places_of_one_name_apart() -> None:
    texas = ask(("city", "state", "latitude"), ("Paris", "Texas", None))
    assert texas.value is not None
    assert 33 < float(texas.value) < 34
    assert ask(("city", "country", "latitude"), ("Paris", "Kenya", None)).value is None


def test_the_filled_rows_choose_the_form_of_a_fact() -> None:
    filled = [("Lyon", "FRA"), ("Osaka", "JPN"), ("Hamburg", "DEU"), ("Turin", "ITA")]
    assert ask(("city", "country"), ("Nairobi", None), filled).value == "KEN"


def test_filled_rows_that_contradict_the_lookup_silence_it() -> None:
    filled = [(city, "open") for city in ("Boston", "Denver", "Tucson", "Tulsa", "Omaha")]
    said = ask(("city", "state"), ("Dallas", None), filled)
    assert said.value in {"open", None}


def test_a_value_that_the_column_does_not_admit_is_not_given() -> None:
    rules = ValueRules(DataType.ENUM, options=("Rome", "Madrid"))
    assert ask(("country", "capital"), ("France", None), (), rules).value != "Paris"


def test_a_name_that_says_more_than_a_fact_is_no_fact() -> None:
    assert recognise("order state", "order state", ("city", "order state")) is None
    assert recognise("working capital", "working capital", ("country", "working capital")) is None


def test_a_prompt_may_ask_for_the_fact() -> None:
    about = "seat The capital of {{country}}"
    asked = recognise("seat", about, ("country", "seat"))
    assert asked is not None
    assert asked.forms == ("capital",)
