"""Chat completions: OpenAI's API and every server that speaks it."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

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

# Keywords that OpenAI's strict mode takes; a schema with any other is sent without `strict`.
_STRICT_KEYWORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "enum", "items", "description"}
    | {"anyOf", "const", "title"}
)
_QUOTED_REPLY = 8_000


class _Function(msgspec.Struct):
    arguments: str | dict[str, Any] | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Part(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Reply(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_reply = msgspec.json.Decoder(_Reply)


class OpenAIWire:
    """The wire layer of `POST {base}/chat/completions`."""

    default_base_url: ClassVar[str] = "https://api.openai.com/v1"
    rungs: ClassVar[tuple[Rung, ...]] = (Rung.SCHEMA, Rung.TOOL, Rung.OBJECT, Rung.TEXT)

    def __init__(self) -> None:
        self._heads = Heads(_encode_head)

    def open_door(self, access: Access) -> Door:
        """Bearer authorization, left out when there is no key (local servers)."""
        base = (access.base_url or self.default_base_url).rstrip("/")
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if access.api_key:
            headers["Authorization"] = f"Bearer {access.api_key}"
        return Door(f"{base}/chat/completions", headers)

    def encode(
        self, model: str, request: ModelRequest, dialect: Dialect, repair: Repair | None = None
    ) -> bytes:
        """The shared head, encoded once a frame, and the turns of this request."""
        frame = request.frame
        limit = repair.max_tokens if repair else frame.max_tokens
        head = self._heads.find(frame, model, dialect, limit)
        body = head + b'{"role":"user","content":' + orjson.dumps(request.prompt) + b"}"
        if repair is not None:
            turns = [
                {"role": "assistant", "content": repair.written[:_QUOTED_REPLY] or "(nothing)"},
                {"role": "user", "content": describe_problems(repair.problems)},
            ]
            body += b"," + orjson.dumps(turns)[1:-1]
        return body + b"]}"

    def decode(self, body: bytes) -> WireReply:
        """Content, or the arguments of the forced call, whichever the server used."""
        try:
            reply = _reply.decode(body)
            choice = reply.choices[0]
        except (msgspec.DecodeError, RecursionError, IndexError) as error:
            raise Unreadable from error
        message = choice.message
        text = _read_content(message.content)
        data = None
        if message.tool_calls and (function := message.tool_calls[0].function) is not None:
            if isinstance(function.arguments, dict):
                data = function.arguments
                text = orjson.dumps(data, default=str).decode()
            elif function.arguments is not None:
                text = function.arguments
        if data is None:
            data = read_object(text)
        usage = reply.usage or _Usage()
        return WireReply(
            data,
            message.refusal or text,
            truncated=choice.finish_reason == "length",
            refused=choice.finish_reason == "content_filter" or bool(message.refusal),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )


def _read_content(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def _encode_head(frame: Frame, model: str, dialect: Dialect, max_tokens: int) -> bytes:
    """Everything before the question, up to the comma that it follows."""
    body: dict[str, Any] = {"model": model}
    body["max_completion_tokens" if dialect.completion_limit else "max_tokens"] = max_tokens
    if frame.temperature is not None and dialect.temperature:
        body["temperature"] = frame.temperature
    system = frame.system
    strict = dialect.strict and fits_strict_mode(frame.schema)
    match dialect.rung:
        case Rung.SCHEMA:
            shape = {"name": frame.schema_name, "schema": frame.schema, "strict": strict}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        case Rung.TOOL:
            function = {"name": frame.schema_name, "parameters": frame.schema}
            body["tools"] = [{"type": "function", "function": function}]
            body["tool_choice"] = {"type": "function", "function": {"name": frame.schema_name}}
        case Rung.OBJECT:
            body["response_format"] = {"type": "json_object"}
            system += describe_schema(orjson.dumps(frame.schema))
        case Rung.TEXT:
            system += describe_schema(orjson.dumps(frame.schema))
    turns = [{"role": "system", "content": system}] if system else []
    turns += [{"role": turn.role, "content": turn.content} for turn in frame.examples]
    body["messages"] = turns
    return orjson.dumps(body)[:-2] + (b"," if turns else b"")


def fits_strict_mode(schema: object) -> bool:
    """Whether OpenAI's strict mode takes `schema`: closed objects, every property required."""
    if isinstance(schema, list):
        return all(map(fits_strict_mode, cast("list[object]", schema)))
    if not isinstance(schema, Mapping):
        return True
    rules = cast("Mapping[str, Any]", schema)
    if not _STRICT_KEYWORDS.issuperset(rules):
        return False
    properties: Mapping[str, Any] = rules.get("properties") or {}
    if properties or rules.get("type") == "object":
        if rules.get("additionalProperties") is not False:
            return False
        if set(rules.get("required") or ()) != set(properties):
            return False
    parts: list[object] = [*properties.values(), rules.get("items"), rules.get("anyOf")]
    return all(map(fits_strict_mode, parts))
