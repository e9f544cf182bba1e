"""Rings of positions: checked, unrolled over the antimeridian, closed round a pole, cut to the map.

Positions are (longitude, latitude) in degrees. A step of more than half the Earth between two
vertices goes the short way, across the antimeridian.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from gridmill.kit.errors import ValidationFailed

Floats = NDArray[np.float64]

MAX_VERTICES = 1_000_000
"""Vertices of one boundary."""

REPAIR_VERTICES = 10_000
"""A fault in a larger polygon is not repaired: that can take a minute."""

_MANY_VERTICES = 20_000
_MOST_PAIRS = 2e9
_LOOK = 1_024


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring in one plane: longitudes run on beyond 180 rather than jump back.

    `pole` is 1 or -1 when it goes round the north or south pole, along which it was then closed.
    """

    points: Floats
    pole: int


def fail(field: str, message: str) -> ValidationFailed:
    """The error of a boundary, with the place of the fault."""
    return ValidationFailed.of(field, message)


def show(position: Sequence[float] | Floats) -> str:
    """A position as GeoJSON writes it."""
    return f"[{float(position[0]):.7g}, {float(position[1]):.7g}]"


def read_ring(raw: object, field: str, *, repair: bool) -> Ring:
    """Check a GeoJSON ring.

    Raises:
        ValidationFailed: naming the vertex at fault.
    """
    points = _read_positions(raw, field)
    check_range(points, field)
    if not np.array_equal(points[0], points[-1]):
        if not repair:
            text = (
                f"The ring is not closed: repeat its first position {show(points[0])} at its end."
            )
            raise fail(f"{field}.{len(points) - 1}", text)
        points = np.vstack([points, points[:1]])
    if len(points) < 4:
        raise fail(field, "A ring has at least four positions, the last one equal to the first.")
    return unroll(points)


def _read_positions(raw: object, field: str) -> Floats:
    if not isinstance(raw, list):
        raise fail(field, "A ring is a list of positions, [longitude, latitude].")
    listed = cast("list[object]", raw)
    if len(listed) > MAX_VERTICES:
        raise fail(field, f"A boundary has at most {MAX_VERTICES:,} vertices; simplify it.")
    if len(listed) < 3:
        raise fail(field, "A ring has at least four positions, the last one equal to the first.")
    for index, position in enumerate(listed):
        if not _is_position(position):
            raise fail(f"{field}.{index}", "A position is two numbers, [longitude, latitude].")
    points = np.array([position[:2] for position in cast("list[list[float]]", listed)], dtype=float)
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if wrong.size:
        raise fail(f"{field}.{wrong[0]}", "A position is two finite numbers.")
    return points


def _is_position(value: object) -> bool:
    if not isinstance(value, list):
        return False
    numbers = cast("list[object]", value)
    return 2 <= len(numbers) <= 4 and all(
        isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e300
        for number in numbers
    )


def check_range(points: Floats, field: str, *, listed: bool = True) -> None:
    """Raise `ValidationFailed` for what is not on Earth; say so when the axes look swapped."""
    wrong = np.flatnonzero((np.abs(points[:, 0]) > 180) | (np.abs(points[:, 1]) > 90))
    if not wrong.size:
        return
    first = int(wrong[0])
    lon, lat = (float(part) for part in points[first])
    if abs(lat) > 90:
        text = f"Latitude {lat:.7g} is not between -90 and 90."
    else:
        text = f"Longitude {lon:.7g} is not between -180 and 180."
    if (np.abs(points[:, 0]) <= 90).all() and (np.abs(points[:, 1]) <= 180).all():
        text += " It looks like latitude and longitude are swapped: the longitude comes first."
    raise fail(f"{field}.{first}" if listed else field, text)


def unroll(points: Floats) -> Ring:
    """A closed ring of positions, without jumps at the antimeridian, and closed round a pole."""
    steps = np.diff(points[:, 0])
    # A step of the whole way round is an edge of the map, as of a box over all the Earth.
    turns = np.where((np.abs(steps) > 180) & (np.abs(steps) < 360), -np.sign(steps), 0)
    shift = np.concatenate([[0], np.cumsum(turns)]) * 360
    run = np.column_stack([points[:, 0] + shift, points[:, 1]])
    net = round(float(shift[-1]) / 360)
    if net == 0:
        return Ring(run, 0)
    low, high = float(points[:, 1].min()), float(points[:, 1].max())
    # On which side the ring lies tells the pole better than its winding, which many get wrong.
    pole = 1 if low > 0 else -1 if high < 0 else net
    ends = [[run[-1, 0], 90.0 * pole], [run[0, 0], 90.0 * pole], run[0]]
    return Ring(np.vstack([run, ends]), pole)


def make_polygon(rings: Sequence[Ring], field: str, *, repair: bool) -> BaseGeometry:
    """A polygon of its outer ring and its holes, cut at the antimeridian.

    Raises:
        ValidationFailed: it crosses itself, a hole lies outside, or it has no area; with the place.
    """
    shell = rings[0].points
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
    holes = [_move_near(ring.points, middle) for ring in rings[1:]]
    _check_density([shell, *holes], field)
    if _is_flat(shell):
        raise fail(field, f"The boundary encloses no area near {show(shell[0])}.")
    polygon = Polygon(shell, holes)
    if not polygon.is_valid:
        polygon = _repair(polygon, field, repair=repair)
    return cut_to_map(polygon)


def _is_flat(points: Floats) -> bool:
    """Whether all points lie on one line, to within rounding."""
    spread = points - points.mean(axis=0)
    return bool(np.linalg.svd(spread, compute_uv=False)[-1] <= 1e-12 * np.abs(points).max())


def _move_near(points: Floats, middle: float) -> Floats:
    centre = (points[:, 0].min() + points[:, 0].max()) / 2
    return points + np.array([round((middle - centre) / 360) * 360.0, 0.0])


def _repair(polygon: Polygon, field: str, *, repair: bool) -> BaseGeometry:
    reason = str(shapely.is_valid_reason(polygon))
    what, _, place = reason.partition("[")
    at = place.rstrip("]").split()
    shown = f" at [{_wrap(float(at[0])):.7g}, {float(at[1]):.7g}]" if len(at) >= 2 else ""
    text = f"The boundary is not valid: {_EXPLAINED.get(what, what.lower())}{shown}."
    vertices = int(shapely.get_num_coordinates(polygon))
    if not repair:
        raise fail(field, f'{text} Mend it, or send "repair": true in config.')
    if vertices > REPAIR_VERTICES:
        raise fail(field, f"{text} It has over {REPAIR_VERTICES:,} vertices: mend it yourself.")
    mended = shapely.make_valid(polygon, method="structure", keep_collapsed=False)
    if mended.is_empty or mended.area <= 0:
        raise fail(field, f"{text} It encloses no area.")
    return mended


_EXPLAINED = {
    "Self-intersection": "it crosses itself",
    "Ring Self-intersection": "a ring touches itself",
    "Hole lies outside shell": "a hole lies outside of it",
    "Holes are nested": "a hole lies in another",
    "Interior is disconnected": "its holes cut it into parts",
    "Too few points in geometry component": "a ring has too few different points",
    "Duplicate Rings": "a ring is there twice",
}


def _wrap(lon: float) -> float:
    return lon if -180 <= lon <= 180 else (lon + 180) % 360 - 180


def _check_density(rings: Sequence[Floats], field: str) -> None:
    """Refuse edges of which so many overlap that looking for crossings would not end.

    GEOS compares the edges whose boxes overlap; their number is estimated on a coarse grid.
    """
    if sum(map(len, rings)) <= _MANY_VERTICES:
        return
    starts = np.vstack([ring[:-1] for ring in rings])
    ends = np.vstack([ring[1:] for ring in rings])
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    origin = low.min(axis=0)
    scale = (_LOOK - 1) / np.maximum(high.max(axis=0) - origin, 1e-12)
    first = ((low - origin) * scale).astype(np.int64)
    last = ((high - origin) * scale).astype(np.int64) + 1
    counts = np.zeros((_LOOK + 1, _LOOK + 1))
    for rows, columns, sign in (
        (first[:, 1], first[:, 0], 1),
        (last[:, 1], last[:, 0], 1),
        (first[:, 1], last[:, 0], -1),
        (last[:, 1], first[:, 0], -1),
    ):
        np.add.at(counts, (rows, columns), sign)
    covered = counts.cumsum(axis=0).cumsum(axis=1)
    if float((covered**2).sum()) > _MOST_PAIRS:
        row, column = np.unravel_index(int(covered.argmax()), covered.shape)
        place = origin + np.array([column, row]) / scale
        raise fail(
            field,
            f"Too many edges lie over one another near {show(place)} to be checked; simplify it.",
        )


def cut_to_map(area: BaseGeometry) -> BaseGeometry:
    """Parts beyond the antimeridian are brought back to longitudes of -180 to 180."""
    left, _, right, _ = area.bounds
    if left >= -180 and right <= 180:
        return area
    parts: list[Polygon] = []
    for turn in range(int(np.floor((left + 180) / 360)), int(np.floor((right + 180) / 360)) + 1):
        west = -180.0 + 360 * turn
        piece = shapely.intersection(area, shapely.box(west, -90, west + 360, 90))
        for part in shapely.get_parts(piece):
            if isinstance(part, Polygon) and part.area > 0:
                moved = shapely.get_coordinates(part) - np.array([360.0 * turn, 0.0])
                parts.append(shapely.set_coordinates(part, moved))
    return MultiPolygon(parts)
