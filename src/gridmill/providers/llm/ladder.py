"""What each model of a server was found to understand, learnt from its refusals and remembered."""

import time
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from gridmill.providers.llm.errors import ProviderRefused
from gridmill.providers.llm.model import Frame
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
_CLIMBS = 3
_REFUSAL_SECONDS = 0.3
_FIRST_COMPLETION = 256


class Ladder:
    """The rungs of one model at one base URL, and what else it does not take.

    Starts on the best rung. A refusal steps down for good until one rung has worked; after that
    only for the frame that was refused, since its own schema may be the reason. When no rung at
    all takes a request, its content was the reason and the ladder is climbed again.
    """

    def __init__(self, rungs: Sequence[Rung]) -> None:
        self._rungs = tuple(rungs)
        self.dialect = Dialect(self._rungs[0])
        self.proven = False
        self._misses = 0
        self._climbs = 0
        self._of_frames: WeakKeyDictionary[Frame, Dialect] = WeakKeyDictionary()
        self._refusal: tuple[float, ProviderRefused] | None = None
        self.expected_completion = float(_FIRST_COMPLETION)

    def choose(self, frame: Frame) -> Dialect:
        """The dialect to ask `frame` in."""
        if self._of_frames:
            return self._of_frames.get(frame, self.dialect)
        return self.dialect

    def step_down(self, frame: Frame, used: Dialect, status: int, complaint: str) -> Dialect | None:
        """What to try after a refusal of `used`, or `None` when the refusal is not about its form."""
        text = complaint.lower()
        about_shape = any(word in text for word in _ABOUT_SHAPE)
        if status not in {400, 415, 422, 501} and not (about_shape and status in {404, 500}):
            return None
        if "max_completion_tokens" in text and not used.completion_limit:
            return self._adopt(frame, replace(used, completion_limit=True))
        if "temperature" in text and used.temperature:
            return self._adopt(frame, replace(used, temperature=False))
        if any(word in text for word in _HOPELESS) or (self.proven and not about_shape):
            return None
        if self._index(self.dialect) > self._index(used):
            return self.dialect
        lower = self._next(used, about_schema="schema" in text)
        if lower is None:
            self._climb_again()
        elif self.proven:
            self._of_frames[frame] = lower
        else:
            self._adopt(frame, lower)
        return lower

    def _adopt(self, frame: Frame, dialect: Dialect) -> Dialect:
        """Use what was learnt for all requests, or for a frame that has a dialect of its own."""
        if dialect.rung is self.dialect.rung or not self.proven:
            self.dialect = dialect
            self._misses = 0
        else:
            self._of_frames[frame] = dialect
        return dialect

    def _climb_again(self) -> None:
        if not self.proven and self._climbs < _CLIMBS:
            self._climbs += 1
            self.dialect = replace(self.dialect, rung=self._rungs[0], strict=True)

    def _index(self, dialect: Dialect) -> int:
        return self._rungs.index(dialect.rung)

    def _next(self, used: Dialect, *, about_schema: bool) -> Dialect | None:
        if used.rung is Rung.SCHEMA and used.strict and about_schema:
            return replace(used, strict=False)
        index = self._index(used) + 1
        if index >= len(self._rungs):
            return None
        return replace(used, rung=self._rungs[index], strict=True)

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
            self._misses = 0
            self.dialect = self._next(used, about_schema=False) or used

    def remember_refusal(self, error: ProviderRefused) -> None:
        """Requests that were about to go out would be refused alike."""
        self._refusal = (time.monotonic() + _REFUSAL_SECONDS, error)

    def find_refusal(self) -> ProviderRefused | None:
        """The refusal that still stands."""
        if self._refusal is None or time.monotonic() > self._refusal[0]:
            return None
        return self._refusal[1]
