"""What is asked of a language model and what comes back, whichever provider answers."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import orjson

from gridmill.providers.llm.tokens import estimate_tokens

Answer = dict[str, Any]
"""A model's reply: the JSON object it wrote."""

Validate = Callable[[Answer], Sequence[str]]
"""Says what is wrong with an answer, one sentence a problem; an empty sequence accepts it.

It is called on replies and on stored answers, so it is pure and quick.
"""

LOCAL = "local"
"""The provider that is a small model on this machine: its answers are held to what can be checked."""

_KEY_FORMAT = b"gridmill answer 1"
_TURN_TOKENS = 8


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model by its provider's name in the registry and its own name there."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation before the question: worked examples, mostly."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, eq=False)
class Frame:
    """What the requests of a batch share, so that it is encoded, hashed and counted once.

    Make one `Frame` a batch and reuse it. `schema` is the JSON schema of the answer, an object;
    the order of its properties is the order a model writes them in. `max_tokens` bounds one reply
    and is what a budget reserves, so choose it by the columns asked for. `temperature` `None`
    leaves it to the provider.
    """

    system: str
    schema: Mapping[str, Any]
    schema_name: str = "answer"
    examples: tuple[Message, ...] = ()
    max_tokens: int = 1024
    temperature: float | None = 0.0

    @cached_property
    def canonical(self) -> bytes:
        """One spelling of everything here, for keys."""
        parts = [
            self.system,
            self.schema,
            self.schema_name,
            [[turn.role, turn.content] for turn in self.examples],
            self.max_tokens,
            self.temperature,
        ]
        return orjson.dumps(parts)

    @cached_property
    def tokens(self) -> int:
        """Estimated prompt tokens of the shared part, the schema included."""
        turns = sum(estimate_tokens(turn.content) + _TURN_TOKENS for turn in self.examples)
        schema = estimate_tokens(orjson.dumps(self.schema).decode())
        return estimate_tokens(self.system) + schema + turns + 2 * _TURN_TOKENS


@dataclass(frozen=True, slots=True, eq=False)
class ModelRequest:
    """One question: the shared frame and the text of this row.

    `validate` is the caller's hook and no part of the request's identity: when it finds problems
    the model gets one turn to repair them.
    """

    frame: Frame
    prompt: str
    validate: Validate | None = field(default=None, repr=False)

    def key(self, ref: ModelRef) -> bytes:
        """SHA-256 (32 bytes) over provider, model and the canonical request."""
        digest = hashlib.sha256(
            b"\0".join((_KEY_FORMAT, ref.provider.encode(), ref.model.encode(), b""))
        )
        digest.update(self.frame.canonical)
        digest.update(b"\0")
        digest.update(self.prompt.encode())
        return digest.digest()

    @property
    def tokens(self) -> int:
        """Estimated prompt tokens of the whole request."""
        return self.frame.tokens + estimate_tokens(self.prompt)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent: calls paid for, answers had for nothing, tokens, US dollars.

    `cost_usd` is `None` once a call was made to a model without a known price.
    """

    requests: int = 0
    cached_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.cached_requests + other.cached_requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            add_costs(self.cost_usd, other.cost_usd),
        )


def add_costs(first: float | None, second: float | None) -> float | None:
    """The sum of two costs; `None`, not known, when either is."""
    return None if first is None or second is None else first + second


NOTHING_SPENT = Usage()
FROM_CACHE = Usage(cached_requests=1)


@dataclass(frozen=True, slots=True)
class Completion:
    """An accepted answer.

    `cached` is true when nothing was paid for it: it was stored, or another caller's identical
    request was in flight. `usage` then counts one cached request and no tokens. The answer may be
    shared between callers: do not change it.
    """

    data: Answer
    usage: Usage
    cached: bool
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider allows, over all workers together; `None` is no limit."""

    max_concurrency: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("max_concurrency", self.max_concurrency),
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1")


@dataclass(frozen=True, slots=True)
class Access:
    """How a provider is reached: the operator's part. The key never shows in a repr.

    `base_url` `None` is the provider's own. `attempt_timeout` bounds one HTTP call in seconds,
    `deadline` all attempts at one request, counted from its first call. `models` are all that
    the provider has; `None`: whatever it says itself.
    """

    provider: str
    api_key: str = field(default="", repr=False)
    base_url: str | None = None
    limits: Limits = Limits()
    attempt_timeout: float = 120.0
    deadline: float = 300.0
    models: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not (self.api_key.isascii() and self.api_key.isprintable()) or " " in self.api_key:
            raise ValueError("the API key holds characters that no header can carry")
