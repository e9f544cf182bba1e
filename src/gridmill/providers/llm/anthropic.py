"""Messages: Anthropic's own API, structured output by a forced tool call."""

from typing import Any, ClassVar

import msgspec
import orjson

from gridmill.providers.llm.model import Access, Frame, ModelRequest
from gridmill.providers.llm.replies import read_object
from gridmill.providers.llm.wire import (
    Dialect,
    Door,
    Heads,
    Repair,
    Rung,
    Unreadable,
    WireReply,
    describe_problems,
    describe_schema,
)

_VERSION = "2023-06-01"
_QUOTED_REPLY = 8_000


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    input: dict[str, Any] | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Reply(msgspec.Struct):
    content: list[_Block]
    stop_reason: str | None = None
    usage: _Usage | None = None


_reply = msgspec.json.Decoder(_Reply)


class AnthropicWire:
    """The wire layer of `POST {base}/v1/messages`."""

    default_base_url: ClassVar[str] = "https://api.anthropic.com"
    rungs: ClassVar[tuple[Rung, ...]] = (Rung.TOOL, Rung.TEXT)

    def __init__(self) -> None:
        self._heads = Heads(_encode_head)

    def open_door(self, access: Access) -> Door:
        """`x-api-key` and the API's version; a base URL may end in `/v1` or not."""
        base = (access.base_url or self.default_base_url).rstrip("/").removesuffix("/v1")
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "anthropic-version": _VERSION,
        }
        if access.api_key:
            headers["x-api-key"] = access.api_key
        return Door(f"{base}/v1/messages", headers)

    def encode(
        self, model: str, request: ModelRequest, dialect: Dialect, repair: Repair | None = None
    ) -> bytes:
        """The shared head, encoded once a frame, and the turns of this request."""
        frame = request.frame
        limit = repair.max_tokens if repair else frame.max_tokens
        head = self._heads.find(frame, model, dialect, limit)
        body = head + b'{"role":"user","content":' + orjson.dumps(request.prompt) + b"}"
        if repair is not None:
            # As text, not as the tool call it was: a call would have to be answered by its id.
            turns = [
                {
                    "role": "assistant",
                    "content": repair.written[:_QUOTED_REPLY].rstrip() or "(nothing)",
                },
                {"role": "user", "content": describe_problems(repair.problems)},
            ]
            body += b"," + orjson.dumps(turns)[1:-1]
        return body + b"]}"

    def decode(self, body: bytes) -> WireReply:
        """The input of the forced call, or the object in the text."""
        try:
            reply = _reply.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Unreadable from error
        truncated = reply.stop_reason == "max_tokens"
        data = next((b.input for b in reply.content if b.type == "tool_use" and b.input), None)
        if data is None:
            text = "".join(block.text or "" for block in reply.content)
            data = read_object(text)
        else:
            text = msgspec.json.encode(data).decode()
        usage = reply.usage or _Usage()
        prompt = usage.input_tokens
        if prompt is not None:
            prompt += usage.cache_creation_input_tokens or 0
            prompt += usage.cache_read_input_tokens or 0
        return WireReply(
            data,
            text,
            truncated=truncated,
            refused=reply.stop_reason == "refusal",
            prompt_tokens=prompt,
            completion_tokens=usage.output_tokens,
        )


def _encode_head(frame: Frame, model: str, dialect: Dialect, max_tokens: int) -> bytes:
    """Everything before the question, up to the comma that it follows."""
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens}
    if frame.temperature is not None and dialect.temperature:
        body["temperature"] = min(1.0, frame.temperature)
    system = frame.system
    if dialect.rung is Rung.TOOL:
        description = "Gives the answer. Call it once, with every field."
        tool = {
            "name": frame.schema_name,
            "description": description,
            "input_schema": frame.schema,
        }
        body["tools"] = [tool]
        body["tool_choice"] = {"type": "tool", "name": frame.schema_name}
    else:
        system += describe_schema(orjson.dumps(frame.schema))
    if system:
        body["system"] = system
    body["messages"] = [{"role": turn.role, "content": turn.content} for turn in frame.examples]
    return orjson.dumps(body)[:-2] + (b"," if frame.examples else b"")
