"""Distances and circles on the Earth.

Angles are degrees, lengths metres. Circles are geodesic on the WGS 84 ellipsoid; short distances
are great circles on a sphere, which is off by 0.6% at most.
"""

from math import cos, pi, radians

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EQUATOR = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_POLE = _EQUATOR * (1 - _FLATTENING)
_MEAN = 6_371_008.8
"""Radii in metres: WGS 84 (EPSG 7030), and the sphere of the same mean radius (IUGG)."""

CIRCLE_VERTICES = 256
"""A ring of so many vertices lies at most 0.0075% of the radius inside its circle."""

_ROUNDS = 12


def reach(lat: float, lon: float, azimuths: Floats, metres: float) -> tuple[Floats, Floats]:
    """Longitudes (not wrapped) and latitudes at `metres` from a point in each direction.

    Vincenty's direct formula (Survey Review XXIII, 1975), good to a millimetre. Azimuths are
    radians, clockwise from north.
    """
    reduced = np.arctan((1 - _FLATTENING) * np.tan(np.radians(lat)))
    sin_u, cos_u = np.sin(reduced), np.cos(reduced)
    sin_a, cos_a = np.sin(azimuths), np.cos(azimuths)
    sigma1 = np.arctan2(sin_u, cos_u * cos_a)
    sin_alpha = cos_u * sin_a
    cos2_alpha = 1 - sin_alpha**2
    u2 = cos2_alpha * (_EQUATOR**2 - _POLE**2) / _POLE**2
    a = 1 + u2 / 16384 * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)))
    b = u2 / 1024 * (256 + u2 * (-128 + u2 * (74 - 47 * u2)))
    sigma = first = metres / (_POLE * a)
    cos_2m = np.cos(2 * sigma1 + sigma)
    for _ in range(_ROUNDS):
        cos_2m = np.cos(2 * sigma1 + sigma)
        sin_s, cos_s = np.sin(sigma), np.cos(sigma)
        inner = cos_s * (2 * cos_2m**2 - 1)
        inner -= b / 6 * cos_2m * (4 * sin_s**2 - 3) * (4 * cos_2m**2 - 3)
        sigma = first + b * sin_s * (cos_2m + b / 4 * inner)
    sin_s, cos_s = np.sin(sigma), np.cos(sigma)
    term = sin_u * sin_s - cos_u * cos_s * cos_a
    latitude = np.arctan2(
        sin_u * cos_s + cos_u * sin_s * cos_a,
        (1 - _FLATTENING) * np.hypot(sin_alpha, term),
    )
    east = np.arctan2(sin_s * sin_a, cos_u * cos_s - sin_u * sin_s * cos_a)
    c = _FLATTENING / 16 * cos2_alpha * (4 + _FLATTENING * (4 - 3 * cos2_alpha))
    shift = sigma + c * sin_s * (cos_2m + c * cos_s * (2 * cos_2m**2 - 1))
    longitude = east - (1 - c) * _FLATTENING * sin_alpha * shift
    return lon + np.degrees(longitude), np.degrees(latitude)


def draw_circle(lat: float, lon: float, metres: float) -> Floats:
    """The ring of a circle, counterclockwise and closed: (CIRCLE_VERTICES + 1) × (lon, lat)."""
    azimuths = -np.linspace(0, 2 * pi, CIRCLE_VERTICES, endpoint=False)
    longitudes, latitudes = reach(lat, lon, azimuths, metres)
    ring = np.column_stack([(longitudes + 180) % 360 - 180, latitudes])
    return np.vstack([ring, ring[:1]])


def measure_distance(lat: float, lon: float, lats: Floats, lons: Floats) -> Floats:
    """Metres from a point to many, by the haversine."""
    d_lat, d_lon = np.radians(lats - lat) / 2, np.radians(lons - lon) / 2
    h = np.sin(d_lat) ** 2 + np.cos(np.radians(lats)) * cos(radians(lat)) * np.sin(d_lon) ** 2
    return 2 * _MEAN * np.arcsin(np.sqrt(np.minimum(h, 1.0)))
