"""The arithmetic of sharing a provider's limits, without a clock or a store: every limiter uses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from gridmill.providers.llm.ports import Claim, Share

GRANT_SECONDS = 5.0
"""How long a grant outlives its last renewal: a crashed process blocks its part this long."""

_SLICE_SECONDS = 2.0
_ASK_AGAIN = 0.25
# A chunk taken from a bucket may be spent up to this long after: it widens the minute.
_SPENT_WITHIN = 2.0
_BURST_SHARE = 30


@dataclass(frozen=True, slots=True)
class Grant:
    """What a holder has, what it could use, and until when (seconds on the store's clock)."""

    granted: int
    wanted: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Buckets:
    """What is left of the minute; `None` until a limit is first used."""

    requests: float | None
    tokens: float | None
    refilled_at: float


def find_burst(per_minute: int) -> float:
    """The most that a bucket holds: two seconds' worth, at least one."""
    return max(1.0, per_minute / _BURST_SHARE)


def find_refill(per_minute: int) -> float:
    """Units a second, such that no 60 s ever hold more than `per_minute`.

    What 60 s can hold is a full bucket, the refill of those seconds, and the refill of the time
    that a chunk may lie unspent before. About 94% of the limit can be used.
    """
    return max(per_minute - find_burst(per_minute), 1.0) / (60.0 + _SPENT_WITHIN)


def share_out(
    claim: Claim, others: Mapping[UUID, Grant], buckets: Buckets, now: float
) -> tuple[Grant, Buckets, Share]:
    """Decide on `claim` beside the live grants of `others`.

    Strict: the new grant and the others' add up to no more than the limit, as long as the claim's
    `in_use` is within its own last grant. While someone waits for its part, everyone falls back to
    an equal part (a remainder goes round in slices of two seconds, so a limit under the number of
    processes starves none); otherwise whoever can use it takes what is free.
    """
    maximum = claim.limits.max_concurrency
    free = max(0, maximum - sum(grant.granted for grant in others.values()))
    parts = _split(claim, others, now)
    own = parts[claim.holder]
    if not others:
        target = maximum
    else:
        starved = any(g.granted < min(g.wanted, parts[holder]) for holder, g in others.items())
        target = min(claim.wanted, free, own if starved else maximum)
    granted = min(free, max(target, claim.in_use))
    # Who has its part waits for the next heartbeat; who has not asks again soon.
    waits = _ASK_AGAIN if target < min(claim.wanted, own) else None
    clock = _Clock(buckets.refilled_at, now, len(others) + 1)
    limits = claim.limits
    requests, left, wait = clock.take(claim.requests, buckets.requests, limits.requests_per_minute)
    tokens, tokens_left, token_wait = clock.take(
        claim.tokens, buckets.tokens, limits.tokens_per_minute
    )
    waiting = [w for w in (waits, wait, token_wait) if w is not None]
    share = Share(min(target, granted), GRANT_SECONDS, requests, tokens, min(waiting, default=None))
    grant = Grant(granted, claim.wanted, now + GRANT_SECONDS)
    return grant, Buckets(left, tokens_left, now), share


def return_unspent(claim: Claim, buckets: Buckets, now: float) -> Buckets:
    """The buckets after a holder left and gave back what it had not spent."""
    limits = claim.limits
    clock = _Clock(buckets.refilled_at, now, 1)
    _, requests, _ = clock.take(
        min(0.0, claim.requests), buckets.requests, limits.requests_per_minute
    )
    _, tokens, _ = clock.take(min(0.0, claim.tokens), buckets.tokens, limits.tokens_per_minute)
    return Buckets(requests, tokens, now)


def _split(claim: Claim, others: Mapping[UUID, Grant], now: float) -> dict[UUID, int]:
    """Equal parts for all who want any; the remainder goes to a window that moves with time."""
    wanting = sorted([h for h, grant in others.items() if grant.wanted] + [claim.holder])
    base, rest = divmod(claim.limits.max_concurrency, len(wanting))
    turn = int(now / _SLICE_SECONDS)
    parts = {h: base + ((i + turn) % len(wanting) < rest) for i, h in enumerate(wanting)}
    return {**dict.fromkeys(others, 0), **parts}


@dataclass(frozen=True, slots=True)
class _Clock:
    """When buckets were last refilled, what time it is, and how many take from them."""

    refilled_at: float
    now: float
    holders: int

    def take(
        self, wanted: float, left: float | None, per_minute: int | None
    ) -> tuple[float, float | None, float | None]:
        """`(taken, left, seconds until more)`; what is given back never overfills a bucket."""
        if per_minute is None:
            return 0.0, left, None
        burst, refill = find_burst(per_minute), find_refill(per_minute)
        passed = max(0.0, self.now - self.refilled_at)
        here = burst if left is None else min(burst, left + passed * refill)
        if wanted <= 0:
            return 0.0, min(burst, here - wanted), None
        part = here if self.holders == 1 else max(min(here, 1.0), here / self.holders)
        taken = max(0.0, min(wanted, part))
        missing = min(1.0, wanted - taken)
        # Waiting a little longer brings a chunk instead of a single unit.
        wait = max(missing / refill, _ASK_AGAIN) if missing > 0 else None
        return taken, here - taken, wait
