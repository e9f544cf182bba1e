"""Boundaries: what `config.boundary` may be, and the area that it means.

GeoJSON as in RFC 7946 (winding does not matter), a box, a geodesic circle, an administrative area
by its name, or a list of these, whose areas are joined.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from gridmill.providers.places.contains import PointLocator
from gridmill.providers.places.geodesy import draw_circle
from gridmill.providers.places.rings import (
    MAX_VERTICES,
    check_range,
    cut_to_map,
    fail,
    make_polygon,
    read_ring,
    unroll,
)

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""West, south, east and north in degrees; none crosses the antimeridian."""

MAX_PARTS = 1_000
MAX_RADIUS = 5_000_000.0
"""Metres; larger circles are better said as a box."""

_KINDS = (
    "Give a GeoJSON Polygon, MultiPolygon or Feature, {bbox: [west, south, east, north]}, "
    "{center: {lat, lon}, radiusMeters}, {adminArea, country?}, or {boundaries: [of these]}."
)
_LINES = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString"})
_MAX_POLYGONS = 100_000


@dataclass(frozen=True)
class Boundary:
    """An area of the Earth: one or more valid polygons, none of which crosses the antimeridian."""

    areas: tuple[BaseGeometry, ...]
    _locators: list[PointLocator] = field(default_factory=list[PointLocator], compare=False)

    @property
    def boxes(self) -> list[Box]:
        """The bounds of each polygon."""
        polygons = shapely.get_parts(list(self.areas))
        return [cast("Box", tuple(map(float, one))) for one in shapely.bounds(polygons)]

    def contains(self, lats: Floats, lons: Floats) -> NDArray[np.bool_]:
        """Whether each point lies inside or on the border."""
        if not self._locators:
            self._locators.extend(map(PointLocator, self.areas))
        # Both names of the antimeridian are one line.
        other = np.where(np.abs(lons) == 180, -lons, np.nan)
        has_other = bool(np.isfinite(other).any())
        found = np.zeros(len(lats), dtype=np.bool_)
        for locator in self._locators:
            found |= locator.locate(lons, lats)
            if has_other:
                found |= locator.locate(other, lats)
        return found


FindArea = Callable[[str, str | None], Sequence[BaseGeometry] | str]
"""The parts of an administrative area by name and country, or why there is none."""


def read_boundary(
    raw: object, *, find_area: FindArea, repair: bool = False, field: str = "config.boundary"
) -> Boundary:
    """Read a boundary.

    Raises:
        ValidationFailed: it is none; the error names the place of the fault.
    """
    reader = _Reader(find_area, repair=repair)
    return Boundary(tuple(reader.read(raw, field)))


class _Reader:
    """Reads one boundary; counts its vertices over all parts."""

    def __init__(self, find_area: FindArea, *, repair: bool) -> None:
        self._find_area = find_area
        self._repair = repair
        self._vertices = 0

    def read(self, raw: object, field: str, *, nested: bool = False) -> list[BaseGeometry]:
        if not isinstance(raw, Mapping):
            raise fail(field, _KINDS)
        said = cast("Mapping[str, object]", raw)
        if "type" in said:
            return self._read_geojson(said, field)
        keys = set(said)
        if keys == {"bbox"}:
            return [_read_box(said["bbox"], f"{field}.bbox")]
        if keys == {"center", "radiusMeters"}:
            return [_read_circle(said, field)]
        if "adminArea" in keys and keys <= {"adminArea", "country"}:
            return self._read_admin_area(said, field)
        if keys == {"boundaries"} and not nested:
            return self._read_list(said["boundaries"], f"{field}.boundaries")
        if "walkMinutes" in keys:
            text = "No street graph is loaded here: give radiusMeters instead of walkMinutes."
            raise fail(f"{field}.walkMinutes", text)
        raise fail(field, _KINDS)

    def _read_list(self, raw: object, field: str) -> list[BaseGeometry]:
        parts = cast("list[object]", raw) if isinstance(raw, list) else []
        if not 1 <= len(parts) <= MAX_PARTS:
            raise fail(field, f"Give 1 to {MAX_PARTS:,} boundaries.")
        found: list[BaseGeometry] = []
        for index, part in enumerate(parts):
            found += self.read(part, f"{field}.{index}", nested=True)
        return found

    def _read_geojson(self, said: Mapping[str, object], field: str) -> list[BaseGeometry]:
        kind = str(said["type"])
        if kind == "Feature":
            geometry = said.get("geometry")
            if not isinstance(geometry, Mapping):
                raise fail(f"{field}.geometry", "The Feature has no geometry.")
            inner = cast("Mapping[str, object]", geometry)
            if inner.get("type") not in ("Polygon", "MultiPolygon"):
                raise _refuse_kind(str(inner.get("type")), f"{field}.geometry.type")
            return self._read_geojson(inner, f"{field}.geometry")
        if kind not in {"Polygon", "MultiPolygon"}:
            raise _refuse_kind(kind, f"{field}.type")
        if "crs" in said:
            text = "GeoJSON is in longitude and latitude on WGS 84 (RFC 7946): leave crs out."
            raise fail(f"{field}.crs", text)
        place = f"{field}.coordinates"
        coordinates = said.get("coordinates")
        if not isinstance(coordinates, list) or not coordinates:
            raise fail(place, f"A {kind} has a list of coordinates.")
        listed = cast("list[object]", coordinates)
        if kind == "Polygon":
            return [self._read_polygon(listed, place)]
        if len(listed) > _MAX_POLYGONS:
            raise fail(place, f"A boundary has at most {_MAX_POLYGONS:,} polygons.")
        return [self._read_polygon(one, f"{place}.{index}") for index, one in enumerate(listed)]

    def _read_polygon(self, raw: object, field: str) -> BaseGeometry:
        rings = cast("list[object]", raw) if isinstance(raw, list) else []
        if not rings:
            raise fail(field, "A Polygon is a list of rings: the outer one, then its holes.")
        found = [
            read_ring(ring, f"{field}.{index}", repair=self._repair)
            for index, ring in enumerate(rings)
        ]
        self._vertices += sum(len(ring.points) for ring in found)
        if self._vertices > MAX_VERTICES:
            raise fail(field, f"A boundary has at most {MAX_VERTICES:,} vertices; simplify it.")
        return make_polygon(found, field, repair=self._repair)

    def _read_admin_area(self, said: Mapping[str, object], field: str) -> list[BaseGeometry]:
        name, country = said["adminArea"], said.get("country")
        if not isinstance(name, str) or not name.strip():
            raise fail(f"{field}.adminArea", "Give the name of a country or region.")
        if country is not None and not isinstance(country, str):
            raise fail(f"{field}.country", "Give the country's name or its two-letter code.")
        found = self._find_area(name, country)
        if isinstance(found, str):
            raise fail(f"{field}.adminArea", found)
        return list(found)


def _refuse_kind(kind: str, field: str) -> Exception:
    if kind in _LINES:
        return fail(field, f"A {kind} encloses no area: give a Polygon or MultiPolygon.")
    return fail(field, "The geometry must be a Polygon or MultiPolygon.")


def _read_box(raw: object, field: str) -> BaseGeometry:
    numbers = _read_numbers(raw, 4)
    if numbers is None:
        raise fail(field, "A box is four numbers: [west, south, east, north].")
    west, south, east, north = numbers
    check_range(np.array([[west, south], [east, north]]), field, listed=False)
    if south >= north:
        text = "The box encloses no area" if south == north else "South lies north of north"
        raise fail(field, f"{text}: give [west, south, east, north].")
    if west == east:
        raise fail(field, "The box encloses no area: give [west, south, east, north].")
    return cut_to_map(shapely.box(west, south, east if west < east else east + 360, north))


def _read_circle(said: Mapping[str, object], field: str) -> BaseGeometry:
    center, radius = said["center"], said["radiusMeters"]
    place = f"{field}.center"
    if not isinstance(center, Mapping) or set(cast("Mapping[str, object]", center)) != {
        "lat",
        "lon",
    }:
        raise fail(place, "A center is {lat, lon}.")
    named = cast("Mapping[str, object]", center)
    numbers = _read_numbers([named["lon"], named["lat"]], 2)
    if numbers is None:
        raise fail(place, "A center is {lat, lon}, two numbers of degrees.")
    lon, lat = numbers
    if abs(lat) > 90 >= abs(lon) and abs(lat) <= 180:
        text = f"Latitude {lat:.7g} is not between -90 and 90. "
        raise fail(place, text + "It looks like latitude and longitude are swapped.")
    check_range(np.array([[lon, lat]]), place, listed=False)
    metres = _read_numbers([radius], 1)
    if metres is None or not 0 < metres[0] <= MAX_RADIUS:
        raise fail(f"{field}.radiusMeters", f"Give more than 0 and at most {MAX_RADIUS:,.0f} m.")
    # Within a micrometre of a pole every direction is the same one.
    ring = unroll(draw_circle(max(-89.999999, min(89.999999, lat)), lon, metres[0]))
    return make_polygon([ring], field, repair=False)


def _read_numbers(raw: object, count: int) -> Sequence[float] | None:
    if not isinstance(raw, list) or len(cast("list[object]", raw)) != count:
        return None
    found: list[float] = []
    for number in cast("list[object]", raw):
        if isinstance(number, bool) or not isinstance(number, int | float):
            return None
        if not abs(number) <= 1e300:
            return None
        found.append(float(number))
    return found
