"""US dollars per million tokens of well-known models. Nothing is fetched; the operator overrides and adds.

Source: the providers' public price pages as of 2025; cached-input and batch discounts are left
out, so a cost told here is an upper estimate.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DATED = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|-latest|@\d{8}|:latest)$")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, in and out."""

    prompt: float
    completion: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars for one call."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


KNOWN: Mapping[str, Price] = {
    "gpt-3.5-turbo": Price(0.50, 1.50),
    "gpt-4-turbo": Price(10.0, 30.0),
    "gpt-4o": Price(2.50, 10.0),
    "gpt-4o-mini": Price(0.15, 0.60),
    "gpt-4.1": Price(2.0, 8.0),
    "gpt-4.1-mini": Price(0.40, 1.60),
    "gpt-4.1-nano": Price(0.10, 0.40),
    "gpt-5": Price(1.25, 10.0),
    "gpt-5-mini": Price(0.25, 2.0),
    "gpt-5-nano": Price(0.05, 0.40),
    "o1": Price(15.0, 60.0),
    "o3": Price(2.0, 8.0),
    "o3-mini": Price(1.10, 4.40),
    "o4-mini": Price(1.10, 4.40),
    "claude-3-haiku": Price(0.25, 1.25),
    "claude-3-5-haiku": Price(0.80, 4.0),
    "claude-3-5-sonnet": Price(3.0, 15.0),
    "claude-3-7-sonnet": Price(3.0, 15.0),
    "claude-3-opus": Price(15.0, 75.0),
    "claude-haiku-4-5": Price(1.0, 5.0),
    "claude-sonnet-4": Price(3.0, 15.0),
    "claude-sonnet-4-0": Price(3.0, 15.0),
    "claude-sonnet-4-5": Price(3.0, 15.0),
    "claude-opus-4": Price(15.0, 75.0),
    "claude-opus-4-0": Price(15.0, 75.0),
    "claude-opus-4-1": Price(15.0, 75.0),
    "claude-opus-4-5": Price(5.0, 25.0),
}


class PriceTable:
    """The known prices under the operator's own, by `provider/model` or by model name."""

    def __init__(self, own: Mapping[str, Price] | None = None) -> None:
        self._own = dict(own or {})
        self._found: dict[tuple[str, str], Price | None] = {}

    def find(self, provider: str, model: str) -> Price | None:
        """The price of a model, its date suffix aside; `None` when it is not known."""
        key = (provider, model)
        if key not in self._found:
            self._found[key] = self._look_up(provider, model)
        return self._found[key]

    def _look_up(self, provider: str, model: str) -> Price | None:
        plain = _DATED.sub("", model)
        for name in (f"{provider}/{model}", model, f"{provider}/{plain}", plain):
            if name in self._own:
                return self._own[name]
        return KNOWN.get(plain) or KNOWN.get(plain.rpartition("/")[2])
