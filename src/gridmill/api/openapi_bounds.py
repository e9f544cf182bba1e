"""Bounds that follow from what a field is, for the shapes of /openapi.json.

Integers travel in 64 bits (a larger one in a body is refused); those of replies count or measure
something, so they are never negative. A field that is called `…At` is a moment as `kit.clock`
writes it, one that is called `…Id` holds an id of `kit.ids`, the longest of which (a cell's) has
50 characters.
"""

from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

_LEAST, _MOST = -(2**63), 2**63 - 1
_ID_LENGTH = 64
_MOMENT_LENGTH = len("2026-01-31T12:00:00.000Z")


def bound_sent(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema of what clients send, its integers of a known width."""
    return _bound(schema, _LEAST)


def bound_read(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema of what clients read, with the bounds that its fields keep."""
    return _bound(schema, 0, is_read=True)


def _bound(schema: Any, least: int, *, is_read: bool = False) -> Any:  # noqa: ANN401 - JSON
    if isinstance(schema, list):
        return [_bound(item, least, is_read=is_read) for item in schema]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return schema
    fields: Json = {name: _bound(one, least, is_read=is_read) for name, one in schema.items()}  # pyright: ignore[reportUnknownVariableType]
    if fields.get("type") == "integer":
        fields.setdefault("format", "int64")
        _default(fields, ("minimum", "exclusiveMinimum"), least)
        _default(fields, ("maximum", "exclusiveMaximum"), _MOST)
    if is_read and isinstance(fields.get("properties"), dict):
        for name, one in fields["properties"].items():
            _name_text(name, one)
    return fields


def _default(fields: Json, names: tuple[str, str], bound: int) -> None:
    if not any(name in fields for name in names):
        fields[names[0]] = bound


def _name_text(name: str, schema: Json) -> None:
    """What the name of a field says of its texts, in each of the ways that it may be written."""
    for one in (schema, *schema.get("anyOf", ())):
        items: Json = one.get("items", {})
        if name.endswith("At") and one.get("type") == "string":
            one.update(format="date-time", maxLength=_MOMENT_LENGTH)
        elif name.endswith("Id") and one.get("type") == "string":
            one["maxLength"] = _ID_LENGTH
        elif name.endswith("Ids") and items.get("type") == "string":
            items["maxLength"] = _ID_LENGTH
