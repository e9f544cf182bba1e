"""Tables of a page: by the lines drawn round their cells, or by how their cells align.

The cells between drawn lines are found by pdfplumber's own geometry, given lines that PDFium read,
so that pdfplumber need not read the file again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from gridmill.providers.documents.placing import Piece, Placed, enclose

_MAX_LINES = 3_000
_MAX_CROSSINGS = 2_500
"""Bounds on what the search, whose effort grows with the square, is given of one page."""

_MAX_CELL_WORDS = 120
"""Words of a cell; a frame with more in it lays out a page."""

_MIN_ROWS = 3
"""Lines that align before they are a table without being drawn as one."""

_SNAP = 3.0
_Cells = list[list[list[Placed]]]


class Line(NamedTuple):
    """A drawn line, level or upright, in points from the page's left upper corner."""

    left: float
    top: float
    right: float
    bottom: float


def find_drawn_tables(
    lines: Sequence[Line], words: Sequence[Placed]
) -> tuple[list[Piece], list[Placed]]:
    """Tables whose cells have lines round them, and the words outside of them."""
    rest = list(words)
    if not 4 <= len(lines) <= _MAX_LINES:
        return [], rest
    found: list[Piece] = []
    for cells in _find_cells(lines):
        frame = (
            min(cell[0] for cell in cells),
            min(cell[1] for cell in cells),
            max(cell[2] for cell in cells),
            max(cell[3] for cell in cells),
        )
        inside = [word for word in rest if _holds(frame, word)]
        rows = _fill(cells, inside) if inside else None
        if rows is None:
            continue
        taken = {id(word) for row in rows for cell in row for word in cell}
        found.append(enclose([word for word in inside if id(word) in taken], rows))
        rest = [word for word in rest if id(word) not in taken]
    return found, rest


def _find_cells(lines: Sequence[Line]) -> list[list[tuple[float, float, float, float]]]:
    from pdfplumber import table as plumber

    edges: list[dict[str, Any]] = [
        {
            "x0": line.left,
            "x1": line.right,
            "top": line.top,
            "bottom": line.bottom,
            "width": line.right - line.left,
            "height": line.bottom - line.top,
            "orientation": "h" if line.right - line.left > line.bottom - line.top else "v",
        }
        for line in lines
    ]
    merged = plumber.merge_edges(edges, _SNAP, _SNAP, _SNAP, _SNAP)
    crossings = plumber.edges_to_intersections(merged, _SNAP, _SNAP)
    if len(crossings) > _MAX_CROSSINGS:
        return []
    cells = plumber.intersections_to_cells(crossings)
    return [list(table) for table in plumber.cells_to_tables(cells) if len(table) > 3]


def _holds(box: tuple[float, float, float, float], word: Placed) -> bool:
    across, down = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    return box[0] <= across <= box[2] and box[1] <= down <= box[3]


def _fill(
    cells: Sequence[tuple[float, float, float, float]], words: Sequence[Placed]
) -> _Cells | None:
    """The rows of a table with their words; `None` for what is a layout rather than a table."""
    lefts = sorted({cell[0] for cell in cells})
    tops = sorted({cell[1] for cell in cells})
    if len(lefts) < 2 or len(tops) < 2:
        return None
    rows: _Cells = [[[] for _ in lefts] for _ in tops]
    columns = {left: place for place, left in enumerate(lefts)}
    lines = {top: place for place, top in enumerate(tops)}
    for cell in cells:
        inside = [word for word in words if _holds(cell, word)]
        if len(inside) > _MAX_CELL_WORDS:
            return None
        rows[lines[cell[1]]][columns[cell[0]]] = inside
    rows = [row for row in rows if any(row)]
    kept = [place for place in range(len(lefts)) if any(row[place] for row in rows)]
    if len(rows) < 2 or len(kept) < 2:
        return None
    return [[row[place] for place in kept] for row in rows]


def find_aligned_tables(lines: Sequence[list[Piece]]) -> list[list[Piece]]:
    """Lines of a column, those that align to a table's rows put together as one."""
    found: list[list[Piece]] = []
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and len(lines[end]) > 1 and _is_near(lines, at, end):
            end += 1
        table = _align(lines[at:end]) if end - at >= _MIN_ROWS else None
        if table is None:
            found += lines[at : max(end, at + 1)]
        else:
            found.append([table])
        at = max(end, at + 1)
    return found


def _is_near(lines: Sequence[list[Piece]], at: int, end: int) -> bool:
    if end == at:
        return True
    above, below = lines[end - 1][0], lines[end][0]
    return below.top - above.bottom < 2.0 * max(above.height, below.height)


def _align(lines: Sequence[list[Piece]]) -> Piece | None:
    """A table of lines whose pieces stand in columns, at most one in each."""
    strips: list[list[float]] = []
    for left, right in sorted((piece.left, piece.right) for line in lines for piece in line):
        if strips and left <= strips[-1][1]:
            strips[-1][1] = max(strips[-1][1], right)
        else:
            strips.append([left, right])
    if len(strips) < 2:
        return None
    rows: _Cells = []
    for line in lines:
        row: list[list[Placed]] = [[] for _ in strips]
        for piece in line:
            place = next(n for n, strip in enumerate(strips) if piece.left <= strip[1])
            if row[place] or piece.rows is not None:
                return None
            row[place] = piece.words
        rows.append(row)
    filled = sum(bool(cell) for row in rows for cell in row)
    if filled < 0.6 * len(rows) * len(strips):
        return None
    return enclose([word for row in rows for cell in row for word in cell], rows)
