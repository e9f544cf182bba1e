"""The providers there are: a name, and the wire that speaks to it. A new one is a new line here."""

from collections.abc import Callable, Mapping

from gridmill.providers.llm.anthropic import AnthropicWire
from gridmill.providers.llm.openai import OpenAIWire
from gridmill.providers.llm.wire import Wire

WIRES: Mapping[str, Callable[[], Wire]] = {
    "openai": OpenAIWire,
    "anthropic": AnthropicWire,
    # llama.cpp on this machine; how it is reached is `providers.local`.
    "local": OpenAIWire,
}
