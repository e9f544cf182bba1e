"""How many requests a key may make a minute, and the headers that say so.

With a limit, requests are counted in PostgreSQL, once for all API processes. Without one, this
process counts in its memory, against a ceiling that it could hardly serve: the headers then tell
the truth and cost nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from uuid import UUID

from gridmill.kit.errors import RateLimited
from gridmill.storage.database import Tx
from gridmill.storage.rates import WINDOW_SECONDS, count_request

CEILING = 100_000
"""Requests a minute and key that one process answers at most where no limit is set."""

_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Window:
    """A key's present minute: `used` of `limit` requests, until `ends_at` (seconds of the epoch)."""

    limit: int
    used: int
    ends_at: float

    def check(self, now: float) -> None:
        """Raise `RateLimited` when this request was one too many."""
        if self.used > self.limit:
            raise RateLimited(self.limit, max(1, math.ceil(self.ends_at - now)))

    def to_headers(self) -> list[tuple[bytes, bytes]]:
        """`X-RateLimit-Limit`, `-Remaining` and `-Reset`."""
        figures = {
            b"x-ratelimit-limit": self.limit,
            b"x-ratelimit-remaining": max(0, self.limit - self.used),
            b"x-ratelimit-reset": math.ceil(self.ends_at),
        }
        return [(name, str(figure).encode()) for name, figure in figures.items()]


class Rates:
    """The rate limit of this installation: `limit` requests a minute and key, `None` is none."""

    def __init__(self, limit: int | None, clock: Callable[[], float] = time) -> None:
        self.limit = limit
        self._clock = clock
        self._windows: dict[UUID, Window] = {}

    def untouched(self) -> Window:
        """What a reply tells that counts against no key: a minute of which nothing is used."""
        return Window(self._limit, 0, self._clock() + WINDOW_SECONDS)

    async def count(self, tx: Tx, key_id: UUID) -> Window:
        """Count a request of a key; the transaction must be able to write if there is a limit."""
        if self.limit is not None:
            return Window(self.limit, *await count_request(tx, key_id, self.limit))
        return self._count_here(key_id)

    def check(self, window: Window) -> None:
        """Raise `RateLimited` when the request that was counted is one too many."""
        window.check(self._clock())

    @property
    def _limit(self) -> int:
        return CEILING if self.limit is None else self.limit

    def _count_here(self, key_id: UUID) -> Window:
        now = self._clock()
        before = self._windows.get(key_id)
        if before is None or before.ends_at <= now:
            if len(self._windows) >= _MOST_KEYS:
                self._windows = {k: w for k, w in self._windows.items() if w.ends_at > now}
            before = self.untouched()
        window = Window(CEILING, min(before.used, CEILING) + 1, before.ends_at)
        self._windows[key_id] = window
        return window
