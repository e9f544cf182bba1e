"""What each model of a server was found to understand, learnt from its refusals and remembered."""

import time
from collections.abc import Sequence
from dataclasses import replace

from gridmill.providers.llm.errors import ProviderRefused
from gridmill.providers.llm.wire import Dialect, Rung

_ABOUT_SHAPE = (
    "response_format",
    "json_schema",
    "json_object",
    "json mode",
    "schema",
    "tool",
    "function",
    "grammar",
    "structured",
    "guided",
)
_HOPELESS = (
    "context length",
    "context_length",
    "context window",
    "too long",
    "maximum context",
    "too many tokens",
    "content policy",
    "content_policy",
    "content management",
    "content_filter",
)
# Prose instead of JSON this often in a row, before anything worked: the server ignores the order.
_MISSES = 3
_REFUSAL_SECONDS = 2.0
_FIRST_COMPLETION = 256


class Ladder:
    """The rungs of one model at one base URL, and what else it does not take.

    Starts on the best rung. A refusal steps down for good until one rung has worked; after that
    only for the request that was refused, since its own schema may be the reason.
    """

    def __init__(self, rungs: Sequence[Rung]) -> None:
        self._rungs = tuple(rungs)
        self.dialect = Dialect(self._rungs[0])
        self.proven = False
        self._misses = 0
        self._refusal: tuple[float, ProviderRefused] | None = None
        self.expected_completion = float(_FIRST_COMPLETION)

    def step_down(self, used: Dialect, status: int, complaint: str) -> Dialect | None:
        """What to try after a refusal of `used`, or `None` when the refusal is not about its form."""
        text = complaint.lower()
        about_shape = any(word in text for word in _ABOUT_SHAPE)
        if status not in {400, 415, 422, 501} and not (about_shape and status in {404, 500}):
            return None
        if "max_completion_tokens" in text and not used.completion_limit:
            self.dialect = replace(self.dialect, completion_limit=True)
            return replace(used, completion_limit=True)
        if "temperature" in text and used.temperature:
            self.dialect = replace(self.dialect, temperature=False)
            return replace(used, temperature=False)
        if any(word in text for word in _HOPELESS) or (self.proven and not about_shape):
            return None
        if self._index(self.dialect) > self._index(used):
            return self.dialect
        return self._next(used)

    def _index(self, dialect: Dialect) -> int:
        return self._rungs.index(dialect.rung)

    def _next(self, used: Dialect) -> Dialect | None:
        if used.rung is Rung.SCHEMA and used.strict and self.proven:
            return replace(used, strict=False)
        index = self._index(used) + 1
        if index >= len(self._rungs):
            return None
        lower = replace(used, rung=self._rungs[index], strict=True)
        if not self.proven:
            self.dialect = lower
            self._misses = 0
        return lower

    def confirm(self, used: Dialect, completion_tokens: int) -> None:
        """A good answer came of `used`."""
        if used == self.dialect:
            self.proven = True
        self._misses = 0
        self.expected_completion += 0.1 * (completion_tokens - self.expected_completion)

    def note_miss(self, used: Dialect) -> None:
        """A reply without a JSON object: before anything worked, three in a row step down."""
        if self.proven or used != self.dialect:
            return
        self._misses += 1
        if self._misses >= _MISSES:
            self._next(used)

    def remember_refusal(self, error: ProviderRefused) -> None:
        """Every request of the next two seconds would be refused alike."""
        self._refusal = (time.monotonic() + _REFUSAL_SECONDS, error)

    def find_refusal(self) -> ProviderRefused | None:
        """The refusal that still stands."""
        if self._refusal is None or time.monotonic() > self._refusal[0]:
            return None
        return self._refusal[1]
