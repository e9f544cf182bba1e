"""Dates and datetimes that are learnt: read as numbers, written in ISO 8601, close or not."""

import random
import ssl
from datetime import UTC, date, datetime, timedelta

import certifi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.enrichment.learners.exchange import Prediction, Row, Table, Target
from gridmill.operations.enrichment.learners.fitting import fit
from gridmill.operations.enrichment.learners.numbers import NumberLearner
from gridmill.operations.enrichment.learners.samples import Samples
from gridmill.operations.enrichment.learners.scales import make_scale
from gridmill.operations.outcomes import FLOOR

pytestmark = pytest.mark.unit

DATE = ValueRules(DataType.DATE)
DATETIME = ValueRules(DataType.DATETIME)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sample(values: list[str], rules: ValueRules) -> Samples:
    rows: tuple[Row, ...] = tuple((value,) for value in values)
    ids = tuple(f"k{n}" for n in range(len(rows)))
    return Samples(Table(("When",), ids, rows), Target("When", rules, "When"), 1_000, 0)


def learn(
    columns: tuple[str, ...], rows: list[Row], new: list[Row], rules: ValueRules
) -> list[Prediction]:
    """Answers for `new`; the target is the last column."""
    table = Table(columns, tuple(f"k{n}" for n in range(len(rows))), tuple(rows))
    learner = fit(table, Target(columns[-1], rules, columns[-1]), 0)
    assert not isinstance(learner, str), learner
    return learner.predict([f"new{n}" for n in range(len(new))], new)


def list_certificates(rules: ValueRules) -> list[Row]:
    """The root certificates that browsers trust: who, from when, until when."""
    context = ssl.create_default_context(cafile=certifi.where())
    found: list[Row] = []
    for one in context.get_ca_certs():
        subject = {k: v for part in one["subject"] for k, v in part}  # type: ignore[misc]
        times = [
            EPOCH + timedelta(seconds=ssl.cert_time_to_seconds(str(one[name])))
            for name in ("notBefore", "notAfter")
        ]
        texts = [
            moment.date().isoformat()
            if rules.data_type is DataType.DATE
            else moment.isoformat().replace("+00:00", "Z")
            for moment in times
        ]
        found.append((str(subject.get("organizationName")), *texts))
    return sorted(found, key=lambda row: tuple(map(str, row)))


@pytest.mark.parametrize("rules", [DATE, DATETIME], ids=["date", "datetime"])
def test_when_real_certificates_end_is_said_with_no_more_confidence_than_is_due(
    rules: ValueRules,
) -> None:
    said: list[float] = []
    close: list[bool] = []
    for seed in range(2):
        rows = list_certificates(rules)
        random.Random(seed).shuffle(rows)
        known, asked = rows[:75], rows[75:]
        new: list[Row] = [(who, since, None) for who, since, _ in asked]
        ends = sorted(datetime.fromisoformat(str(row[2])) for row in rows)
        near = (ends[int(0.9 * len(ends))] - ends[int(0.1 * len(ends))]) / 50
        for found, row in zip(
            learn(("Who", "Since", "Until"), known, new, rules), asked, strict=True
        ):
            if found.value is None or found.confidence < FLOOR:
                continue
            assert found.factors["method"] in {"regression", "learned"}
            off = datetime.fromisoformat(found.value) - datetime.fromisoformat(str(row[2]))
            close.append(abs(off) <= near)
            said.append(found.confidence)
    assert len(said) > 5
    assert float(np.mean(close)) > float(np.mean(said)) - 0.1


@pytest.mark.parametrize("rules", [DATE, DATETIME], ids=["date", "datetime"])
def test_times_that_rise_with_a_number_come_close_as_often_as_it_is_said(rules: ValueRules) -> None:
    chance = random.Random(3)
    rows: list[Row] = []
    for _ in range(300):
        number = chance.randrange(10_000)
        hired = datetime(2012, 1, 1, 9) + timedelta(days=number / 3 + chance.gauss(0, 60))  # noqa: DTZ001 (a local time)
        moment = hired.replace(microsecond=0).isoformat()
        rows.append((str(number), moment[:10] if rules is DATE else moment))
    found = learn(("Number", "Hired"), rows[:150], [(n, None) for n, _ in rows[150:]], rules)
    said = [one.confidence for one in found]
    close: list[bool] = []
    for one, row in zip(found, rows[150:], strict=True):
        assert one.factors["method"] == "regression"
        off = datetime.fromisoformat(str(one.value)) - datetime.fromisoformat(str(row[1]))
        close.append(abs(off) <= timedelta(days=10_000 / 3 * 0.8 / 50))
    assert 0.3 < float(np.mean(close)) < 0.9
    assert abs(float(np.mean(said)) - float(np.mean(close))) < 0.12


def test_a_date_so_many_days_after_another_is_found_in_twenty_rows() -> None:
    chance = random.Random(1)
    rows: list[Row] = []
    for _ in range(40):
        ordered = date(2024, 1, 1) + timedelta(days=chance.randrange(900))
        days = chance.randrange(2, 30)
        rows.append((ordered.isoformat(), str(days), (ordered + timedelta(days)).isoformat()))
    new: list[Row] = [(first, days, None) for first, days, _ in rows[20:]]
    found = learn(("Ordered", "Days", "Due"), rows[:20], new, DATE)
    assert [one.value for one in found] == [row[2] for row in rows[20:]]
    assert all(one.confidence > 0.8 for one in found)


def test_random_dates_are_not_given() -> None:
    chance = random.Random(2)
    rows: list[Row] = [
        (str(chance.randrange(99)), str(date(2020, 1, 1) + timedelta(chance.randrange(2_000))))
        for _ in range(60)
    ]
    found = learn(("A", "B"), rows, [(str(n), None) for n in range(20)], DATE)
    assert all(one.value is None or one.confidence < 0.3 for one in found)


@given(st.lists(st.dates(), min_size=1, max_size=8))
def test_every_date_is_read_and_written_as_it_was(values: list[date]) -> None:
    texts = [value.isoformat() for value in values]
    scale = make_scale(sample(texts, DATE), range(len(texts)))
    assert [scale.write(scale.read(text)) for text in texts] == texts


@given(
    st.lists(
        st.datetimes(datetime(1800, 1, 1), datetime(2400, 1, 1)).map(  # noqa: DTZ001 (local times)
            lambda moment: moment.replace(microsecond=0)
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["", "Z", "+05:30", "-03:00"]),
)
def test_every_datetime_is_read_and_written_as_it_was(values: list[datetime], offset: str) -> None:
    texts = [value.isoformat() + offset for value in values]
    scale = make_scale(sample(texts, DATETIME), range(len(texts)))
    assert [scale.write(scale.read(text)) for text in texts] == texts


@given(st.floats(-1e15, 1e15))
def test_a_time_beyond_the_calendar_is_no_value(number: float) -> None:
    for text, rules in (("2024-01-01", DATE), ("2024-01-01T00:00:00Z", DATETIME)):
        written = make_scale(sample([text], rules), [0]).write(number)
        assert written is None or datetime.fromisoformat(written)


def test_local_times_beside_times_with_an_offset_are_not_compared() -> None:
    times = [f"2024-01-{day:02}T10:00:00" for day in range(1, 21)]
    assert NumberLearner.suits(sample(times, DATETIME))
    assert NumberLearner.suits(sample([time + "Z" for time in times], DATETIME))
    mixed = [time + ("Z" if place % 2 else "") for place, time in enumerate(times)]
    assert not NumberLearner.suits(sample(mixed, DATETIME))
