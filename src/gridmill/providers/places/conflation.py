"""Which records are the same place: within a source and across sources.

By id; else by what they are called and how near they lie, where a shared telephone number or
website tells as much as a name. Every source of a merged place is kept.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import cos, hypot, radians

from gridmill.providers.places.model import Place, fold

SAME_METRES = 75.0
NEAR_METRES = 300.0
"""Equal names make one place up to the first; equal names and a shared contact up to the second."""

_DEGREE = 111_195.0
_CELL = NEAR_METRES / _DEGREE
_KINDS = ("amenity", "shop", "tourism", "office", "leisure", "craft", "healthcare", "railway")
_SMALL_WORDS = frozenset({"the", "le", "la", "les", "de", "du", "and", "et", "oy", "ltd", "inc"})


def merge_places(places: Iterable[Place]) -> list[Place]:
    """The places in their order, each once; a later record of one fills what the first left open."""
    merged: list[Place] = []
    by_id: dict[str, int] = {}
    index = PlaceIndex()
    for place in places:
        at = by_id.get(place.feature_id)
        if at is None:
            at = index.find_same(place)
        if at is None:
            at = len(merged)
            merged.append(place)
            index.add(at, place)
        else:
            merged[at] = _join(merged[at], place)
        by_id[place.feature_id] = at
    return merged


def _join(first: Place, second: Place) -> Place:
    if first.feature_id == second.feature_id:
        return first
    tags = {**second.tags, **first.tags}
    return replace(first, tags=tags, sources=(*first.sources, *second.sources))


class PlaceIndex:
    """Places by where they lie, to find what another record may be the same as."""

    def __init__(self) -> None:
        self._near: dict[tuple[int, int, str], list[tuple[int, Place, frozenset[str]]]] = {}

    def add(self, number: int, place: Place) -> None:
        """Add a place under a number of the caller's."""
        words = _list_words(place.name)
        row, column = _find_cell(place)
        for word in words:
            self._near.setdefault((row, column, word), []).append((number, place, words))

    def find_same(self, place: Place) -> int | None:
        """The number of the nearest place that this record is the same as."""
        words = _list_words(place.name)
        best: tuple[float, int] | None = None
        for number, other, other_words in self._list_near(place, words):
            metres = measure_metres(place, other)
            if _is_same(place, words, other, other_words, metres=metres) and (
                best is None or metres < best[0]
            ):
                best = (metres, number)
        return None if best is None else best[1]

    def _list_near(
        self, place: Place, words: frozenset[str]
    ) -> Iterable[tuple[int, Place, frozenset[str]]]:
        """Places around that share a word of the name; one for each word that they share."""
        row, column = _find_cell(place)
        # Cells are as high as the reach; eastward they narrow with the latitude.
        wide = min(60, 1 + int(1 / max(0.02, cos(radians(place.lat)))))
        for north in (-1, 0, 1):
            for east in range(-wide, wide + 1):
                for word in words:
                    yield from self._near.get((row + north, column + east, word), ())


def _find_cell(place: Place) -> tuple[int, int]:
    return int(place.lat // _CELL), int(place.lon // _CELL)


def measure_metres(one: Place, other: Place) -> float:
    """Metres between two places that are near one another."""
    east = (one.lon - other.lon) * cos(radians((one.lat + other.lat) / 2))
    return hypot(one.lat - other.lat, east) * _DEGREE


def _is_same(
    one: Place,
    words: frozenset[str],
    other: Place,
    other_words: frozenset[str],
    *,
    metres: float,
) -> bool:
    if metres > NEAR_METRES or not words or not other_words:
        return False
    if _is_other_kind(one.tags, other.tags):
        return False
    shared = len(words & other_words) / len(words | other_words)
    contact = _shares_contact(one.tags, other.tags)
    if metres <= SAME_METRES:
        return shared == 1 or (contact and shared > 0)
    return contact and shared == 1


def _is_other_kind(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """A hotel and its restaurant may share a name: a same key with another value parts them."""
    shared = [key for key in _KINDS if key in one and key in other]
    return any(one[key] != other[key] for key in shared) or (
        not shared and any(key in one for key in _KINDS) and any(key in other for key in _KINDS)
    )


def _shares_contact(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(
        bool(_reduce(one.get(key, ""))) and _reduce(one.get(key, "")) == _reduce(other.get(key, ""))
        for key in ("phone", "website", "contact:phone", "contact:website")
    )


def _reduce(contact: str) -> str:
    text = re.sub(r"^https?://(www\.)?", "", contact.strip().casefold())
    digits = re.sub(r"\D", "", text)
    return digits if len(digits) >= 7 and not re.search("[a-z]", text) else text.rstrip("/")


def _list_words(name: str | None) -> frozenset[str]:
    words = fold(name or "").split()
    return frozenset(word for word in words if word not in _SMALL_WORDS) or frozenset(words)
