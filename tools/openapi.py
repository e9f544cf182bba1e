"""docs/openapi.json: `python -m tools.openapi` writes it; `find_breaks` tells what clients would miss."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from gridmill.api.downloads import make_router
from gridmill.api.openapi import write_openapi
from gridmill.api.rooms import list_routers
from gridmill.api.routes import RouteTable

Json: TypeAlias = dict[str, Any]

COMMITTED = Path(__file__).parent.parent / "docs" / "openapi.json"


def write() -> Json:
    """The document that a server of this version shows at /openapi.json."""
    return write_openapi(RouteTable([*list_routers(), ("", make_router({}))]).routes)


def to_text(document: Json) -> bytes:
    """The document as it is committed: indented, keys in a fixed order, so that changes read well."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document, option=options)


def find_breaks(old: Json, new: Json) -> list[str]:
    """What a client written for `old` would stumble over in `new`, a sentence each.

    Gone or renamed operations, parameters, replies, bodies, fields and enum values; changed types;
    and what has become required of the client.
    """
    found = list(_compare_operations(old, new))
    shapes: Json = new["components"]["schemas"]
    for name, shape in old["components"]["schemas"].items():
        if name not in shapes:
            found.append(f"the shape {name} is gone")
        else:
            found += _compare_shapes(name, shape, shapes[name])
    return found


def _compare_operations(old: Json, new: Json) -> Iterator[str]:
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            name = before["operationId"]
            after: Json | None = new["paths"].get(path, {}).get(method)
            if after is None:
                yield f"{name}: {method.upper()} {path} is gone"
                continue
            if after["operationId"] != name:
                yield f"{name} is called {after['operationId']} now"
            yield from _compare_parameters(name, before, after)
            for status in set(before["responses"]) - set(after["responses"]):
                yield f"{name}: the reply {status} is gone"
            for status in set(before["responses"]) & set(after["responses"]):
                yield from _compare_content(
                    f"{name} {status}", before["responses"][status], after["responses"][status]
                )
            body, body_now = before.get("requestBody", {}), after.get("requestBody", {})
            if body_now.get("required") and not body.get("required"):
                yield f"{name}: a body is required now"
            yield from _compare_content(f"{name} body", body, body_now)


def _compare_parameters(name: str, before: Json, after: Json) -> Iterator[str]:
    old = {(item["in"], item["name"]): item for item in before.get("parameters", [])}
    new = {(item["in"], item["name"]): item for item in after.get("parameters", [])}
    for key in old.keys() - new.keys():
        yield f"{name}: the parameter {key[1]} is gone"
    for key, item in new.items():
        if item["required"] and not old.get(key, {}).get("required"):
            yield f"{name}: the parameter {key[1]} is required now"
        if key in old:
            yield from _compare_shapes(f"{name}.{key[1]}", old[key]["schema"], item["schema"])


def _compare_content(name: str, before: Json, after: Json) -> Iterator[str]:
    for kind, content in before.get("content", {}).items():
        if kind not in after.get("content", {}):
            yield f"{name}: {kind} is gone"
        else:
            yield from _compare_shapes(name, content["schema"], after["content"][kind]["schema"])


def _compare_shapes(name: str, old: Json, new: Json) -> Iterator[str]:
    for word in ("type", "$ref", "const"):
        if word in old and old.get(word) != new.get(word):
            yield f"{name}: {word} was {old[word]}, is {new.get(word)}"
    if "enum" in old:
        for value in old["enum"]:
            if value not in new.get("enum", old["enum"]):
                yield f"{name}: the value {value} is gone"
    yield from _compare_required(name, old, new)
    for field, shape in old.get("properties", {}).items():
        if field not in new.get("properties", {}):
            yield f"{name}: {field} is gone"
        else:
            yield from _compare_shapes(f"{name}.{field}", shape, new["properties"][field])
    if isinstance(old.get("items"), dict):
        yield from _compare_shapes(f"{name}[]", old["items"], new.get("items", {}))
    for word in ("anyOf", "oneOf"):
        for option in old.get(word, []):
            if option not in new.get(word, []):
                yield f"{name}: a way to write it is gone: {option}"


def _compare_required(name: str, old: Json, new: Json) -> Iterator[str]:
    for field in set(new.get("required", ())) - set(old.get("required", ())):
        # A reply may promise more; a new field that a body must carry is the break.
        if field in old.get("properties", {}) or not name.endswith("Reply"):
            yield f"{name}: {field} is required now"


if __name__ == "__main__":
    COMMITTED.write_bytes(to_text(write()))
