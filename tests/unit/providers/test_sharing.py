from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.providers.llm.model import Limits
from gridmill.providers.llm.ports import Claim
from gridmill.providers.llm.sharing import Buckets, Grant, find_burst, find_refill, share_out

pytestmark = pytest.mark.unit

HOLDERS = [UUID(int=number + 1) for number in range(6)]


def claim(holder: UUID, limits: Limits, in_use: int = 0, wanted: int = 1, **more: float) -> Claim:
    return Claim("scope", holder, limits, in_use, wanted, **more)


@given(
    st.integers(1, 20),
    st.lists(
        st.tuples(st.sampled_from(HOLDERS), st.integers(0, 30), st.floats(0.05, 3), st.booleans()),
        max_size=60,
    ),
)
def test_grants_never_add_up_to_more_than_the_limit(
    maximum: int, steps: list[tuple[UUID, int, float, bool]]
) -> None:
    limits = Limits(maximum)
    grants: dict[UUID, Grant] = {}
    now = 0.0
    for holder, wanted, passed, busy in steps:
        now += passed
        grants = {h: grant for h, grant in grants.items() if grant.expires_at > now}
        others = {h: grant for h, grant in grants.items() if h != holder}
        in_use = grants[holder].granted if busy and holder in grants else 0
        asked = claim(holder, limits, in_use, max(wanted, in_use))
        grants[holder], _, share = share_out(asked, others, Buckets(None, None, now), now)
        assert sum(grant.granted for grant in grants.values()) <= maximum
        assert 0 <= share.concurrency <= grants[holder].granted
        assert grants[holder].granted >= in_use


def test_one_process_alone_gets_everything() -> None:
    _, _, share = share_out(claim(HOLDERS[0], Limits(64)), {}, Buckets(None, None, 0.0), 0.0)
    assert share.concurrency == 64


def test_a_newcomer_gets_its_half_once_the_first_has_drained() -> None:
    limits = Limits(64)
    first, second = HOLDERS[:2]
    empty = Buckets(None, None, 0.0)
    grants: dict[UUID, Grant] = {}
    grants[first], _, _ = share_out(claim(first, limits, 0, 64), {}, empty, 0.0)
    grants[second], _, share = share_out(
        claim(second, limits, 0, 64), {first: grants[first]}, empty, 0.1
    )
    assert share.concurrency == 0
    assert share.retry_in is not None
    asked = claim(first, limits, 64, 64)
    grants[first], _, share = share_out(asked, {second: grants[second]}, empty, 0.2)
    assert (grants[first].granted, share.concurrency) == (64, 32)
    asked = claim(first, limits, 32, 64)
    grants[first], _, share = share_out(asked, {second: grants[second]}, empty, 0.3)
    assert grants[first].granted == 32
    _, _, share = share_out(claim(second, limits, 0, 64), {first: grants[first]}, empty, 0.4)
    assert share.concurrency == 32


def test_a_limit_under_the_number_of_processes_goes_round() -> None:
    limits = Limits(1)
    grants: dict[UUID, Grant] = {}
    served: set[UUID] = set()
    for step in range(200):
        now = step * 0.1
        holder = HOLDERS[step % 3]
        grants = {h: grant for h, grant in grants.items() if grant.expires_at > now}
        others = {h: grant for h, grant in grants.items() if h != holder}
        asked = claim(holder, limits, 0, 5)
        grants[holder], _, share = share_out(asked, others, Buckets(None, None, now), now)
        if share.concurrency:
            served.add(holder)
    assert served == set(HOLDERS[:3])


@given(
    st.integers(1, 5000),
    st.lists(st.tuples(st.floats(0.01, 5), st.floats(-3, 50)), min_size=1, max_size=80),
)
def test_no_minute_gives_more_than_its_limit(
    per_minute: int, steps: list[tuple[float, float]]
) -> None:
    limits = Limits(8, requests_per_minute=per_minute)
    buckets = Buckets(None, None, 0.0)
    now = 0.0
    taken: list[tuple[float, float]] = []
    outstanding = 0.0
    for passed, wanted in steps:
        now += passed
        asked = claim(HOLDERS[0], limits, requests=max(wanted, -outstanding))
        _, buckets, share = share_out(asked, {}, buckets, now)
        assert buckets.requests is not None
        assert -1e-6 <= buckets.requests <= find_burst(per_minute) + 1e-6
        outstanding += share.requests + min(0.0, asked.requests)
        taken.append((now, share.requests))
        window = sum(amount for moment, amount in taken if moment > now - 60)
        given_back = find_burst(per_minute) * sum(1 for _, want in steps if want < 0)
        allowed = find_burst(per_minute) + 60 * find_refill(per_minute) + given_back
        assert window <= allowed + 1e-6
    assert find_burst(per_minute) + 62 * find_refill(per_minute) <= max(per_minute, 2) + 1e-6
