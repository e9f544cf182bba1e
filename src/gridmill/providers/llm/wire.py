"""The spec half of a provider: how a request is spelt for it and its reply read. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from gridmill.providers.llm.model import Access, Answer, Frame, ModelRequest

_FRAMES_KEPT = 256


class Rung(StrEnum):
    """How an answer of a given shape is asked for, best first."""

    SCHEMA = "json_schema"
    TOOL = "tool"
    OBJECT = "json_object"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server was found to understand for one model."""

    rung: Rung
    strict: bool = True
    temperature: bool = True
    completion_limit: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """A turn of repair: what the model wrote and what was wrong with it."""

    written: str
    problems: Sequence[str]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class WireReply:
    """A reply, read. `data` is `None` when it held no JSON object; `text` is what it held."""

    data: Answer | None
    text: str
    truncated: bool
    refused: bool
    prompt_tokens: int | None
    completion_tokens: int | None


class Unreadable(Exception):
    """The body is not a reply of this API at all."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where and with which headers a provider is called. Headers hold the key: never shown."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


class Wire(Protocol):
    """One API's spelling. Stateless but for encoded frames."""

    default_base_url: ClassVar[str]
    rungs: ClassVar[tuple[Rung, ...]]

    def open_door(self, access: Access) -> Door:
        """The address and headers for an access."""
        ...

    def encode(
        self, model: str, request: ModelRequest, dialect: Dialect, repair: Repair | None = None
    ) -> bytes:
        """The JSON body of a call."""
        ...

    def decode(self, body: bytes) -> WireReply:
        """Read a 200. Raises `Unreadable`."""
        ...


def describe_schema(schema: bytes) -> str:
    """The order that stands in for structured output where a server has none."""
    return (
        "\n\nReply with one JSON object and nothing else: no explanation, no code fence."
        " It must fit this JSON schema:\n" + schema.decode()
    )


def describe_problems(problems: Sequence[str]) -> str:
    """The turn that asks for a repair."""
    listed = "\n".join(f"- {problem}" for problem in problems[:20])
    return (
        "That reply cannot be used:\n" + listed + "\n"
        "Reply again with the whole corrected JSON object and nothing else."
    )


class Heads:
    """The start of a request's body, encoded once for all requests that share it."""

    def __init__(self, encode: Callable[[Frame, str, Dialect, int], bytes]) -> None:
        self._encode = encode
        self._known: dict[tuple[Frame, str, Dialect, int], bytes] = {}

    def find(self, frame: Frame, model: str, dialect: Dialect, max_tokens: int) -> bytes:
        """The head, from memory where it is known."""
        key = (frame, model, dialect, max_tokens)
        head = self._known.get(key)
        if head is None:
            if len(self._known) >= _FRAMES_KEPT:
                self._known.clear()
            head = self._known[key] = self._encode(frame, model, dialect, max_tokens)
        return head
