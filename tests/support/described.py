"""The API as `docs/openapi.json` describes it: each operation's parameters, down to the body's leaves."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.api import Json

_FILE = Path(__file__).parents[2] / "docs" / "openapi.json"
_PREFIX = "/api/v2"
_METHODS = ("get", "post", "put", "patch", "delete")
# A schema may contain itself.
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a caller may name: `place` is `path`, `query`, `header`, `json` or `form`.

    `steps` leads to it inside a body, `[]` through a list: `("columns", "[]", "name")`.
    """

    place: str
    steps: tuple[str, ...]
    schema: Mapping[str, Any] = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """The last step that is a name."""
        return next(step for step in reversed(self.steps) if step != "[]")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `path` is below the API's root, or whole where it is not under it."""

    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body: Mapping[str, Any] | None = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def of_place(self, *places: str) -> list[Parameter]:
        """Its parameters in those places."""
        return [found for found in self.parameters if found.place in places]


@cache
def _document() -> Json:
    return json.loads(_FILE.read_text())


def list_operations() -> list[Operation]:
    """All of them, in the order of the document."""
    return [
        _read_operation(path, method, item[method])
        for path, item in _document()["paths"].items()
        for method in _METHODS
        if method in item
    ]


def _read_operation(path: str, method: str, described: Json) -> Operation:
    found = [
        Parameter(one["in"], (one["name"],), one.get("schema", {}))
        for one in described.get("parameters", [])
    ]
    body: Json | None = None
    for kind, content in described.get("requestBody", {}).get("content", {}).items():
        schema: Json = content["schema"]
        place = "form" if kind.startswith("multipart/") else "json"
        found += [Parameter(place, steps, leaf) for steps, leaf in _list_leaves(schema)]
        body = schema
    return Operation(method.upper(), path.removeprefix(_PREFIX), tuple(found), body)


def resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without references at its top, and without its `null`."""
    while True:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = _document()["components"]["schemas"][name]
        elif "anyOf" in schema:
            others = [one for one in schema["anyOf"] if one.get("type") != "null"]
            if len(others) != 1:
                return schema
            schema = others[0]
        else:
            return schema


def _list_leaves(
    schema: Mapping[str, Any], steps: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    assert len(steps) <= _DEPTH, f"{steps} is too deep"
    known = resolve(schema)
    if "properties" in known:
        for name, one in known["properties"].items():
            yield from _list_leaves(one, (*steps, name))
    elif known.get("type") == "array":
        yield from _list_leaves(known["items"], (*steps, "[]"))
    else:
        yield steps, known
