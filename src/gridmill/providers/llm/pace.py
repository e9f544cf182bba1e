"""How many calls at once a provider takes: additive up, multiplicative down."""

import time

_TOLERANCE = 0.15
_STEPS = 16
_STREAK = 4
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0


class Pace:
    """A limit on concurrency that adapts to 429, 5xx and timeouts.

    Starts at `maximum`. Outcomes are judged a window at a time, a window being as many as ran at
    once: up to 15% of bad ones are noise and raise the limit by a sixteenth of the maximum; beyond
    that it shrinks by half the bad share, as DCTCP does with marked packets (RFC 8257, 3.3), so
    that a few random failures cost nothing and a wall of 429 halves it each round. When a whole
    window (at least four calls) fails without one success, nothing starts until the provider's
    `Retry-After` (or a doubling pause) is over.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._step = max(1.0, maximum / _STEPS)
        self._limit = float(maximum)
        self._seen = 0
        self._bad = 0
        self._streak = 0
        self._pauses = 0
        self.limit = maximum
        self.paused_until = 0.0

    def note_good(self) -> None:
        """A call was answered."""
        self._streak = 0
        self._pauses = 0
        self._seen += 1
        if self._seen >= self._limit:
            self._roll()

    def note_bad(self, retry_after: float | None) -> None:
        """A call met 429, 5xx, a timeout or no server."""
        self._seen += 1
        self._bad += 1
        self._streak += 1
        now = time.monotonic()
        if self._streak >= max(_STREAK, self.limit) and now >= self.paused_until:
            pause = _FIRST_PAUSE * 2**self._pauses if retry_after is None else retry_after
            self._pauses = min(self._pauses + 1, 10)
            self.paused_until = now + min(pause, _LONGEST_PAUSE)
        if self._seen >= self._limit:
            self._roll()

    def _roll(self) -> None:
        share = self._bad / self._seen
        if share > _TOLERANCE:
            self._limit = max(1.0, self._limit * (1 - share / 2))
        else:
            self._limit = min(float(self._maximum), self._limit + self._step)
        self.limit = int(self._limit)
        self._seen = 0
        self._bad = 0
