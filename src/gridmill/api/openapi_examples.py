"""Examples in /openapi.json: calls that a server really answered, kept in `examples.json`.

`make examples` (`tools.examples`) records them anew: by operation id, the `request` that was sent
(of a form, its fields) and the `reply` to it, JSON or text.
"""

from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson

Json: TypeAlias = dict[str, Any]

FILE = Path(__file__).with_name("examples.json")


def add_examples(operation: Json) -> None:
    """Put the recorded body and reply of a written operation beside their schemas."""
    recorded = _load().get(operation["operationId"], {})
    if "request" in recorded:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            content["example"] = recorded["request"]
    if "reply" in recorded:
        for status, reply in operation["responses"].items():
            if status < "300":
                for kind, content in reply.get("content", {}).items():
                    page = "<!doctype html>…"  # what a browser gets beside the recorded reply
                    content["example"] = page if kind == "text/html" else recorded["reply"]


@cache
def _load() -> dict[str, Json]:
    return orjson.loads(FILE.read_bytes())
