"""What a client written for one version of the API's description would stumble over in another."""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Use: TypeAlias = frozenset[str]
"""Whether clients send a shape, read it, or both: a narrower one breaks who sends, a wider who reads."""

_SENT: Use = frozenset({"sent"})
_READ: Use = frozenset({"read"})
_REFERENCE = re.compile(r"#/components/schemas/(\w+)")
_UPPER = ("maximum", "maxLength", "maxItems")
_LOWER = ("minimum", "minLength", "minItems")
# What a format bounds without saying so.
_OF_FORMAT = {("int64", "minimum"): -(2**63), ("int64", "maximum"): 2**63 - 1}


def find_breaks(old: Json, new: Json) -> list[str]:
    """What a client written for `old` would stumble over in `new`, a sentence each.

    Anywhere: operations, parameters, replies, bodies, fields and enum values that are gone or
    renamed, changed types. In what clients send: a field, parameter or body that is required now,
    a way to write it that is gone, a bound that is tighter, a pattern. In what they read: a field
    that may be left out now, a kind of value that did not come before (`null`, say).
    """
    found = list(_compare_operations(old, new))
    shapes: Json = new["components"]["schemas"]
    uses = _find_uses(old)
    for name, shape in old["components"]["schemas"].items():
        if name not in shapes:
            found.append(f"the shape {name} is gone")
        else:
            found += _compare_shapes(name, shape, shapes[name], uses.get(name, frozenset()))
    return found


def _find_uses(document: Json) -> dict[str, Use]:
    uses: dict[str, Use] = {}

    def visit(part: object, use: Use) -> None:
        for name in set(_REFERENCE.findall(str(part))):
            known = uses.get(name, frozenset[str]())
            if not use <= known:
                uses[name] = known | use
                visit(document["components"]["schemas"].get(name, {}), use)

    for methods in document["paths"].values():
        for operation in methods.values():
            visit(operation.get("requestBody", {}), _SENT)
            visit(operation["responses"], _READ)
    return uses


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
                    f"{name} {status}",
                    before["responses"][status],
                    after["responses"][status],
                    _READ,
                )
            body, body_now = before.get("requestBody", {}), after.get("requestBody", {})
            if body_now.get("required") and not body.get("required"):
                yield f"{name}: a body is required now"
            yield from _compare_content(f"{name} body", body, body_now, _SENT)


def _compare_parameters(name: str, before: Json, after: Json) -> Iterator[str]:
    old = {(item["in"], item["name"]): item for item in before.get("parameters", [])}
    new = {(item["in"], item["name"]): item for item in after.get("parameters", [])}
    for key in old.keys() - new.keys():
        yield f"{name}: the parameter {key[1]} is gone"
    for key, item in new.items():
        if item["required"] and not old.get(key, {}).get("required"):
            yield f"{name}: the parameter {key[1]} is required now"
        if key in old:
            yield from _compare_shapes(
                f"{name}.{key[1]}", old[key]["schema"], item["schema"], _SENT
            )


def _compare_content(name: str, before: Json, after: Json, use: Use) -> Iterator[str]:
    for kind, content in before.get("content", {}).items():
        if kind not in after.get("content", {}):
            yield f"{name}: {kind} is gone"
        else:
            yield from _compare_shapes(
                name, content["schema"], after["content"][kind]["schema"], use
            )


def _compare_shapes(name: str, old: Json, new: Json, use: Use) -> Iterator[str]:
    for word in ("type", "$ref", "const"):
        if word in old and old.get(word) != new.get(word):
            yield f"{name}: {word} was {old[word]}, is {new.get(word)}"
    for value in old.get("enum", ()):
        if value not in new.get("enum", old["enum"]):
            yield f"{name}: the value {value} is gone"
    if use >= _SENT:
        yield from _compare_bounds(name, old, new)
    yield from _compare_required(name, old, new, use)
    for field, shape in old.get("properties", {}).items():
        if field not in new.get("properties", {}):
            yield f"{name}: {field} is gone"
        else:
            yield from _compare_shapes(f"{name}.{field}", shape, new["properties"][field], use)
    if isinstance(old.get("items"), dict):
        yield from _compare_shapes(f"{name}[]", old["items"], new.get("items", {}), use)
    yield from _compare_options(name, old, new, use)


def _compare_options(name: str, old: Json, new: Json, use: Use) -> Iterator[str]:
    """Options of `anyOf`, matched by what they are: a type or a named shape."""
    before, after = _list_options(old), _list_options(new)
    if not before:
        return
    for kind, option in before.items():
        if kind in after:
            yield from _compare_shapes(f"{name} ({kind})", option, after[kind], use)
        else:
            yield f"{name}: {kind} is gone"
    if use >= _READ:
        for kind in after.keys() - before.keys():
            yield f"{name}: may be {kind} now"


def _list_options(shape: Json) -> dict[str, Json]:
    options = [*shape.get("anyOf", ()), *shape.get("oneOf", ())]
    return {str(one.get("$ref", one.get("type", "anything"))): one for one in options}


def _compare_bounds(name: str, old: Json, new: Json) -> Iterator[str]:
    for words, sign in ((_UPPER, 1), (_LOWER, -1)):
        for word in words:
            now, before = (
                new.get(word),
                old.get(word, _OF_FORMAT.get((str(old.get("format")), word))),
            )
            if now is not None and (before is None or sign * now < sign * before):
                yield f"{name}: {word} was {'open' if before is None else before}, is {now}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{name}: must match {new['pattern']} now"


def _compare_required(name: str, old: Json, new: Json, use: Use) -> Iterator[str]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    if use >= _SENT:
        for field in sorted(after - before):
            yield f"{name}: {field} is required now"
    if use >= _READ:
        for field in sorted((before - after) & old.get("properties", {}).keys()):
            yield f"{name}: {field} may be left out now"
