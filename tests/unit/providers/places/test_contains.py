"""Points in areas: never another answer than GEOS gives alone."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from gridmill.providers.places import contains
from gridmill.providers.places.contains import PointLocator

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _always_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contains, "_FEW_POINTS", 0)
    monkeypatch.setattr(contains, "_FEW_VERTICES", 0)


def draw_coast(vertices: int, roughness: float, phase: float) -> BaseGeometry:
    angles = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    radii = 1 + roughness * sum(np.sin(k * angles + k * phase) / k for k in (3, 7, 19, 53))
    ring = np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
    return shapely.make_valid(shapely.Polygon(ring))


def check_same(area: BaseGeometry, xs: np.ndarray, ys: np.ndarray) -> None:
    expected = shapely.intersects_xy(area, xs, ys)
    found = PointLocator(area).locate(xs, ys)
    assert int((found != expected).sum()) == 0


def lay_points(area: BaseGeometry, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points all over the box, on the vertices, on the edges and beside both."""
    left, bottom, right, top = area.bounds
    side = int(np.sqrt(count))
    xs, ys = np.meshgrid(
        np.linspace(left - 0.1, right + 0.1, side), np.linspace(bottom - 0.1, top + 0.1, side)
    )
    corners = shapely.get_coordinates(area)
    middles = (corners[1:] + corners[:-1]) / 2
    points = np.vstack(
        [
            np.column_stack([xs.ravel(), ys.ravel()]),
            corners,
            middles,
            corners + 1e-12,
            middles - 1e-9,
        ]
    )
    return points[:, 0], points[:, 1]


@pytest.mark.parametrize("vertices", [5, 300, 20_000])
@pytest.mark.parametrize("roughness", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("phase", [0.0, 1.3, 2.6])
def test_a_coast_holds_the_points_that_geos_says(
    vertices: int, roughness: float, phase: float
) -> None:
    area = draw_coast(vertices, roughness, phase)
    check_same(area, *lay_points(area, 20_000))


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=3, max_size=12),
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=50),
)
def test_any_polygon_holds_the_points_that_geos_says(
    corners: list[tuple[float, float]], points: list[tuple[float, float]]
) -> None:
    area = shapely.make_valid(shapely.Polygon(corners), method="structure", keep_collapsed=False)
    if area.area == 0:
        return
    asked = np.array([*points, *corners])
    check_same(area, asked[:, 0], asked[:, 1])


def test_holes_and_islands_are_kept_apart() -> None:
    ring = shapely.Point(0, 0).buffer(4, 64).difference(shapely.Point(0, 0).buffer(2, 64))
    area = shapely.union_all([ring, shapely.Point(0, 0).buffer(1, 64)])
    check_same(area, *lay_points(area, 40_000))


def test_a_point_that_is_none_is_nowhere() -> None:
    area = shapely.box(0, 0, 1, 1)
    found = PointLocator(area).locate(np.array([np.nan, 0.5]), np.array([0.5, np.nan]))
    assert not found.any()
