"""Maps: exactness and speed of points in boundaries, addresses, matches and refreshes.

`python -m benchmarks.map [--points 1000000]`. Everything runs in this process on the data that
comes with Gridmill; times are of its processor, so other load does not count.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import cos, radians
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmill.providers.places.conflation import PlaceIndex, measure_metres
from gridmill.providers.places.contains import PointLocator
from gridmill.providers.places.embedded import EmbeddedSource
from gridmill.providers.places.geocode import AddressPoint, collect_addresses
from gridmill.providers.places.model import Place

Floats = NDArray[np.float64]
T = TypeVar("T")

BORDER = 186_909
LETTERS = "abcdefghijklmnopqrstuvwxyz"
DEGREE = 111_195.0


def clock(function: Callable[[], T]) -> tuple[T, float]:
    """What a function gives, and its processor time in seconds."""
    start = time.process_time()
    return function(), time.process_time() - start


def draw_border(vertices: int, seed: int) -> shapely.Polygon:
    """A coast with bays at all scales round (20, 0), valid by construction (a star shape)."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    walk = np.cumsum(rng.normal(size=vertices)) * 0.002
    walk -= (walk[-1] - walk[0]) * np.arange(vertices) / vertices
    radii = 10 + walk
    for wave in (2, 5, 11, 23, 57, 131):
        radii += np.sin(wave * angles + rng.random() * 6) * 3 / wave
    return shapely.Polygon(np.column_stack([20 + radii * np.cos(angles), radii * np.sin(angles)]))


def scatter(area: shapely.Polygon, points: int, seed: int) -> tuple[Floats, Floats]:
    """Points all over an area's box."""
    rng = np.random.default_rng(seed)
    west, south, east, north = area.bounds
    return rng.uniform(west, east, points), rng.uniform(south, north, points)


def measure_exactness() -> tuple[int, int]:
    """Differences from shapely, and how many boundary × data cases were compared."""
    different = cases = 0
    for vertices in (200, 5_000, 50_000):
        for border in range(3):
            area = draw_border(vertices, border)
            for seed in range(3):
                xs, ys = scatter(area, 50_000, seed)
                found = PointLocator(area).locate(xs, ys)
                different += int((found != shapely.intersects_xy(area, xs, ys)).sum())
                cases += 1
    return different, cases


def measure_speed(points: int) -> tuple[float, float, int]:
    """Seconds of ours (grid included) and of prepared shapely, and the differences."""
    area = draw_border(BORDER, 1)
    xs, ys = scatter(area, points, 2)
    ours, our_seconds = clock(lambda: PointLocator(shapely.Polygon(area)).locate(xs, ys))
    prepared = shapely.Polygon(area)
    shapely.prepare(prepared)
    theirs, their_seconds = clock(lambda: shapely.intersects_xy(prepared, xs, ys))
    return our_seconds, their_seconds, int((ours != theirs).sum())


def mistype(text: str, rng: random.Random) -> str:
    """A text with one typing error: a letter replaced, left out, put in, or two swapped."""
    letters, at = list(text), rng.randrange(len(text))
    kind = rng.randrange(4)
    if kind == 0:
        letters[at] = rng.choice(LETTERS)
    elif kind == 1:
        del letters[at]
    elif kind == 2:
        letters.insert(at, rng.choice(LETTERS))
    elif at + 1 < len(letters):
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def measure_addresses(source: EmbeddedSource) -> dict[str, float]:
    """Shares found within 50 m as written and mistyped, and of the same address 5 m beside it."""
    rng = random.Random(5)
    points: dict[tuple[str, str], AddressPoint] = {}
    for place in source.list_places():
        point = collect_addresses(place.tags, place.lat, place.lon, place.sources[0])
        if point is not None:
            points.setdefault((point.street, point.number), point)
    exact = typo = back = answered = mistyped = back_answered = 0
    for (street, number), point in points.items():
        town = f"{number}, {point.postcode or ''} {point.city or ''}"
        here = Place("x", point.lat, point.lon, {}, (point.source,))
        for count, asked in enumerate((street, mistype(street, rng))):
            found = source.geocode(f"{asked} {town}")
            near = found is not None and (
                measure_metres(here, replace(here, lat=found.lat, lon=found.lon)) < 50
            )
            if count == 0:
                exact, answered = exact + near, answered + (found is not None)
            else:
                typo, mistyped = typo + near, mistyped + (found is not None)
        lat, lon = move(point.lat, point.lon, 5, rng)
        found = source.reverse(lat, lon)
        back_answered += found is not None
        back += found is not None and (
            found.address["addr:street"] == point.street
            and found.address["addr:housenumber"] == point.number
        )
    return {
        "addresses": len(points),
        "exact": exact / len(points),
        "one typo": typo / len(points),
        "reverse at 5 m": back / len(points),
        "right of those answered, exact": exact / answered,
        "one typo, right of those answered": typo / mistyped,
        "reverse, right of those answered": back / back_answered,
    }


def move(lat: float, lon: float, metres: float, rng: random.Random) -> tuple[float, float]:
    """A position so many metres away in some direction."""
    angle = rng.random() * 2 * np.pi
    north, east = metres * np.cos(angle), metres * np.sin(angle)
    return lat + north / DEGREE, lon + east / DEGREE / cos(radians(lat))


def measure_matches(places: Sequence[Place]) -> dict[str, float]:
    """Rows with only a name and a position 20 m off: how many are found, and how many rightly.

    A fifth of the places is taken out of the source first: their rows must find nothing.
    """
    rng = random.Random(9)
    named = [place for place in places if place.name]
    gone = set(rng.sample(range(len(named)), len(named) // 5))
    index = PlaceIndex()
    for number, place in enumerate(named):
        if number not in gone:
            index.add(number, place)
    right = wrong = found = 0
    told_gone = 0
    for number, place in enumerate(named):
        lat, lon = move(place.lat, place.lon, 20, rng)
        row = Place("row", lat, lon, {"name": place.name or ""}, place.sources)
        same = index.find_same(row)
        if number in gone:
            # Another record of the same name beside it is the same thing to a reader.
            told_gone += same is None
            continue
        found += same is not None
        is_right = same is not None and named[same].name == place.name
        right, wrong = right + is_right, wrong + (same is not None and not is_right)
    kept = len(named) - len(gone)
    return {
        "rows": kept,
        "found": found / kept,
        "of these the same record or one of its name": right / max(1, right + wrong),
        "gone told by name and position alone": told_gone / len(gone),
    }


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=1_000_000)
    points: int = parser.parse_args().points
    different, cases = measure_exactness()
    print(f"exactness: {different} differences from shapely in {cases} cases of 50,000 points")
    ours, theirs, apart = measure_speed(points)
    print(
        f"{points:,} points, {BORDER:,} vertices: {ours:.2f} CPU-s, prepared shapely "
        f"{theirs:.2f} CPU-s, {theirs / ours:.1f} times; {apart} differences"
    )
    source = EmbeddedSource()
    for title, figures in (
        ("addresses", measure_addresses(source)),
        ("name and position", measure_matches(source.list_places())),
    ):
        print(title, ", ".join(f"{name}: {value:.4g}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
