"""What the fake answers when a test does not say: the schema, filled from a digest of the prompt.

It is sure of itself: a property named `confidence` is its first option, or 0.9, else its answers
would mostly be dropped for their own doubts.
"""

import hashlib
from typing import Any, cast

from gridmill.providers.llm.fake.behaviour import FakeRequest

_DEPTH = 8
_CONFIDENCE = 0.9


def fill_schema(request: FakeRequest) -> dict[str, Any]:
    """A value for every property, the same for the same prompt, another for most others."""
    value = fill(request.schema or {"type": "object"}, request.prompt)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"value": value}


def fill(schema: dict[str, Any], seed: str, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """One value that fits `schema` (types, enum, const, anyOf, bounds, the common formats)."""
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return fill(schema[key][0], seed, depth + 1)
    if "const" in schema:
        return schema["const"]
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6], "big")
    if schema.get("enum"):
        options = [option for option in schema["enum"] if option is not None] or [None]
        return options[number % len(options)]
    kind = _name_kind(schema)
    if kind == "object" and depth < _DEPTH:
        properties: dict[str, Any] = schema.get("properties") or {}
        return {
            name: _fill_confidence(part)
            if name == "confidence"
            else fill(part, f"{seed}\0{name}", depth + 1)
            for name, part in properties.items()
        }
    if kind == "array" and depth < _DEPTH:
        items = schema.get("items") or {"type": "string"}
        count = max(1, int(schema.get("minItems") or 1))
        return [fill(items, f"{seed}\0{index}", depth + 1) for index in range(count)]
    return _fill_single(kind, schema, number)


def _fill_confidence(schema: dict[str, Any]) -> object:
    return schema["enum"][0] if schema.get("enum") else _CONFIDENCE


def _name_kind(schema: dict[str, Any]) -> str:
    kind: str | list[str] | None = schema.get("type")
    if isinstance(kind, list):
        return next((name for name in kind if name != "null"), "null")
    return kind or "string"


def _fill_single(kind: str, schema: dict[str, Any], number: int) -> object:
    match kind:
        case "integer" | "number":
            return _fill_number(schema, number, whole=kind == "integer")
        case "boolean":
            return number % 2 == 0
        case "string":
            return _fill_text(schema, number)
        case _:
            return None


def _fill_number(schema: dict[str, Any], number: int, *, whole: bool) -> float:
    low = float(schema.get("minimum", 0))
    high = float(schema.get("maximum", max(low, 0) + 100))
    if whole:
        return int(low) + number % (int(high) - int(low) + 1)
    return round(low + (number % 10_001) / 10_000 * (high - low), 4)


def _fill_text(schema: dict[str, Any], number: int) -> str:
    day = f"2024-{number % 12 + 1:02d}-{number // 12 % 28 + 1:02d}"
    match schema.get("format"):
        case "date":
            return day
        case "date-time":
            return f"{day}T12:00:00Z"
        case "email":
            return f"user{number % 10_000}@example.com"
        case "uri" | "url":
            return f"https://example.com/{number % 10_000}"
        case _:
            return f"text {number % 1_000_000:06d}"[: int(schema.get("maxLength") or 99)]
