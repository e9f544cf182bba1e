"""Where a source's records lie: its columns of latitudes and longitudes."""

from collections.abc import Sequence
from dataclasses import dataclass

from gridmill.datasources.model import DataSource

Box = tuple[float, float, float, float]
"""West, south, east and north in degrees."""

_LATITUDES = frozenset({"latitude", "lat", "y", "breitengrad", "leveysaste"})
_LONGITUDES = frozenset({"longitude", "lon", "lng", "x", "langengrad", "pituusaste"})


@dataclass(frozen=True, slots=True)
class Positioned:
    """Records (number, values in the order of the columns) that lie where they were asked for.

    `box` holds the positions of all records of the source, `is_cut`: there are more of them there.
    """

    rows: Sequence[tuple[int, tuple[str | None, ...]]]
    box: Box | None
    is_cut: bool


def find_position_columns(source: DataSource) -> tuple[int, int] | None:
    """The physical columns of latitude and longitude, by their names."""
    named = [
        (physical, column.name.strip().casefold())
        for physical, column in enumerate(source.columns, 1)
    ]
    lat = next((physical for physical, name in named if name in _LATITUDES), None)
    lon = next((physical for physical, name in named if name in _LONGITUDES), None)
    return None if lat is None or lon is None else (lat, lon)
