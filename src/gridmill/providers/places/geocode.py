"""Addresses to positions and back, over known address points.

A street is found by its name, with one or two typing errors where that leaves one street; the
house number must be there. What is not there has no position: none is made up between neighbours.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gridmill.providers.places.geodesy import measure_distance
from gridmill.providers.places.model import Located, Provenance, fold

REVERSE_METRES = 50.0
_NUMBER = re.compile(
    r"(?<!\w)(\d{1,5}(?:\s?(?:bis|ter|quater|[a-z]))?(?:\s?[-/–]\s?\d{1,5})?)(?!\w)", re.IGNORECASE
)
_POSTCODE = re.compile(r"\b\d{4,6}\b")
_SHORT_STREET = 5


@dataclass(frozen=True, slots=True)
class AddressPoint:
    """A house number on a street, and where it is."""

    street: str
    number: str
    lat: float
    lon: float
    source: Provenance
    postcode: str | None = None
    city: str | None = None

    def to_tags(self) -> dict[str, str]:
        """The address as tags of OpenStreetMap."""
        said = {
            "addr:street": self.street,
            "addr:housenumber": self.number,
            "addr:postcode": self.postcode,
            "addr:city": self.city,
        }
        return {key: value for key, value in said.items() if value}


class Gazetteer:
    """Address points by street and by position."""

    def __init__(self, points: Iterable[AddressPoint]) -> None:
        self._points: Sequence[AddressPoint] = list(points)
        self._streets: dict[str, list[AddressPoint]] = {}
        for point in self._points:
            self._streets.setdefault(fold(point.street), []).append(point)
        self._lats = np.array([point.lat for point in self._points])
        self._lons = np.array([point.lon for point in self._points])

    def geocode(self, address: str) -> Located | None:
        """The position of an address, `None` when it is not known or not clear which is meant."""
        for street, number, rest in _split(address):
            key = street if street in self._streets else self._find_near(street)
            if key is None:
                continue
            point = _choose(self._streets[key], number, rest)
            if point is not None:
                return Located(
                    point.lat, point.lon, point.to_tags(), point.source, is_exact=key == street
                )
        return None

    def reverse(self, lat: float, lon: float) -> Located | None:
        """The nearest address within `REVERSE_METRES`."""
        if not self._points:
            return None
        metres = measure_distance(lat, lon, self._lats, self._lons)
        nearest = int(metres.argmin())
        point = self._points[nearest]
        if metres[nearest] > REVERSE_METRES:
            return None
        return Located(
            point.lat,
            point.lon,
            point.to_tags(),
            point.source,
            is_exact=True,
            metres=float(metres[nearest]),
        )

    def _find_near(self, street: str) -> str | None:
        """The one street whose name is nearest, if it is near enough."""
        if len(street) < _SHORT_STREET:
            return None
        most = 1 if len(street) < 9 else 2
        scored = [
            (count_edits(street, known, most), known)
            for known in self._streets
            if abs(len(known) - len(street)) <= most
        ]
        best = min((score for score, _ in scored), default=most + 1)
        nearest = [known for score, known in scored if score == best]
        return nearest[0] if best <= most and len(nearest) == 1 else None


def _split(address: str) -> Iterable[tuple[str, str, str]]:
    """Readings of an address as (street, number, what else is said), most likely first."""
    parts = [part.strip() for part in re.split(r"[,;\n]", address) if part.strip()]
    for index, part in enumerate(parts[:4]):
        rest = " ".join(parts[:index] + parts[index + 1 :])
        for match in _NUMBER.finditer(part):
            before, after = fold(part[: match.start()]), fold(part[match.end() :])
            number = _reduce_number(match[1])
            if before:
                yield before, number, f"{after} {rest}"
            if after:
                yield after, number, rest
        if index + 1 < len(parts) and (match := _NUMBER.fullmatch(parts[index + 1])):
            yield fold(part), _reduce_number(match[1]), rest


def _reduce_number(number: str) -> str:
    return "".join(number.casefold().split()).replace("–", "-")


def _choose(points: Sequence[AddressPoint], number: str, rest: str) -> AddressPoint | None:
    """The point of that number; of several in different places the one whose town is named."""
    found = [point for point in points if _reduce_number(point.number) == number]
    if not found:
        found = [
            point
            for point in points
            if number in map(_reduce_number, re.split(r"[-/;,–]", point.number))
        ]
    if not found:
        return None
    said, codes = fold(rest), set(_POSTCODE.findall(rest))
    first = max(
        found,
        key=lambda point: (
            (point.postcode in codes) + (bool(point.city) and fold(point.city or "") in said)
        ),
    )
    cities = {point.city for point in found if point.city}
    if len(cities) > 1 and fold(first.city or "") not in said and first.postcode not in codes:
        return None
    return first


def count_edits(one: str, other: str, most: int) -> int:
    """Optimal string alignment distance (insert, delete, replace, swap neighbours), up to `most` + 1."""
    if one == other:
        return 0
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


def collect_addresses(
    tags: Mapping[str, str], lat: float, lon: float, source: Provenance
) -> AddressPoint | None:
    """The address point that a place's tags make, if they name street and number."""
    street = tags.get("addr:street") or tags.get("addr:place")
    number = tags.get("addr:housenumber")
    if not street or not number:
        return None
    return AddressPoint(
        street, number, lat, lon, source, tags.get("addr:postcode"), tags.get("addr:city")
    )
