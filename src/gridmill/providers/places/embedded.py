"""The embedded source: two complete extracts of OpenStreetMap, and the world's cities.

Places of all kinds are known in central Helsinki and in Monaco; settlements of 1,000 people or
more everywhere (GeoNames). Nothing else is, and answers say so.
"""

from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from gridmill.providers.places.archive import read_archive
from gridmill.providers.places.boundaries import Boundary, Box
from gridmill.providers.places.categories import Category
from gridmill.providers.places.cities import City, load_cities
from gridmill.providers.places.geocode import AddressPoint, Gazetteer, collect_addresses
from gridmill.providers.places.model import Caps, Found, Located, Place, Provenance

OSM_LICENSE = "ODbL 1.0, © OpenStreetMap contributors"
OSM_URL = "https://www.openstreetmap.org/"
CITY_LICENSE = "CC BY 4.0, GeoNames"
CITY_URL = "https://www.geonames.org/"

_COUNTRIES = {"Helsinki": "FI", "Monaco": "MC"}
_SETTLEMENTS = ({"place": "city"}, {"place": "town"}, {"place": "village"})

HOW_TO_LOAD = (
    "Upload a file with the places of this area (CSV with latitude and longitude, or another "
    'table) as a data source and set config.source to "datasource:ID".'
)


class _Record(msgspec.Struct, frozen=True):
    id: str
    at: tuple[float, float]
    tags: dict[str, str]


class Extract(msgspec.Struct, frozen=True):
    """An extract of OpenStreetMap; `addresses` are [feature, lat, lon, street, number, postcode, city]."""

    area: str
    day: str
    box: tuple[float, float, float, float]
    places: list[_Record]
    addresses: list[tuple[str, float, float, str, str, str | None, str | None]]


@cache
def load_extracts() -> list[Extract]:
    """The extracts, read once a process."""
    return read_archive("osm.json.xz", list[Extract])


def cite(extract: Extract, feature: str) -> Provenance:
    """The record of a feature of an extract."""
    return Provenance(f"osm:{feature}", OSM_LICENSE, f"{OSM_URL}{feature}", day=extract.day)


class EmbeddedSource:
    """Answers from the data that comes with Gridmill; loaded when first asked."""

    @property
    def caps(self) -> Caps:
        """It covers the extracts' boxes and asks nobody."""
        return Caps(boxes=[extract.box for extract in load_extracts()])

    def search(self, boundary: Boundary, categories: Sequence[Category]) -> Found:
        """All places inside the boundary (of the categories, when there are any)."""
        if categories and all(map(_asks_settlements, categories)):
            return Found(_select(_load_cities(), boundary, categories))
        covered = measure_cover(boundary, [extract.box for extract in load_extracts()])
        message = None
        if covered <= 0:
            message = f"The embedded source knows nothing of this area. {HOW_TO_LOAD}"
        elif covered < 0.9999:
            message = f"The embedded source knows {covered:.1%} of this area. {HOW_TO_LOAD}"
        if covered <= 0:
            return Found((), 0.0, message)
        return Found(_select(_load_places(), boundary, categories), covered, message)

    def fetch(self, feature_ids: Sequence[str]) -> dict[str, Place]:
        """The places of these ids that it knows."""
        known = _index_places()
        if any(one.startswith("geonames:") for one in feature_ids):
            known = {**known, **{place.feature_id: place for place in _load_cities().places}}
        return {one: known[one] for one in feature_ids if one in known}

    def geocode(self, address: str) -> Located | None:
        """The position of an address in the extracts."""
        return _load_gazetteer().geocode(address)

    def reverse(self, lat: float, lon: float) -> Located | None:
        """The nearest address in the extracts."""
        return _load_gazetteer().reverse(lat, lon)

    def knows(self, lat: float, lon: float) -> bool:
        """Whether the position lies in what it covers."""
        boxes = [extract.box for extract in load_extracts()]
        return any(w <= lon <= e and s <= lat <= n for w, s, e, n in boxes)

    def list_places(self) -> Sequence[Place]:
        """All places of the extracts."""
        return _load_places().places


class _Shelf:
    """Places with their positions as arrays."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = places
        self.lats: NDArray[np.float64] = np.array([place.lat for place in places])
        self.lons: NDArray[np.float64] = np.array([place.lon for place in places])


def _select(shelf: _Shelf, boundary: Boundary, categories: Sequence[Category]) -> list[Place]:
    inside = np.flatnonzero(boundary.contains(shelf.lats, shelf.lons))
    found = (shelf.places[int(index)] for index in inside)
    return [
        place
        for place in found
        if not categories or any(category.fits(place.tags) for category in categories)
    ]


def _asks_settlements(category: Category) -> bool:
    return any(category.fits(tags) for tags in _SETTLEMENTS)


def measure_cover(boundary: Boundary, boxes: Sequence[Box]) -> float:
    """The share of a boundary's area that lies in boxes, on the map's plane."""
    known = shapely.union_all([shapely.box(*box) for box in boxes])
    areas = list(boundary.areas)
    total = float(shapely.area(areas).sum())
    inside = float(shapely.area(shapely.intersection(areas, known)).sum())
    return inside / total if total else 0.0


@cache
def _load_places() -> _Shelf:
    return _Shelf(
        [
            Place(
                f"osm:{record.id}",
                *record.at,
                record.tags,
                (cite(extract, record.id),),
                _COUNTRIES.get(extract.area),
            )
            for extract in load_extracts()
            for record in extract.places
        ]
    )


@cache
def _load_gazetteer() -> Gazetteer:
    points = [
        AddressPoint(street, number, lat, lon, cite(extract, feature), postcode, city)
        for extract in load_extracts()
        for feature, lat, lon, street, number, postcode, city in extract.addresses
    ]
    for place in _load_places().places:
        point = collect_addresses(place.tags, place.lat, place.lon, place.sources[0])
        if point is not None:
            points.append(point)
    return Gazetteer(points)


@cache
def _index_places() -> dict[str, Place]:
    return {place.feature_id: place for place in _load_places().places}


@cache
def _load_cities() -> _Shelf:
    return _Shelf([_to_place(city) for city in load_cities()])


def _to_place(city: City) -> Place:
    people = city.population
    kind = "city" if people >= 100_000 else "town" if people >= 10_000 else "village"
    feature = f"geonames:{city.geonameid}"
    return Place(
        feature,
        city.latitude,
        city.longitude,
        {"name": city.name, "place": kind, "population": str(people)},
        (Provenance(feature, CITY_LICENSE, f"{CITY_URL}{city.geonameid}"),),
        city.countrycode,
    )
