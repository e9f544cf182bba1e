"""What is known of a place, in one form whatever its source: the attributes that columns ask for.

A place's tags are OpenStreetMap's. Telephone numbers are E.164, opening hours are read by their
own grammar; what cannot be read so is not passed on as if it were.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec
import phonenumbers
from opening_hours import OpeningHours, validate

from gridmill.providers.places.categories import name_category
from gridmill.providers.places.model import Place

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_PLAIN_WEEK = datetime(2026, 3, 2)  # noqa: DTZ001 - hours are those of the place, of no zone
"""A Monday in a week without a public holiday in most countries."""

_IRREGULAR = re.compile(
    r"PH|SH|week|easter|sun|dawn|dusk|\b(?:19|20)\d\d\b|[A-Z][a-z]{2} ?\d", re.IGNORECASE
)
_MOST_INTERVALS = 100


def _first(*keys: str) -> Callable[[Place], str | None]:
    def read(place: Place) -> str | None:
        found = (place.tags.get(key, "").strip() for key in keys)
        return next(filter(None, found), None)

    return read


def _read_phone(place: Place) -> str | None:
    """The first number of those given, in E.164 (ITU-T); `None` when it is no possible number."""
    raw = _first("phone", "contact:phone", "contact:mobile")(place)
    for part in re.split(r"[;/,]", raw or ""):
        try:
            number = phonenumbers.parse(part.strip(), _read_country(place))
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return None


def _read_website(place: Place) -> str | None:
    raw = _first("website", "contact:website", "url")(place)
    text = (raw or "").split(";")[0].strip()
    if not text or " " in text:
        return None
    return text if re.match(r"https?://", text, re.IGNORECASE) else f"https://{text}"


def _read_hours(place: Place) -> str | None:
    """The hours as they stand, when they can be read."""
    raw = _first("opening_hours")(place)
    return raw if raw is not None and validate(raw) else None


def _read_week(place: Place) -> str | None:
    """`{"Mo": [["08:00", "18:00"]], …}`; `None` where the week depends on its date."""
    raw = _read_hours(place)
    if raw is None or _IRREGULAR.search(re.sub(r"PH off|; *PH .*$", "", raw)):
        return None
    week: dict[str, list[list[str]]] = {day: [] for day in _DAYS}
    hours = OpeningHours(re.sub(r"[;,]? *PH .*$", "", raw))
    spans = hours.intervals(_PLAIN_WEEK, _PLAIN_WEEK + timedelta(days=7))
    for count, (start, end, state, _) in enumerate(spans):
        if count >= _MOST_INTERVALS:
            return None
        if str(state) == "open":
            _add_span(week, start, end or _PLAIN_WEEK + timedelta(days=7))
    return msgspec.json.encode(week).decode()


def _add_span(week: dict[str, list[list[str]]], start: datetime, end: datetime) -> None:
    """A span goes to the day on which it opens; one over several days is cut at midnight."""
    while start < end:
        midnight = start.replace(hour=0, minute=0) + timedelta(days=1)
        stop = end if end - start < timedelta(days=1) else min(end, midnight)
        shown = "24:00" if stop == midnight else f"{stop:%H:%M}"
        week[_DAYS[start.weekday()]].append([f"{start:%H:%M}", shown])
        start = stop


def _read_country(place: Place) -> str | None:
    """The two-letter code."""
    raw = place.tags.get("addr:country", "").strip()
    return raw.upper() if re.fullmatch(r"[A-Za-z]{2}", raw) else place.country


def _read_address(place: Place) -> str | None:
    """Street and number, postcode and city: as much as is known, if any."""
    tags = place.tags
    street = tags.get("addr:street") or tags.get("addr:place")
    number = tags.get("addr:housenumber")
    full = tags.get("addr:full")
    if full and not street:
        return full
    if street is None:
        return None
    line = f"{street} {number}" if number else street
    town = " ".join(filter(None, (tags.get("addr:postcode"), tags.get("addr:city"))))
    return ", ".join(filter(None, (line, town)))


def _write_degrees(degrees: float) -> str:
    text = f"{degrees:.7f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _write_location(place: Place) -> str:
    return f'{{"lat":{_write_degrees(place.lat)},"lon":{_write_degrees(place.lon)}}}'


def _write_geometry(place: Place) -> str:
    """The place's point as GeoJSON (RFC 7946), or the geometry that its source gave."""
    given = place.tags.get("geometry")
    if given:
        return given
    at = f"{_write_degrees(place.lon)},{_write_degrees(place.lat)}"
    return f'{{"type":"Point","coordinates":[{at}]}}'


def _read_category(place: Place) -> str | None:
    return name_category(place.tags) or _first("category")(place)


_READERS: Mapping[str, Callable[[Place], str | None]] = {
    "name": _first("name"),
    "category": _read_category,
    "brand": _first("brand"),
    "operator": _first("operator"),
    "address": _read_address,
    "street": _first("addr:street", "addr:place"),
    "housenumber": _first("addr:housenumber"),
    "postcode": _first("addr:postcode"),
    "city": _first("addr:city"),
    "suburb": _first("addr:suburb"),
    "country": _read_country,
    "phone": _read_phone,
    "email": _first("email", "contact:email"),
    "website": _read_website,
    "opening_hours": _read_hours,
    "opening_hours_week": _read_week,
    "cuisine": _first("cuisine"),
    "wheelchair": _first("wheelchair"),
    "latitude": lambda place: _write_degrees(place.lat),
    "longitude": lambda place: _write_degrees(place.lon),
    "location": _write_location,
    "geometry": _write_geometry,
    "feature_id": lambda place: place.feature_id,
    "license": lambda place: place.sources[0].license,
    "population": _first("population"),
}

ATTRIBUTES = frozenset(_READERS)


def read_attribute(place: Place, attribute: str) -> str | None:
    """An attribute's text, or a tag's of that name; `None` when the source does not say it."""
    reader = _READERS.get(attribute)
    return reader(place) if reader is not None else place.tags.get(attribute)
