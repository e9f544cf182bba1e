"""Exports as GeoJSON (RFC 7946): a Feature a row, its place from the columns that say where it is."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from math import isfinite
from typing import Any, cast

import msgspec
import orjson

from gridmill.datasets.model import Column, Row
from gridmill.datasets.wire import metadata_to_wire, value_writer
from gridmill.kit.errors import ValidationFailed
from gridmill.kit.ids import encode_row
from gridmill.kit.values import DataType

_LATITUDES = frozenset({"latitude", "lat"})
_LONGITUDES = frozenset({"longitude", "lon", "lng"})
_GEOMETRIES = frozenset({"geometry", "geojson", "geom"})
_KINDS = frozenset(
    {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
     "GeometryCollection"}
)  # fmt: skip

_NEEDED = (
    "GeoJSON needs to know where a row is: a column of type location, columns latitude and "
    "longitude, or a column geometry with GeoJSON in it."
)

FindGeometry = Callable[[Row], Mapping[str, Any] | None]


def check_columns(columns: Sequence[Column]) -> None:
    """Raise `ValidationFailed` when no column says where a row is."""
    if _find_source(columns) is None:
        raise ValidationFailed.of("format", _NEEDED)


def _find_source(columns: Sequence[Column]) -> tuple[tuple[int, ...], FindGeometry] | None:
    """The columns that say where a row is, best first, and what reads them."""
    named = {column.name.strip().casefold(): column for column in reversed(columns)}
    geometry = next((named[name] for name in named if name in _GEOMETRIES), None)
    if geometry is not None:
        number = geometry.column_no
        return (number,), lambda row: _read_geometry(row.values[number])
    places = [column.column_no for column in columns if column.data_type is DataType.LOCATION]
    if places:
        return (places[0],), lambda row: _read_location(row.values[places[0]])
    lat = next((named[name].column_no for name in named if name in _LATITUDES), None)
    lon = next((named[name].column_no for name in named if name in _LONGITUDES), None)
    if lat is None or lon is None:
        return None
    return (lat, lon), lambda row: _make_point(row.values[lat], row.values[lon])


def _read_geometry(text: str | None) -> Mapping[str, Any] | None:
    found = _decode(text)
    return found if found is not None and found.get("type") in _KINDS else None


def _read_location(text: str | None) -> Mapping[str, Any] | None:
    found = _decode(text)
    return None if found is None else _make_point(found.get("lat"), found.get("lon"))


def _decode(text: str | None) -> dict[str, Any] | None:
    try:
        found: Any = msgspec.json.decode(text or "null")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _make_point(lat: object, lon: object) -> Mapping[str, Any] | None:
    try:
        degrees = float(str(lat)), float(str(lon))
    except ValueError:
        return None
    if not all(map(isfinite, degrees)) or abs(degrees[0]) > 90 or abs(degrees[1]) > 180:
        return None
    return {"type": "Point", "coordinates": [degrees[1], degrees[0]]}


async def stream_geojson(
    pages: AsyncIterator[Sequence[Row]], key: str, columns: Sequence[Column], *, with_metadata: bool
) -> AsyncIterator[bytes]:
    """A FeatureCollection, a Feature a line; a row that lies nowhere has a null geometry."""
    source = _find_source(columns)
    used, find_geometry = ((), _find_nothing) if source is None else source
    writers = [
        (column.column_no, column.name, value_writer(column.data_type))
        for column in columns
        if column.column_no not in used
    ]
    separator = b""
    yield b'{"type":"FeatureCollection","features":[\n'
    async for rows in pages:
        lines: list[bytes] = []
        for row in rows:
            feature: dict[str, Any] = {
                "type": "Feature",
                "id": encode_row(key, row.row_no),
                "geometry": find_geometry(row),
                "properties": {name: write(row.values[number]) for number, name, write in writers},
            }
            if with_metadata:
                feature["metadata"] = {
                    column.name: metadata_to_wire(row.metadata[column.column_no])
                    for column in columns
                    if column.column_no in row.metadata
                }
            lines += [separator, orjson.dumps(feature)]
            separator = b",\n"
        yield b"".join(lines)
    yield b"\n]}\n"


def _find_nothing(row: Row) -> None:  # noqa: ARG001 (the shape of those that find)
    return None
