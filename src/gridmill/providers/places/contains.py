"""Which of many points lie in an area: exactly as GEOS says, at a fraction of its cost.

A grid of cells is laid over the area. Cells that no edge touches lie inside or outside as a whole;
only points in the others are asked of GEOS. So the answer is never an approximation, and a border
of 187,000 vertices costs little more than a box.
"""

from math import ceil, sqrt

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FEW_POINTS = 20_000
_FEW_VERTICES = 200
"""Under these GEOS alone is as fast as laying the grid."""

_MOST_CELLS = 1_024
_MOST_PIECES = 8_000_000
# In cells. An edge's course is known to about 1e-12 of one, so what it may touch is marked.
_MARGIN = 1e-6


class PointLocator:
    """Answers for one polygon or multipolygon in a plane; its border belongs to it."""

    def __init__(self, area: BaseGeometry) -> None:
        shapely.prepare(area)
        self._area = area
        self._bounds: tuple[float, float, float, float] = area.bounds
        self._vertices = int(shapely.get_num_coordinates(area))
        self._grid: _Grid | None = None

    def locate(self, xs: Floats, ys: Floats) -> Bools:
        """Whether each point is in the area or on its border; NaN is nowhere."""
        left, bottom, right, top = self._bounds
        found = (xs >= left) & (xs <= right) & (ys >= bottom) & (ys <= top)
        near = np.flatnonzero(found)
        if not near.size:
            return found
        if self._grid is None and near.size > _FEW_POINTS and self._vertices > _FEW_VERTICES:
            self._grid = _Grid(self._area, near.size)
        if self._grid is None:
            found[near] = shapely.intersects_xy(self._area, xs[near], ys[near])
            return found
        state = self._grid.look(xs[near], ys[near])
        found[near] = state == _INSIDE
        asked = near[state == _BORDER]
        found[asked] = shapely.intersects_xy(self._area, xs[asked], ys[asked])
        return found


_OUTSIDE, _INSIDE, _BORDER = 0, 1, 2


class _Grid:
    """The state of each cell of a grid over an area's bounds."""

    def __init__(self, area: BaseGeometry, points: int) -> None:
        left, bottom, right, top = area.bounds
        starts, ends = list_edges(area)
        # Cells are worth their price up to a few for each point and vertex.
        wanted = 2 * ceil(sqrt(max(points, len(starts))))
        side = max(64, min(_MOST_CELLS, wanted))
        self._origin = np.array([left, bottom])
        while True:
            extent = np.maximum([right - left, top - bottom], 1e-12)
            self._scale = side / extent
            steps = self._count_steps(starts, ends)
            if steps.sum() <= _MOST_PIECES or side <= 64:
                break
            side //= 2
        self._side = side
        cells = np.zeros((side, side), dtype=np.uint8)
        self._mark_borders(cells, starts, ends, steps)
        self._fill(cells, area)
        self._cells = cells

    def _count_steps(self, starts: Floats, ends: Floats) -> NDArray[np.int64]:
        spans = np.abs((ends - starts) * self._scale).max(axis=1)
        return np.maximum(1, np.ceil(spans)).astype(np.int64)

    def _mark_borders(
        self, cells: NDArray[np.uint8], starts: Floats, ends: Floats, steps: NDArray[np.int64]
    ) -> None:
        """Mark what the edges touch, cut into pieces no longer than a cell."""
        first = np.repeat(np.cumsum(steps) - steps, steps)
        nth: Floats = np.arange(int(steps.sum()), dtype=np.float64) - first
        count = np.repeat(steps, steps)
        origin = np.repeat((starts - self._origin) * self._scale, steps, axis=0)
        course = np.repeat((ends - starts) * self._scale, steps, axis=0)
        here: Floats = origin + course * (nth / count)[:, None]
        there: Floats = origin + course * ((nth + 1) / count)[:, None]
        low = np.floor(np.minimum(here, there) - _MARGIN).astype(np.int64)
        high = np.floor(np.maximum(here, there) + _MARGIN).astype(np.int64)
        low, high = (np.clip(each, 0, self._side - 1) for each in (low, high))
        middle = np.clip(low + 1, 0, high)
        # A piece spans at most three cells each way, margins included.
        for columns in (low[:, 0], middle[:, 0], high[:, 0]):
            for rows in (low[:, 1], middle[:, 1], high[:, 1]):
                cells[rows, columns] = _BORDER

    def _fill(self, cells: NDArray[np.uint8], area: BaseGeometry) -> None:
        """What lies between two border cells of a row is inside or outside as a whole."""
        free = cells != _BORDER
        begins = free.copy()
        begins[:, 1:] &= ~free[:, :-1]
        rows, columns = np.nonzero(begins)
        centres = self._origin + (np.column_stack([columns, rows]) + 0.5) / self._scale
        inside = shapely.intersects_xy(area, centres[:, 0], centres[:, 1])
        run = np.cumsum(begins.ravel()) - 1
        at = np.flatnonzero(free.ravel())
        flat = cells.ravel()
        flat[at] = inside[run[at]]
        cells[:] = flat.reshape(cells.shape)

    def look(self, xs: Floats, ys: Floats) -> NDArray[np.uint8]:
        """The state of the cells of points that lie in the bounds."""
        top = self._side - 1
        columns = np.minimum(((xs - self._origin[0]) * self._scale[0]).astype(np.int64), top)
        rows = np.minimum(((ys - self._origin[1]) * self._scale[1]).astype(np.int64), top)
        return self._cells[rows, columns]


def list_edges(area: BaseGeometry) -> tuple[Floats, Floats]:
    """The start and end of every edge of an area's rings, each n × (x, y)."""
    rings = shapely.get_rings(shapely.get_parts(area))
    points, owners = shapely.get_coordinates(rings, return_index=True)
    same = owners[1:] == owners[:-1]
    return points[:-1][same], points[1:][same]
