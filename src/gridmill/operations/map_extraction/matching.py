"""Which place a row is: by feature id, else by name and position, else by its address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

import msgspec

from gridmill.operations.map_extraction.columns import match_attribute
from gridmill.operations.map_extraction.sources import TableSource
from gridmill.operations.model import CellError, ColumnSpec, RowInput
from gridmill.providers.places.conflation import PlaceIndex
from gridmill.providers.places.embedded import EmbeddedSource
from gridmill.providers.places.model import Located, Place, Provenance

PlaceSource = EmbeddedSource | TableSource

CONFIDENCE: Mapping[str, float] = {
    "nameAndPosition": 0.98,
    "address": 0.98,
    "addressWithTypo": 0.98,
    "nearestAddress": 0.94,
}
"""How often a match of its kind is the right one, as benchmarks/map.py measures it on the embedded
extracts: names with positions moved by 20 m (a fifth of the places taken out of the source, whose
rows wrongly find a neighbour at times), addresses as they are and with one typing error, the nearest
address from 5 m away. A place found by its id is no guess and has none."""

GONE = "GONE"
_ADDRESS_PARTS = ("street", "housenumber", "postcode", "city")


@dataclass(frozen=True, slots=True)
class Match:
    """The place of a row and how it was found; `is_point`: only a position, not a place's record."""

    place: Place
    method: str
    confidence: float | None = None
    is_point: bool = False


class RowMatcher:
    """Reads rows as places by the names of their columns."""

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self._names = {
            attribute: column.name
            for column in reversed(columns)
            if (attribute := match_attribute(column.name)) is not None
        }

    def read(self, row: RowInput, attribute: str) -> str | None:
        """What the row's column for an attribute holds."""
        name = self._names.get(attribute)
        value = None if name is None else row.values.get(name)
        return value.strip() or None if value else None

    def read_feature_id(self, row: RowInput) -> str | None:
        """The feature id that the row states in a column of its own."""
        return self.read(row, "feature_id")

    def to_place(self, row: RowInput) -> Place | None:
        """The row as a place, when it has a position."""
        position = self._read_position(row)
        if position is None:
            return None
        said = {
            "name": self.read(row, "name"),
            "phone": self.read(row, "phone"),
            "website": self.read(row, "website"),
        }
        tags = {key: value for key, value in said.items() if value}
        return Place(row.row_id, *position, tags, (Provenance(row.row_id, ""),))

    def _read_position(self, row: RowInput) -> tuple[float, float] | None:
        lat, lon = self.read(row, "latitude"), self.read(row, "longitude")
        location = self.read(row, "location")
        try:
            if lat is not None and lon is not None:
                found = float(lat), float(lon)
            elif location is not None:
                point: Any = msgspec.json.decode(location)
                found = float(point["lat"]), float(point["lon"])
            else:
                return None
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError):
            return None
        fits = isfinite(found[0]) and abs(found[0]) <= 90 and abs(found[1]) <= 180
        return found if fits else None

    def match(self, rows: Sequence[RowInput], source: PlaceSource) -> dict[int, Match]:
        """The places of the rows that have one, by row number."""
        ids = {row.row_no: self._list_ids(row) for row in rows}
        known = source.fetch([one for listed in ids.values() for one in listed])
        finder = _Finder(source)
        found: dict[int, Match] = {}
        for row in rows:
            stated = next((known[one] for one in ids[row.row_no] if one in known), None)
            if stated is not None:
                found[row.row_no] = Match(stated, "featureId")
                continue
            match = self._find(row, finder, was_known=bool(ids[row.row_no]))
            if match is not None:
                found[row.row_no] = match
        return found

    def explain(self, row: RowInput, source: PlaceSource) -> CellError:
        """Why a row has no place."""
        if self._list_ids(row):
            return CellError(GONE, "The place is no longer in its source.")
        position = self._read_position(row)
        if position is not None and not source.knows(*position):
            return CellError(
                "NOT_CONFIDENT", "The source knows nothing of where this row lies; load a file."
            )
        if position is None and self._read_address(row) is None:
            return CellError(
                "NOT_CONFIDENT", "The row says neither where it lies nor what its address is."
            )
        return CellError("NOT_CONFIDENT", "No place of the source fits this row.")

    def _list_ids(self, row: RowInput) -> tuple[str, ...]:
        stated = self.read_feature_id(row)
        return row.feature_ids if stated is None else (stated, *row.feature_ids)

    def _find(self, row: RowInput, finder: "_Finder", *, was_known: bool) -> Match | None:
        place = self.to_place(row)
        if place is not None and place.name is not None:
            same = finder.find_same(place)
            if same is not None:
                return Match(same, "nameAndPosition", CONFIDENCE["nameAndPosition"])
        if was_known:
            # What vanished is gone: its address is still there, but is another thing.
            return None
        if place is not None:
            located = finder.gazetteer.reverse(place.lat, place.lon)
            return None if located is None else _to_match(located, place, "nearestAddress")
        address = self._read_address(row)
        located = None if address is None else finder.gazetteer.geocode(address)
        if located is None:
            return None
        return _to_match(located, None, "address" if located.is_exact else "addressWithTypo")

    def _read_address(self, row: RowInput) -> str | None:
        whole = self.read(row, "address")
        if whole is not None:
            return whole
        street, number, postcode, city = (self.read(row, part) for part in _ADDRESS_PARTS)
        if street is None:
            return None
        line = " ".join(filter(None, (street, number)))
        return ", ".join(filter(None, (line, " ".join(filter(None, (postcode, city))))))


def _to_match(located: Located, at: Place | None, method: str) -> Match:
    """An address as a place without a name: at its own position, or where the row says."""
    lat, lon = (located.lat, located.lon) if at is None else (at.lat, at.lon)
    place = Place(located.source.feature_id, lat, lon, located.address, (located.source,))
    return Match(place, method, CONFIDENCE[method], is_point=True)


class _Finder:
    """The source's places by name and position, and its addresses; made when first asked."""

    def __init__(self, source: PlaceSource) -> None:
        self._source = source

    @cached_property
    def _places(self) -> Sequence[Place]:
        source = self._source
        return source.places if isinstance(source, TableSource) else source.list_places()

    @cached_property
    def _index(self) -> PlaceIndex:
        index = PlaceIndex()
        for number, place in enumerate(self._places):
            index.add(number, place)
        return index

    @cached_property
    def gazetteer(self) -> Any:  # noqa: ANN401
        """What geocodes."""
        source = self._source
        return source.make_gazetteer() if isinstance(source, TableSource) else source

    def find_same(self, place: Place) -> Place | None:
        """The source's record of a place."""
        number = self._index.find_same(place)
        return None if number is None else self._places[number]
