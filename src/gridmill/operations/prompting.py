"""What every operation's prompts are made of: fenced data, reply keys, the schema of a value.

Data is one line of JSON between two fence lines; `<`, `>`, `&` and line separators are escaped
inside it, so no value can close the fence or start a line of its own.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gridmill.kit.values import DataType
from gridmill.operations.model import ColumnSpec

MAX_VALUE_CHARACTERS = 20_000
"""Longer values are cut, with an ellipsis."""

_PLAIN_KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}", re.ASCII)
_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\x7f": "\\u007f",
    "\x85": "\\u0085",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_SPECIAL = re.compile("[" + "".join(_ESCAPES) + "]")


def name_keys(columns: Sequence[ColumnSpec]) -> dict[int, str]:
    """A reply key for every column number: its name where every provider admits it as a key."""
    keys: dict[int, str] = {}
    taken: set[str] = set()
    for column in columns:
        key = column.name if _PLAIN_KEY.fullmatch(column.name) else f"column_{column.number}"
        while key in taken or key == "row":
            key += "_"
        keys[column.number] = key
        taken.add(key)
    return keys


def write_data(document: object) -> str:
    """JSON on one line that holds none of the characters a fence or a line is made of."""
    text = orjson.dumps(document).decode()
    return _SPECIAL.sub(lambda found: _ESCAPES[found.group()], text)


def cut(text: str, limit: int = MAX_VALUE_CHARACTERS) -> str:
    """`text`, its end replaced by an ellipsis beyond `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def describe_column(column: ColumnSpec, key: str) -> dict[str, object]:
    """What a prompt says of a column whose reply stands under `key`: all that people said of it."""
    rules = column.rules
    facts: dict[str, object] = {"key": key, "name": column.name, "type": rules.data_type.value}
    optional: dict[str, object] = {
        "instruction": column.prompt,
        "description": column.description,
        "options": list(rules.options),
        "unit": column.unit,
        "pattern": rules.pattern,
        "minimum": rules.minimum,
        "maximum": rules.maximum,
        "examples": [{"input": given, "output": wanted} for given, wanted in column.examples],
    }
    return facts | {name: value for name, value in optional.items() if value not in (None, [])}


def build_object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of an object that holds just these `properties`, all of them."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


_JSON_TYPES = {
    DataType.INTEGER: "integer",
    DataType.NUMBER: "number",
    DataType.BOOLEAN: "boolean",
}


def describe_value(column: ColumnSpec) -> dict[str, Any]:
    """The JSON schema of a value of `column`, or of `null`."""
    rules = column.rules
    if rules.data_type is DataType.ENUM and rules.options:
        return {"type": ["string", "null"], "enum": [*rules.options, None]}
    if rules.data_type is DataType.LOCATION:
        place = build_object({"lat": {"type": "number"}, "lon": {"type": "number"}})
        return {"anyOf": [place, {"type": "null"}]}
    if rules.data_type is DataType.JSON:
        return {"type": ["string", "null"], "description": "the JSON value, written as a string"}
    return {"type": [_JSON_TYPES.get(rules.data_type, "string"), "null"]}
