"""Foreign errors convert here: what a provider answered instead of a reply becomes our own tree."""

import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import msgspec

from gridmill.providers.llm.errors import (
    ModelError,
    ProviderLimited,
    ProviderRefused,
    ProviderUnavailable,
    RequestRefused,
)

_CLIP = 300
_KEYS = re.compile(
    r"\b(?:sk|pk|rk|gm|key|api|xai|gsk)[-_][A-Za-z0-9*._-]{6,}|Bearer\s+\S+", re.IGNORECASE
)
_EMPTY_CREDIT = (
    "insufficient_quota",
    "credit balance",
    "exceeded your current quota",
    "billing_hard_limit",
    "billing_not_active",
)
_LONGEST_WAIT = 60.0
_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 20.0


def describe_fault(body: bytes, api_key: str) -> str:
    """The provider's own words, at most 300 characters, one line, without anything like a key."""
    text = body[:20_000].decode(errors="replace")
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        found = None
    if isinstance(found, dict):
        fault = cast("dict[str, Any]", found)
        inner = fault.get("error", fault)
        if isinstance(inner, dict):
            parts = cast("dict[str, Any]", inner)
            named = [parts.get(name) for name in ("message", "code", "type", "detail")]
            text = " ".join(part for part in named if isinstance(part, str)) or text
        elif isinstance(inner, str):
            text = inner
    return scrub(text, api_key)


def scrub(text: str, api_key: str) -> str:
    """`text` fit to be shown: no key, no control characters, clipped."""
    if api_key:
        text = text.replace(api_key, "***")
    text = _KEYS.sub("***", text)
    text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split())
    return text if len(text) <= _CLIP else text[: _CLIP - 1] + "…"


def read_fault(status: int, words: str, retry_after: float | None) -> ModelError:
    """The error that an HTTP status other than 200 stands for; `words` are scrubbed already."""
    said = f" (HTTP {status}: {words})" if words else f" (HTTP {status})"
    lower = words.lower()
    if status in {401, 402, 403} or any(mark in lower for mark in _EMPTY_CREDIT):
        return ProviderRefused(f"The provider refused the key, the access or the credit{said}.")
    if status == 429:
        return ProviderLimited(
            f"The provider asks for fewer requests{said}.", retry_after=retry_after
        )
    if status in {404, 405, 410}:
        return ProviderRefused(f"The provider does not know this model or address{said}.")
    if status >= 500 or status in {408, 409, 425}:
        return ProviderUnavailable(f"The provider is unavailable{said}.", retry_after=retry_after)
    if 300 <= status < 400:
        return ProviderRefused(
            f"The provider answered with a redirect, which is not followed{said}."
        )
    return RequestRefused(f"The provider refused the request{said}.")


def read_retry_after(header: str | None) -> float | None:
    """Seconds from a `Retry-After` of seconds or an HTTP date (RFC 9110, 10.2.3), 0 to 60."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    if seconds != seconds:  # noqa: PLR0124 - NaN is the one float unlike itself
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def choose_wait(attempt: int, retry_after: float | None) -> float:
    """Seconds before attempt `attempt` + 1: doubling from 0.1 to 20, with jitter of half.

    At least what the provider asked for, and a little more, so that not all come back at once.
    """
    backoff = min(_FIRST_BACKOFF * 2 ** (attempt - 1), _LONGEST_BACKOFF)
    backoff *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
    if retry_after is None:
        return backoff
    return max(backoff, retry_after + min(0.1 * retry_after, 1.0) * random.random())  # noqa: S311
