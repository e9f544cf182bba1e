"""Windows of a minute: what they say, when they end, and the ceiling without a limit."""

import math
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.api.rates import CEILING, Rates, Window
from gridmill.kit.errors import RateLimited

NOBODYS_TX = None
"""Without a limit no database is asked."""


@given(limit=st.integers(1, 10**9), used=st.integers(0, 10**9), left=st.floats(0.0, 60.0))
def test_the_headers_never_promise_what_the_check_refuses(
    limit: int, used: int, left: float
) -> None:
    window = Window(limit, used, 1_000_000.0 + left)
    headers = dict(window.to_headers())
    remaining = int(headers[b"x-ratelimit-remaining"])
    assert int(headers[b"x-ratelimit-limit"]) == limit
    assert 0 <= remaining <= limit
    assert int(headers[b"x-ratelimit-reset"]) >= window.ends_at
    if used <= limit:
        window.check(1_000_000.0)
        assert remaining == limit - used
        return
    assert remaining == 0
    with pytest.raises(RateLimited) as caught:
        window.check(1_000_000.0)
    assert int(caught.value.headers["Retry-After"]) == max(1, math.ceil(left))


async def test_without_a_limit_each_key_has_a_minute_of_its_own_and_then_a_new_one() -> None:
    now = [100.0]
    rates = Rates(None, clock=lambda: now[0])
    one, other = uuid4(), uuid4()
    assert rates.untouched() == Window(CEILING, 0, 160.0)
    assert (await rates.count(NOBODYS_TX, one)).used == 1  # pyright: ignore[reportArgumentType]
    now[0] = 150.0
    assert await rates.count(NOBODYS_TX, one) == Window(CEILING, 2, 160.0)  # pyright: ignore[reportArgumentType]
    assert await rates.count(NOBODYS_TX, other) == Window(CEILING, 1, 210.0)  # pyright: ignore[reportArgumentType]
    now[0] = 160.0
    assert await rates.count(NOBODYS_TX, one) == Window(CEILING, 1, 220.0)  # pyright: ignore[reportArgumentType]
