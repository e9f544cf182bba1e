"""Which fact of which place a column asks for, read from its name and prompt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FILLER = frozenset({"the", "of", "a", "name", "column", "value", "local"})

FACTS = {
    "capital": ("capital",),
    "capital city": ("capital",),
    "country": ("countryName", "iso2", "iso3"),
    "nation": ("countryName", "iso2", "iso3"),
    "country code": ("iso2", "iso3"),
    "iso": ("iso2", "iso3"),
    "iso code": ("iso2", "iso3"),
    "country iso": ("iso2", "iso3"),
    "iso 2": ("iso2",),
    "alpha 2": ("iso2",),
    "alpha 2 code": ("iso2",),
    "iso 3": ("iso3",),
    "alpha 3": ("iso3",),
    "alpha 3 code": ("iso3",),
    "iso numeric": ("isoNumeric",),
    "continent": ("continent",),
    "currency": ("currency", "currencyName"),
    "currency code": ("currency",),
    "phone prefix": ("phonePrefix",),
    "dialing code": ("phonePrefix",),
    "calling code": ("phonePrefix",),
    "tld": ("tld",),
    "languages": ("languages",),
    "language codes": ("languages",),
    "neighbours": ("neighbours",),
    "population": ("population",),
    "area": ("area",),
    "area km 2": ("area",),
    "state": ("stateName", "stateCode"),
    "us state": ("stateName", "stateCode"),
    "state code": ("stateCode",),
    "state abbreviation": ("stateCode",),
    "latitude": ("latitude",),
    "lat": ("latitude",),
    "longitude": ("longitude",),
    "lon": ("longitude",),
    "lng": ("longitude",),
    "timezone": ("timezone",),
    "time zone": ("timezone",),
}
"""What a column is called, and the fact's forms; without filled rows the first one is given."""

_ASKED = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, FACTS), key=len, reverse=True)) + r")\b"
    r"(?: (?:of|in which|where)\b)"
)
_KINDS = {
    "city": frozenset({"city", "town", "municipality"}),
    "state": frozenset({"state", "province"}),
    "country": frozenset({"country", "nation", "iso", "iso2", "iso3"}),
}
_OF_KIND = {
    "country": frozenset(
        [
            "capital",
            "countryName",
            "iso2",
            "iso3",
            "isoNumeric",
            "continent",
            "currency",
            "currencyName",
            "phonePrefix",
            "tld",
            "languages",
            "neighbours",
            "population",
            "area",
        ]
    ),
    "state": frozenset({"stateName", "stateCode", "countryName", "iso2", "iso3"}),
    "city": frozenset(
        [
            "countryName",
            "iso2",
            "iso3",
            "continent",
            "currency",
            "currencyName",
            "phonePrefix",
            "stateName",
            "stateCode",
            "latitude",
            "longitude",
            "timezone",
            "population",
        ]
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A fact in the forms it may take, and the positions of the columns that name the place.

    `key` is the kind of the place asked about; the other kinds narrow it down.
    """

    forms: tuple[str, ...]
    key: str
    positions: dict[str, int]


def read_words(name: str) -> tuple[str, ...]:
    """The words of a name: `countryCode`, `country_code` and `Country Code` are the same."""
    return tuple(word.casefold() for word in _WORD.findall(name))


def recognise(target: str, about: str, columns: Sequence[str]) -> Asked | None:
    """The fact a column asks for, or `None`. A name that says more than a fact is no fact.

    `state` of a row with a city is a fact, `order state` is not.
    """
    forms = _read_forms(target, about)
    if forms is None:
        return None
    positions: dict[str, int] = {}
    for place, name in enumerate(columns):
        if name == target:
            continue
        words = [word for word in read_words(name) if word not in _FILLER | {"code"}]
        for kind, nouns in _KINDS.items():
            if len(words) == 1 and words[0] in nouns and kind not in positions:
                positions[kind] = place
    for kind in _order_kinds(target, forms):
        if kind in positions and forms[0] in _OF_KIND[kind]:
            return Asked(tuple(f for f in forms if f in _OF_KIND[kind]), kind, positions)
    return None


def _order_kinds(target: str, forms: Sequence[str]) -> tuple[str, ...]:
    """The place meant: what the column names, else the narrowest, where the fact differs within."""
    words = set(read_words(target))
    named = [kind for kind, nouns in _KINDS.items() if words & nouns and kind != "state"]
    if named and forms[0] in {"population", "area", "timezone", "latitude", "longitude"}:
        return (named[0],)
    wide = forms[0] in _OF_KIND["country"] and forms[0] != "population"
    return ("country", "state", "city") if wide else ("city", "state", "country")


def _read_forms(target: str, about: str) -> tuple[str, ...] | None:
    words = [word for word in read_words(target) if word not in _FILLER]
    forms = FACTS.get(" ".join(words))
    if forms is None and len(words) > 1:
        # "country capital", "city latitude": the place's own noun says nothing of the fact.
        nouns = frozenset().union(*_KINDS.values())
        forms = FACTS.get(" ".join(word for word in words if word not in nouns))
    if forms is not None:
        return forms
    prompt = about.removeprefix(target).casefold().replace("{{", "").replace("}}", "")
    match = _ASKED.search(" ".join(prompt.split()))
    return None if match is None else FACTS[match[1]]
