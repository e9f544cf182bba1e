"""Reading calls of both APIs, and writing their replies."""

from collections.abc import Mapping
from typing import Any

import orjson

from gridmill.providers.llm.fake.behaviour import FakeRequest
from gridmill.providers.llm.replies import read_object

_SCHEMA_MARK = "It must fit this JSON schema:\n"
_REPAIR_MARK = "That reply cannot be used:"


def read_openai(body: dict[str, Any]) -> FakeRequest:
    """A chat completion call."""
    messages: list[dict[str, Any]] = body["messages"]
    system = "\n".join(m["content"] for m in messages if m["role"] == "system")
    shaped: Mapping[str, Any] = body.get("response_format") or {}
    schema: dict[str, Any] | None = None
    shape = "text"
    if shaped.get("type") == "json_schema":
        shape, schema = "json_schema", shaped["json_schema"]["schema"]
    elif body.get("tools"):
        shape, schema = "tools", body["tools"][0]["function"]["parameters"]
    elif shaped.get("type") == "json_object":
        shape = "json_object"
    return _read("openai", body, system, messages, (shape, schema))


def read_anthropic(body: dict[str, Any]) -> FakeRequest:
    """A messages call."""
    shape = "tools" if body.get("tools") else "text"
    schema = body["tools"][0]["input_schema"] if body.get("tools") else None
    return _read("anthropic", body, body.get("system") or "", body["messages"], (shape, schema))


def _read(
    api: str,
    body: dict[str, Any],
    system: str,
    messages: list[dict[str, Any]],
    asked_for: tuple[str, dict[str, Any] | None],
) -> FakeRequest:
    shape, schema = asked_for
    if schema is None:
        schema = read_object(system.partition(_SCHEMA_MARK)[2]) or {}
    asked = [m["content"] for m in messages if m["role"] == "user"]
    repairing = len(asked) > 1 and asked[-1].startswith(_REPAIR_MARK)
    prompt = asked[-2] if repairing else asked[-1]
    turns = tuple(m["content"] for m in messages)
    return FakeRequest(
        api, str(body.get("model")), system, prompt, turns, schema, shape, repairing, body
    )


def write_reply(request: FakeRequest, text: str, *, truncated: bool, usage: bool) -> bytes:
    """A 200 of the request's API that carries `text` (a JSON object, mostly)."""
    prompt_tokens = sum(len(turn) for turn in (request.system, *request.turns)) // 4 + 1
    completion_tokens = len(text) // 4 + 1
    if request.api == "anthropic":
        return _write_anthropic(request, text, truncated, (prompt_tokens, completion_tokens))
    message: dict[str, Any] = {"role": "assistant", "content": text}
    reason = "length" if truncated else "stop"
    if request.shape == "tools":
        name = request.body["tools"][0]["function"]["name"]
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reply: dict[str, Any] = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "model": request.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
    }
    if usage:
        reply["usage"] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
    return orjson.dumps(reply)


def _write_anthropic(
    request: FakeRequest, text: str, truncated: bool, tokens: tuple[int, int]
) -> bytes:
    data = read_object(text) if request.shape == "tools" else None
    block: dict[str, Any] = {"type": "text", "text": text}
    if data is not None:
        name = request.body["tools"][0]["name"]
        block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": data}
    return orjson.dumps(
        {
            "id": "msg_fake",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": [block],
            "stop_reason": "max_tokens" if truncated else "tool_use" if data else "end_turn",
            "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
        }
    )
