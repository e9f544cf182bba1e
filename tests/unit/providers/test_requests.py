import json
from typing import Any

import pytest

from gridmill.providers.llm.anthropic import AnthropicWire
from gridmill.providers.llm.model import Access, Frame, Message, ModelRef, Usage
from gridmill.providers.llm.openai import OpenAIWire, fits_strict_mode
from gridmill.providers.llm.prices import Price, PriceTable
from gridmill.providers.llm.tokens import estimate_tokens
from gridmill.providers.llm.wire import Dialect, Repair, Rung, Unreadable, Wire
from tests.support.models import SCHEMA, ask

pytestmark = pytest.mark.unit

FRAME = Frame("Sys", SCHEMA, examples=(Message("user", "q"), Message("assistant", "a")))


def encode(wire: Wire, rung: Rung, repair: Repair | None = None, frame: Frame = FRAME) -> Any:
    return json.loads(wire.encode("m", ask('row "1"', frame=frame), Dialect(rung), repair))


def test_a_key_tells_provider_model_frame_and_prompt_apart() -> None:
    ref = ModelRef("openai", "m")
    frame = Frame("Other", SCHEMA)
    keys = {
        ask("a").key(ref),
        ask("b").key(ref),
        ask("a", frame=frame).key(ref),
        ask("a").key(ModelRef("anthropic", "m")),
        ask("a").key(ModelRef("openai", "n")),
    }
    assert len(keys) == 5
    assert ask("a", frame=Frame("Sys", SCHEMA)).key(ref) == ask(
        "a", frame=Frame("Sys", SCHEMA)
    ).key(ref)
    assert all(len(key) == 32 for key in keys)


def test_a_schema_is_asked_for_by_each_rung_of_chat_completions() -> None:
    wire = OpenAIWire()
    body = encode(wire, Rung.SCHEMA)
    assert body["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": SCHEMA,
        "strict": True,
    }
    roles = [turn["role"] for turn in body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert body["messages"][-1]["content"] == 'row "1"'
    body = encode(wire, Rung.TOOL)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "answer"}}
    body = encode(wire, Rung.OBJECT)
    assert body["response_format"] == {"type": "json_object"}
    assert json.dumps(SCHEMA, separators=(",", ":")) in body["messages"][0]["content"]
    assert "response_format" not in encode(wire, Rung.TEXT)


def test_anthropic_is_asked_by_a_forced_tool_call() -> None:
    body = encode(AnthropicWire(), Rung.TOOL)
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert body["system"] == "Sys"
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("wire", [OpenAIWire(), AnthropicWire()])
def test_a_frame_without_system_and_examples_is_encoded_too(wire: Wire) -> None:
    body = encode(wire, Rung.TOOL, frame=Frame("", SCHEMA))
    assert [turn["role"] for turn in body["messages"]] == ["user"]


@pytest.mark.parametrize("wire", [OpenAIWire(), AnthropicWire()])
def test_a_repair_says_what_was_written_and_what_was_wrong(wire: Wire) -> None:
    body = encode(wire, Rung.TOOL, Repair("oops", ["not an object"], 99))
    assert body["messages"][-2] == {"role": "assistant", "content": "oops"}
    assert "- not an object" in body["messages"][-1]["content"]
    assert body["max_tokens"] == 99


@pytest.mark.parametrize("wire", [OpenAIWire(), AnthropicWire()])
@pytest.mark.parametrize(
    "body", [b"", b"null", b"{}", b"<html>", b'{"choices":[]}', b'{"content":5}', b"[" * 99_999]
)
def test_a_body_that_is_no_reply_is_unreadable(wire: Wire, body: bytes) -> None:
    with pytest.raises(Unreadable):
        wire.decode(body)


def test_arguments_of_a_call_are_read_as_text_or_object() -> None:
    for arguments in ('"{\\"a\\": 1}"', '{"a": 1}'):
        body = f'{{"choices":[{{"message":{{"tool_calls":[{{"function":{{"arguments":{arguments}}}}}]}}}}]}}'
        assert OpenAIWire().decode(body.encode()).data == {"a": 1}


def test_strict_mode_is_asked_for_closed_schemas_only() -> None:
    assert fits_strict_mode(SCHEMA)
    assert not fits_strict_mode({**SCHEMA, "additionalProperties": True})
    assert not fits_strict_mode({**SCHEMA, "required": ["sector"]})
    inner = {"type": "object", "properties": {"x": {"type": "string", "format": "uuid"}}}
    assert not fits_strict_mode({"type": "array", "items": inner})


def test_the_key_shows_in_no_repr_and_odd_ones_are_refused() -> None:
    access = Access("openai", "sk-very-secret")
    assert "secret" not in repr(access)
    assert "secret" not in repr(OpenAIWire().open_door(access))
    with pytest.raises(ValueError, match="header") as caught:
        Access("openai", "sk-very\nsecret")
    assert "secret" not in str(caught.value)


def test_an_anthropic_base_url_may_end_in_its_version() -> None:
    for base in (None, "https://api.anthropic.com", "https://api.anthropic.com/v1/"):
        door = AnthropicWire().open_door(Access("anthropic", "k", base))
        assert door.url == "https://api.anthropic.com/v1/messages"


def test_prices_know_dated_names_and_the_operators_word_comes_first() -> None:
    table = PriceTable({"openai/gpt-4o": Price(1, 2), "mine": Price(0, 0)})
    assert table.find("openai", "gpt-4o") == Price(1, 2)
    assert table.find("openai", "gpt-4o-2024-08-06") == Price(1, 2)
    assert table.find("anthropic", "claude-3-5-haiku-20241022") == Price(0.80, 4.0)
    assert table.find("openai", "openai/gpt-4o-mini") == Price(0.15, 0.60)
    assert table.find("openai", "mine") == Price(0, 0)
    assert table.find("openai", "my-own-model") is None
    assert Price(2, 8).cost(1_000_000, 500_000) == 6.0


def test_token_estimates_are_near_what_tokenizers_count() -> None:
    prose = "The quick brown fox jumps over the lazy dog, and then it sleeps under a tree. "
    assert 17 <= estimate_tokens(prose) <= 24
    assert estimate_tokens("") == 0
    assert estimate_tokens("日本語") == 3
    long = estimate_tokens(prose * 2000)
    assert abs(long - 2000 * estimate_tokens(prose)) < 0.02 * long


def test_usage_adds_up() -> None:
    assert Usage(1, 0, 10, 5, 0.5) + Usage(1, 2, 1, 1, 0.25) == Usage(2, 2, 11, 6, 0.75)
