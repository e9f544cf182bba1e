"""A user's own table as a source of places: its records as places, columns as tags."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, cast
from uuid import UUID

import msgspec
import numpy as np

from gridmill.operations.map_extraction.columns import match_attribute
from gridmill.operations.model import SourceRecords
from gridmill.providers.places.boundaries import Boundary
from gridmill.providers.places.categories import Category
from gridmill.providers.places.embedded import measure_cover
from gridmill.providers.places.geocode import Gazetteer, collect_addresses
from gridmill.providers.places.model import Found, Place, Provenance, fold

OWN_LICENSE = "as its owner says; the file names none"

_TAGS = {
    "street": "addr:street",
    "housenumber": "addr:housenumber",
    "postcode": "addr:postcode",
    "city": "addr:city",
    "suburb": "addr:suburb",
    "country": "addr:country",
    "address": "addr:full",
}
_IDS = frozenset({"id", "fid", "@id", "feature_id", "osm_id", "place_id", "gml_id", "uuid"})
_MOST_TAGS = 500


class TableSource:
    """Answers from records of a table that have a position."""

    def __init__(self, datasource_id: UUID, records: SourceRecords) -> None:
        self._datasource_id = datasource_id
        self._records = records
        self._attributes = [match_attribute(name) for name in records.columns]
        self._id_at = next((i for i, n in enumerate(records.columns) if fold_id(n) in _IDS), None)
        found = (self._read(number, values) for number, values in records.rows)
        self.places: Sequence[Place] = [place for place in found if place is not None]

    def search(self, boundary: Boundary, categories: Sequence[Category]) -> Found:
        """All places inside the boundary (of the categories, when there are any)."""
        records = self._records
        if records.box is None:
            message = f"{records.file_name} holds no record with a latitude and a longitude."
            return Found((), 0.0, message)
        covered = measure_cover(boundary, [records.box])
        if covered <= 0:
            text = (
                f"No place of {records.file_name} lies near this area; load a file that covers it."
            )
            return Found((), 0.0, text)
        lats = np.array([place.lat for place in self.places])
        lons = np.array([place.lon for place in self.places])
        inside = boundary.contains(lats, lons)
        chosen = [
            place
            for place, is_inside in zip(self.places, inside, strict=True)
            if is_inside
            if not categories or any(fits(category, place) for category in categories)
        ]
        message = None
        if records.is_cut:
            message = (
                f"Only the first {len(records.rows):,} records of {records.file_name} in this area "
                "were read; make it smaller."
            )
        return Found(chosen, covered, message)

    def fetch(self, feature_ids: Sequence[str]) -> dict[str, Place]:
        """The places of these ids."""
        wanted = set(feature_ids)
        return {place.feature_id: place for place in self.places if place.feature_id in wanted}

    def knows(self, lat: float, lon: float) -> bool:
        """Whether the position lies in the box of the table's positions."""
        box = self._records.box
        return box is not None and box[0] <= lon <= box[2] and box[1] <= lat <= box[3]

    def make_gazetteer(self) -> Gazetteer:
        """The addresses that the places have."""
        found = (
            collect_addresses(place.tags, place.lat, place.lon, place.sources[0])
            for place in self.places
        )
        return Gazetteer(point for point in found if point is not None)

    def _read(self, number: int, values: Sequence[str | None]) -> Place | None:
        tags: dict[str, str] = {}
        lat = lon = None
        for name, attribute, value in zip(
            self._records.columns, self._attributes, values, strict=True
        ):
            if value is None or not value.strip():
                continue
            if attribute == "latitude":
                lat = _read_degrees(value, 90)
            elif attribute == "longitude":
                lon = _read_degrees(value, 180)
            elif name == "tags":
                tags = {**_read_tags(value), **tags}
            else:
                tags[_TAGS.get(attribute or "", attribute or name)] = value
        if lat is None or lon is None:
            return None
        stated = None if self._id_at is None else values[self._id_at]
        feature = stated or f"{self._datasource_id}#{number}"
        source = Provenance(
            feature,
            tags.get("license", OWN_LICENSE),
            file_name=self._records.file_name,
            datasource_id=str(self._datasource_id),
        )
        country = tags.get("addr:country", "")
        return Place(feature, lat, lon, tags, (source,), country if len(country) == 2 else None)


def fold_id(name: str) -> str:
    """A column's name as `_IDS` spells it."""
    return name.strip().casefold().replace(" ", "_")


def fits(category: Category, place: Place) -> bool:
    """Whether a place is of a kind: by its tags, else by what its category column says."""
    if category.fits(place.tags):
        return True
    said = place.tags.get("category")
    return said is not None and category.is_named(fold(said))


def _read_degrees(text: str, limit: int) -> float | None:
    try:
        degrees = float(text)
    except ValueError:
        return None
    return degrees if isfinite(degrees) and abs(degrees) <= limit else None


def _read_tags(text: str) -> Mapping[str, str]:
    """A column of all tags as a JSON object."""
    try:
        found: Any = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    said = cast("dict[str, object]", found)
    return {key: value for key, value in list(said.items())[:_MOST_TAGS] if isinstance(value, str)}
