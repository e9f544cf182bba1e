"""Which days `GET /usage` is asked about."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from pydantic import ValidationError

from gridmill.tasks.schemas import UsageQuery

pytestmark = pytest.mark.unit

TODAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ({}, date(2026, 2, 9), TODAY),
        ({"from": "2025-12-01"}, date(2025, 12, 1), TODAY),
        ({"from": "2026-03-10"}, TODAY, TODAY),
        ({"from": "2026-04-01"}, date(2026, 4, 1), date(2026, 4, 1)),
        ({"to": "2026-01-30"}, date(2026, 1, 1), date(2026, 1, 30)),
        ({"from": "2026-01-01", "to": "2026-01-02"}, date(2026, 1, 1), date(2026, 1, 2)),
    ],
)
def test_days_that_are_left_out_go_up_to_today_or_are_thirty(
    asked: dict[str, str], first: date, last: date
) -> None:
    with time_machine.travel(datetime(2026, 3, 10, 12, tzinfo=UTC), tick=False):
        assert UsageQuery.model_validate(asked).days == (first, last)


def test_a_first_day_over_a_year_ago_needs_a_last_one() -> None:
    long_ago = (TODAY - timedelta(days=366)).isoformat()
    with time_machine.travel(datetime(2026, 3, 10, 12, tzinfo=UTC), tick=False):
        with pytest.raises(ValidationError, match="366"):
            UsageQuery.model_validate({"from": long_ago})
        year_ago = (TODAY - timedelta(days=365)).isoformat()
        assert UsageQuery.model_validate({"from": year_ago}).days[1] == TODAY
