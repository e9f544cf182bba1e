"""Dates, numbers and other typed values in the writings that documents use."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType
from gridmill.operations.extraction.dates import Order, find_dates, read_order
from gridmill.operations.extraction.numbers import find_numbers, uses_comma
from gridmill.operations.extraction.phrases import find_phrases, read_duration
from gridmill.operations.extraction.typed import Writing, find_typed, guess_kind, read_text
from tests.support.extracting import column

pytestmark = pytest.mark.unit

MONTHS = "January February March April May June July August September October November December"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize(
    "text",
    [
        "2018-03-05",
        "2018/3/5",
        "5 March 2018",
        "5th day of March, 2018",
        "March 5, 2018",
        "Mar. 5 2018",
        "05 MAR 2018",
        "05-Mar-18",
        "5. März 2018",
        "5 de marzo de 2018",
        "5 mars 2018",
        "2018年3月5日",
        "13/3/2018 and 05/03/2018",
    ],
)
def test_one_day_is_read_from_all_usual_writings(text: str) -> None:
    found = [day.canonical for day in find_dates(text, read_order([text]))]
    assert found[-1] == "2018-03-05"


def test_a_day_that_two_readings_admit_is_doubtful_until_the_document_decides() -> None:
    [doubtful] = find_dates("04/05/2018")
    [month_first] = find_dates("04/05/2018", read_order(["12/31/2017"]))
    [hinted] = find_dates("04/05/2018", read_order([], "Date as DD/MM/YYYY"))
    assert doubtful.doubtful
    assert (month_first.canonical, month_first.doubtful) == ("2018-04-05", False)
    assert (hinted.canonical, hinted.doubtful) == ("2018-05-04", False)


def test_what_is_no_day_of_the_calendar_is_no_date() -> None:
    assert not list(find_dates("31/02/2018 and 2018-13-01 and version 1.2.3.4"))


def test_a_time_glued_to_the_year_by_a_scan_leaves_the_date_whole() -> None:
    assert [day.canonical for day in find_dates("22/12/20178:13:39PM")] == ["2017-12-22"]


@given(
    st.dates(date(1950, 1, 1), date(2069, 12, 31)),
    st.sampled_from(["{d} {m} {y}", "{m} {d}, {y}", "{y}-{n:02}-{d:02}", "{d:02}.{n:02}.{y}"]),
    TEXTS,
)
def test_every_written_date_is_found_at_its_place(day: date, form: str, around: str) -> None:
    name = MONTHS.split()[day.month - 1]
    said = form.format(d=day.day, m=name, n=day.month, y=day.year)
    text = f"{around} : {said} ;"
    found = [(d.start, d.canonical) for d in find_dates(text, Order.DAY_FIRST)]
    assert (len(around) + 3, day.isoformat()) in found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.56", "1234.56"),
        ("RM 57.40", "57.4"),
        ("$2.5 billion", "2500000000"),
        ("U.S. $1,000,000,000 at", "1000000000"),
        ("(1,234.00)", "-1234"),
        ("-3.5 %", "-3.5"),
        ("12,34,567", "1234567"),
        ("1 234,50 €", "1234.5"),
        ("1'234", "1234"),
        ("Total 9.00.", "9"),
    ],
)
def test_numbers_are_read_with_their_separators_signs_and_scales(text: str, value: str) -> None:
    assert [n.canonical for n in find_numbers(text)][-1] == value


def test_a_document_of_comma_decimals_is_read_that_way() -> None:
    texts = ["12,50 und 3,75", "1.234"]
    assert uses_comma(texts)
    assert [n.canonical for n in find_numbers("1.234", comma=True)] == ["1234"]
    [doubtful] = find_numbers("1.234")
    assert (doubtful.canonical, doubtful.doubtful) == ("1.234", True)


@given(st.decimals(-(10**9), 10**9, places=2), TEXTS)
def test_every_amount_is_found_at_its_place_whatever_stands_before_it(
    amount: object, around: str
) -> None:
    said = f"{amount:,.2f}"
    text = f"{around} : {said} ;"
    places = [(n.start, n.end) for n in find_numbers(text)]
    assert (len(around) + 3, len(around) + 3 + len(said)) in places


@given(TEXTS, st.sampled_from(list(DataType)))
def test_typed_values_lie_inside_the_text_in_order(text: str, kind: DataType) -> None:
    found = list(find_typed(text, kind, Writing()))
    assert all(0 <= f.start < f.end <= len(text) for f in found)
    assert [f.start for f in found] == sorted(f.start for f in found)


def test_a_text_column_named_like_a_type_looks_for_that_type_and_keeps_the_writing() -> None:
    due = column(1, "due date")
    assert guess_kind(due) is DataType.DATE
    found = read_text(due, "on March 5, 2018 at noon", DataType.DATE, Writing())
    assert found is not None
    assert found.canonical == "March 5, 2018"


def test_an_option_is_found_as_words_of_its_own() -> None:
    mood = column(1, "state", DataType.ENUM, options=("paid", "unpaid"))
    found = read_text(mood, "The bill is unpaid.", DataType.ENUM, Writing())
    assert found is not None
    assert found.canonical == "unpaid"


def test_durations_in_words_and_figures_are_one_duration() -> None:
    assert read_duration("two (2) years") == read_duration("2 years") == "2 years"
    assert read_duration("2 years and 3 months") is None


def test_turns_of_phrase_name_law_and_parties() -> None:
    text = (
        "This Agreement is made between Acme Tools, Inc., a Delaware corporation, and Jane R. Doe "
        "(the “Recipient”). It shall be governed by the laws of the State of New York, without "
        "regard to conflicts."
    )
    laws = [found.canonical for found, _ in find_phrases(text, "Governing law")]
    parties = [found.canonical for found, _ in find_phrases(text, "party")]
    recipients = [found.canonical for found, _ in find_phrases(text, "recipient")]
    assert laws == ["New York"]
    assert parties[:2] == ["Acme Tools, Inc.", "Jane R. Doe"]
    assert recipients == ["Jane R. Doe"]
