"""Which attribute of a place a column asks for: by its name, else its type, else its prompt."""

from collections.abc import Mapping, Sequence

from gridmill.kit.values import DataType
from gridmill.operations.model import ColumnSpec
from gridmill.providers.places.attributes import ATTRIBUTES
from gridmill.providers.places.model import fold

_WORDS: Mapping[str, str] = {
    "name": "name, title, place, place name, nom, nombre, nome, nimi, namn, bezeichnung",
    "category": "category, kind, type, place type, kategorie, categorie, categoria, luokka",
    "brand": "brand, chain, marke, marque, marca, ketju",
    "operator": "operator, operated by, betreiber",
    "address": "address, full address, street address, adresse, direccion, indirizzo, osoite",
    "street": "street, street name, road, strasse, rue, calle, via, katu",
    "housenumber": "house number, housenumber, hausnummer",
    "postcode": "postcode, postal code, zip, zip code, plz, code postal, postinumero",
    "city": "city, town, stadt, ville, ciudad, citta, kaupunki, stad",
    "suburb": "suburb, district, neighbourhood, neighborhood, quarter, stadtteil, quartier",
    "country": "country, country code, pays, pais, paese",
    "phone": "phone, telephone, phone number, tel, telefon, telefono, puhelin",
    "email": "email, e mail, mail, email address, sahkoposti",
    "website": "website, web, url, homepage, web site, webseite, site web, verkkosivu",
    "opening_hours": "opening hours, hours, offnungszeiten, horaires, horario, aukioloajat",
    "opening_hours_week": "opening hours week, weekly hours, hours by day, parsed opening hours",
    "cuisine": "cuisine, food, kuche",
    "wheelchair": "wheelchair, wheelchair access, accessible, accessibility, rollstuhl",
    "latitude": "latitude, lat, breitengrad, leveysaste, y",
    "longitude": "longitude, lon, lng, langengrad, pituusaste, x",
    "location": "location, position, coordinates, koordinaten, point, lat lon",
    "geometry": "geometry, geojson, geom, shape, the geom",
    "feature_id": "feature id, featureid, osm id, osmid, place id, geoname id, source id",
    "license": "license, licence, lizenz",
    "population": "population, inhabitants, people, einwohner",
}
_BY_WORD = {
    fold(word): attribute for attribute, words in _WORDS.items() for word in words.split(",")
}
_BY_TYPE = {
    DataType.LOCATION: "location",
    DataType.PHONE: "phone",
    DataType.EMAIL: "email",
    DataType.URL: "website",
}
_LONGEST_PHRASE = 3


def match_attribute(name: str) -> str | None:
    """The attribute that a column's name means."""
    folded = fold(name)
    exact = folded.replace(" ", "_")
    return exact if exact in ATTRIBUTES else _BY_WORD.get(folded)


def match_columns(columns: Sequence[ColumnSpec]) -> dict[int, str]:
    """The attribute, or the tag, of each column that asks for one, by the column's number."""
    return {column.number: found for column in columns if (found := _match(column)) is not None}


def _match(column: ColumnSpec) -> str | None:
    attribute = match_attribute(column.name)
    if attribute == "opening_hours" and column.rules.data_type is DataType.JSON:
        return "opening_hours_week"
    if attribute is not None:
        return attribute
    # A type says it only where it is about nothing else: a url may be of a picture.
    by_type = _BY_TYPE.get(column.rules.data_type)
    return _match_prompt(column.prompt or column.description or "") or by_type or _to_tag(column)


def _match_prompt(prompt: str) -> str | None:
    """The attribute of the longest phrase in a prompt, if just one is as long."""
    words = fold(prompt).split()[:200]
    for length in range(_LONGEST_PHRASE, 0, -1):
        phrases = {" ".join(words[at : at + length]) for at in range(len(words) - length + 1)}
        found = {_BY_WORD[phrase] for phrase in phrases if phrase in _BY_WORD}
        # "The phone number of the place" asks for no name.
        found -= {"name"} if len(found) > 1 else set()
        if len(found) == 1:
            return found.pop()
        if found:
            return None
    return None


def _to_tag(column: ColumnSpec) -> str | None:
    """A column may be named like a tag of the source: `smoking`, `brand:wikidata`."""
    name = column.name.strip()
    return name if name and name.isascii() and name == name.lower() and " " not in name else None
