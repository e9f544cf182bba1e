"""Boundaries: what is read as which area, and what is refused with the place of its fault."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmill.kit.errors import ValidationFailed
from gridmill.providers.places.boundaries import Boundary, read_boundary
from gridmill.providers.places.geodesy import measure_distance
from gridmill.providers.places.rings import MAX_VERTICES

pytestmark = pytest.mark.unit

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
AROUND = [[-180 + 10 * step, 70] for step in range(36)] + [[-180, 70]]


def polygon(*rings: Sequence[Sequence[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def read(raw: object, **options: Any) -> Boundary:
    return read_boundary(raw, find_area=lambda name, country: f"No area {name}.", **options)


def refuse(raw: object, **options: Any) -> tuple[str, str]:
    with pytest.raises(ValidationFailed) as caught:
        read(raw, **options)
    fault = caught.value.fields[0]
    return fault.field.removeprefix("config.boundary"), fault.message


def holds(boundary: Boundary, lat: float, lon: float) -> bool:
    return bool(boundary.contains(np.array([float(lat)]), np.array([float(lon)]))[0])


@pytest.mark.parametrize(
    ("raw", "place", "said"),
    [
        (polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]), ".coordinates", "[0.5, 0.5]"),
        (polygon([[0, 0], [1, 0], [1, 1], [0, 1]]), ".coordinates.0.3", "not closed"),
        (polygon([[0, 0], [1, float("nan")], [1, 1], [0, 0]]), ".coordinates.0.1", "two numbers"),
        (polygon([[0, 0], [120, 95], [1, 1], [0, 0]]), ".coordinates.0.1", "Latitude 95"),
        (polygon([[60, 100], [61, 100], [61, 101], [60, 100]]), ".coordinates.0.0", "swapped"),
        (polygon([[0, 0], [1, 0], [2, 0], [0, 0]]), ".coordinates", "no area"),
        (polygon([[3, 3], [3, 3], [3, 3], [3, 3]]), ".coordinates", "no area"),
        (polygon(SQUARE, [[5, 5], [6, 5], [6, 6], [5, 5]]), ".coordinates", "hole lies outside"),
        (polygon([[0, 0], [True, 0], [1, 1], [0, 0]]), ".coordinates.0.1", "two numbers"),
        ({"type": "Polygon", "coordinates": []}, ".coordinates", "list of coordinates"),
        ({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, ".type", "no area"),
        ({"type": "Feature", "geometry": None}, ".geometry", "no geometry"),
        ({"bbox": [0, 5, 1, 4]}, ".bbox", "north"),
        ({"bbox": [0, 0, 0, 4]}, ".bbox", "no area"),
        ({"bbox": [60, 100, 61, 101]}, ".bbox", "swapped"),
        ({"center": {"lat": 124, "lon": 60}, "radiusMeters": 5}, ".center", "swapped"),
        ({"center": {"lat": 24, "lon": 60}, "radiusMeters": 0}, ".radiusMeters", "more than 0"),
        ({"center": {"lat": 24, "lon": 60}, "walkMinutes": 5}, ".walkMinutes", "radiusMeters"),
        ({"adminArea": "Atlantis"}, ".adminArea", "No area Atlantis."),
        ({"boundaries": [{"bbox": [0, 0, 1, 1]}, {"boxx": 1}]}, ".boundaries.1", "Give a GeoJSON"),
        ({"boundaries": []}, ".boundaries", "1 to 1,000"),
        ([], "", "Give a GeoJSON"),
        ({}, "", "Give a GeoJSON"),
    ],
)
def test_a_fault_is_refused_with_its_place(raw: object, place: str, said: str) -> None:
    where, message = refuse(raw)
    assert where == place
    assert said in message


def test_a_bow_tie_is_mended_when_asked() -> None:
    bow_tie = polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]])
    assert sum(area.area for area in read(bow_tie, repair=True).areas) == pytest.approx(0.5)
    open_ring = polygon([[0, 0], [1, 0], [1, 1], [0, 1]])
    assert read(open_ring, repair=True).areas[0].area == 1


def test_a_large_bow_tie_is_not_mended() -> None:
    angles = np.linspace(0, 4 * np.pi, 10_004)
    ring = np.column_stack([np.sin(angles), np.sin(2 * angles + 0.1)])
    ring[-1] = ring[0]
    assert "over 10,000 vertices" in refuse(polygon(ring.tolist()), repair=True)[1]


def test_too_many_vertices_are_refused_before_they_are_read() -> None:
    assert "at most 1,000,000" in refuse(polygon([[0, 0]] * (MAX_VERTICES + 1)))[1]


def test_edges_that_all_overlap_are_refused_before_they_are_compared() -> None:
    angles = np.linspace(0, 2 * np.pi, 100_001)
    radii = np.where(np.arange(100_001) % 2, 1.0, 10.0)
    ring = np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
    ring[-1] = ring[0]
    assert "simplify it" in refuse(polygon(ring.tolist()))[1]


@pytest.mark.parametrize("turned", [False, True])
def test_a_ring_over_the_antimeridian_is_cut_there(turned: bool) -> None:
    ring = [[170, -10], [-170, -10], [-170, 10], [170, 10], [170, -10]]
    found = read(polygon(ring[::-1] if turned else ring))
    assert holds(found, 0, 175)
    assert holds(found, 0, -175)
    assert holds(found, 0, 180)
    assert holds(found, 0, -180)
    assert not holds(found, 0, 0)
    assert found.boxes == [(170, -10, 180, 10), (-180, -10, -170, 10)]
    assert read({"bbox": [170, -10, -170, 10]}).boxes == found.boxes


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("pole", [1, -1])
def test_a_ring_round_a_pole_holds_it_however_it_is_wound(turned: bool, pole: int) -> None:
    ring = [[lon, pole * lat] for lon, lat in AROUND]
    found = read(polygon(ring[::-1] if turned else ring))
    assert holds(found, 89 * pole, 33)
    assert holds(found, 90 * pole, 0)
    assert not holds(found, 60 * pole, 33)
    assert not holds(found, -89 * pole, 33)


def test_a_hole_of_a_polygon_over_the_antimeridian_is_a_hole_on_either_side() -> None:
    shell = [[170, -10], [-170, -10], [-170, 10], [170, 10], [170, -10]]
    hole = [[-176, -1], [-174, -1], [-174, 1], [-176, 1], [-176, -1]]
    found = read(polygon(shell, hole))
    assert holds(found, 0, -178)
    assert not holds(found, 0, -175)


def test_boundaries_are_joined() -> None:
    found = read({"boundaries": [{"bbox": [0, 0, 1, 1]}, {"bbox": [5, 5, 6, 6]}, polygon(SQUARE)]})
    assert holds(found, 0.5, 0.5)
    assert holds(found, 5.5, 5.5)
    assert not holds(found, 3, 3)


@settings(max_examples=60)
@given(
    lat=st.floats(-75, 75),
    lon=st.floats(-180, 180),
    metres=st.floats(10, 200_000),
    bearing=st.floats(0, 6.28),
    share=st.sampled_from([0.5, 0.985, 1.015, 1.5]),
)
def test_a_circle_holds_what_is_nearer_than_its_radius(
    lat: float, lon: float, metres: float, bearing: float, share: float
) -> None:
    found = read({"center": {"lat": lat, "lon": lon}, "radiusMeters": metres})
    north = np.degrees(metres / 6_371_008.8)
    lats = lat + north * share * np.cos(bearing) * np.linspace(0.999, 1.001, 3)
    lons = lon + north * share * np.sin(bearing) / np.cos(np.radians(lats))
    lons = (lons + 180) % 360 - 180
    distances = measure_distance(lat, lon, lats, lons)
    inside = found.contains(lats, lons)
    # A sphere's distances are off by up to 0.6%.
    assert inside[distances < 0.993 * metres].all()
    assert not inside[distances > 1.007 * metres].any()


def test_a_circle_s_area_is_that_of_a_circle_at_sixty_north() -> None:
    found = read({"center": {"lat": 60, "lon": 25}, "radiusMeters": 1_000})
    west, south, east, north = found.boxes[0]
    assert north - south == pytest.approx(2_000 / 111_412.0, rel=1e-3)
    assert east - west == pytest.approx(2_000 / 55_800.0, rel=1e-3)


def test_a_circle_over_a_pole_holds_it() -> None:
    found = read({"center": {"lat": 89.9, "lon": 24.94}, "radiusMeters": 50_000})
    assert holds(found, 90, 0)
    assert holds(found, 89.7, -155.06)
    assert not holds(found, 89.4, 0)
    assert holds(read({"center": {"lat": -90, "lon": 0}, "radiusMeters": 1_000}), -89.995, 120)


numbers = st.one_of(
    st.integers(-200, 200), st.floats(-1e9, 1e9), st.just(float("nan")), st.none(), st.text()
)
odd = st.recursive(
    numbers,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "coordinates",
                    "bbox",
                    "center",
                    "lat",
                    "lon",
                    "radiusMeters",
                    "boundaries",
                ]
            ),
            inner | st.sampled_from(["Polygon", "MultiPolygon", "Feature"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150)
@given(odd)
def test_whatever_comes_is_read_or_refused(raw: object) -> None:
    try:
        found = read(raw)
    except ValidationFailed:
        return
    assert all(shapely.is_valid(area) for area in found.areas)
