"""Gateways and requests for tests against the fake model server."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import Access, Frame, Limits, ModelRef, ModelRequest, Validate
from gridmill.providers.llm.ports import AnswerStore, Limiter
from gridmill.providers.llm.prices import Price

WORKSPACE = UUID("01890000-0000-7000-8000-000000000001")
KEY = "sk-test-0123456789abcdef"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"sector": {"type": "string"}, "staff": {"type": "integer"}},
    "required": ["sector", "staff"],
    "additionalProperties": False,
}
FRAME = Frame("Fill the fields.", SCHEMA, max_tokens=100)


def ask(prompt: str, validate: Validate | None = None, frame: Frame = FRAME) -> ModelRequest:
    return ModelRequest(frame, prompt, validate)


def ask_rows(count: int, distinct: int | None = None) -> list[ModelRequest]:
    return [ask(f"row {number % (distinct or count)}") for number in range(count)]


def open_gateway(
    url: str,
    *,
    provider: str = "openai",
    concurrency: int = 64,
    limits: Limits | None = None,
    key: str = KEY,
    attempt_timeout: float = 20.0,
    deadline: float = 60.0,
    store: AnswerStore | None = None,
    limiter: Limiter | None = None,
    prices: dict[str, Price] | None = None,
) -> Gateway:
    access = Access(provider, key, url, limits or Limits(concurrency), attempt_timeout, deadline)
    return Gateway(
        [access],
        default=ModelRef(provider, "test-model"),
        store=store,
        limiter=limiter,
        prices=prices,
    )


def refuse_first(problems: Sequence[str]) -> Callable[[dict[str, Any]], Sequence[str]]:
    """A validator that finds `problems` once and nothing after."""
    found: list[dict[str, Any]] = []

    def validate(data: dict[str, Any]) -> Sequence[str]:
        found.append(data)
        return problems if len(found) == 1 else ()

    return validate
