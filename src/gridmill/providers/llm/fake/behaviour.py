"""How the fake behaves: what it supports, how slow and how broken it is."""

from dataclasses import dataclass, field
from typing import Any

ALL_SHAPES = frozenset({"json_schema", "tools", "json_object"})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Rates are shares of all calls, 0 to 1, drawn from one seeded sequence.

    `latency` and `hang` are seconds. `refuse` answers every call with that status. Above
    `max_concurrency` calls at once, and above `per_second` calls a second, it answers 429.
    `api_key`, when given, is the only one accepted. `supports` lists the structured outputs that
    are understood: others are refused with 400, or ignored when `ignores_unsupported`.
    """

    latency: float = 0.0
    errors: float = 0.0
    limited: float = 0.0
    retry_after: str | None = None
    broken: float = 0.0
    truncated: float = 0.0
    dropped: float = 0.0
    hanging: float = 0.0
    hang: float = 3600.0
    refuse: int | None = None
    refusal: str = "refused by the fake"
    max_concurrency: int | None = None
    per_second: float | None = None
    supports: frozenset[str] = ALL_SHAPES
    ignores_unsupported: bool = False
    wants_completion_limit: bool = False
    takes_temperature: bool = True
    api_key: str | None = None
    padding: int = 0
    tells_usage: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """A call as the fake understood it.

    `prompt` is the question (the user's turn after the examples, before any repair), `turns` all
    texts in order, `schema` what was asked for by whichever means, `shape` that means
    (`json_schema`, `tools`, `json_object` or `text`). `body` is the whole JSON.
    """

    api: str
    model: str
    system: str
    prompt: str
    turns: tuple[str, ...]
    schema: dict[str, Any]
    shape: str
    repairing: bool
    body: dict[str, Any] = field(repr=False)
