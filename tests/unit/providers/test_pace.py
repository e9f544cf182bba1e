import random

import pytest

from gridmill.providers.llm.pace import Pace

pytestmark = pytest.mark.unit


def test_a_few_random_failures_cost_no_speed() -> None:
    pace = Pace(64)
    draws = random.Random(7)
    for _ in range(5000):
        if draws.random() < 0.08:
            pace.note_bad(None)
        else:
            pace.note_good()
    assert pace.limit >= 56


def test_a_wall_of_refusals_brings_it_down_to_one() -> None:
    pace = Pace(64)
    for _ in range(1000):
        pace.note_bad(None)
    assert pace.limit == 1


def test_it_settles_near_what_the_provider_takes() -> None:
    pace = Pace(64)
    limits: list[int] = []
    for _ in range(200):
        running = pace.limit
        for place in range(running):
            if place < 10:
                pace.note_good()
            else:
                pace.note_bad(None)
        limits.append(pace.limit)
    settled = limits[50:]
    assert 8 <= sum(settled) / len(settled) <= 20


def test_it_comes_back_after_an_outage() -> None:
    pace = Pace(64)
    for _ in range(500):
        pace.note_bad(None)
    for _ in range(1000):
        pace.note_good()
    assert pace.limit == 64


def test_a_window_of_failures_pauses_it_for_as_long_as_the_provider_says() -> None:
    pace = Pace(8)
    for _ in range(7):
        pace.note_bad(9.0)
    assert pace.paused_until == 0.0
    pace.note_good()
    for _ in range(8):
        pace.note_bad(9.0)
    assert pace.paused_until > 0.0
