"""In which order the parts of a page are read: columns from left to right, each from the top.

A gutter is a strip that few lines cross and that parts prose from prose. What crosses it (titles,
wide figures' captions) ends the columns above and begins new ones below.
"""

from collections.abc import Sequence
from statistics import median

import numpy as np

from gridmill.providers.documents.placing import Piece

_BIN = 2.0
"""Points: how exactly a gutter's place is looked for."""

_MIN_GUTTER = 6.0
_MOST_CROSSING = 0.3
"""Share of a region's pieces that may cross a gutter."""

_MIN_PIECES = 4
_PROSE_LENGTH = 18
"""Characters that half of the lines on each side of a gutter reach; cells of tables are shorter."""

_MAX_DEPTH = 4


def order_regions(pieces: Sequence[Piece], depth: int = 0) -> list[list[Piece]]:
    """The pieces of a page in regions that are read one after the other, each line by line."""
    gutter = _find_gutter(pieces) if depth < _MAX_DEPTH else None
    if gutter is None:
        return [list(pieces)] if pieces else []
    crossing = sorted(
        (piece for piece in pieces if _crosses(piece, gutter)), key=lambda piece: piece.middle
    )
    edges = [piece.middle for piece in crossing]
    bands: list[tuple[list[Piece], list[Piece]]] = [([], []) for _ in range(len(edges) + 1)]
    for piece in pieces:
        if not _crosses(piece, gutter):
            band = bands[int(np.searchsorted(edges, piece.middle))]
            band[piece.left >= gutter].append(piece)
    regions: list[list[Piece]] = []
    wide: list[Piece] = []
    for number, (left, right) in enumerate(bands):
        if left or right:
            regions += order_regions(wide, depth + 1)
            wide = []
            regions += order_regions(left, depth + 1) + order_regions(right, depth + 1)
        if number < len(crossing):
            wide.append(crossing[number])
    return regions + order_regions(wide, depth + 1)


def _crosses(piece: Piece, gutter: float) -> bool:
    return piece.left < gutter - 1 and piece.right > gutter + 1


def _find_gutter(pieces: Sequence[Piece]) -> float | None:
    """The middle of the strip that parts the pieces best, in points from the left."""
    if len(pieces) < 2 * _MIN_PIECES:
        return None
    left = min(piece.left for piece in pieces)
    width = max(piece.right for piece in pieces) - left
    bins = int(width / _BIN) + 1
    if not 20 <= bins <= 20_000:
        return None
    marks = np.zeros(bins + 1, dtype=np.int64)
    for piece in pieces:
        marks[int((piece.left - left) / _BIN)] += 1
        marks[min(bins, int((piece.right - left) / _BIN) + 1)] -= 1
    cover = np.cumsum(marks[:bins])
    inner = slice(int(bins * 0.15), int(bins * 0.85))
    least = int(cover[inner].min())
    if least > _MOST_CROSSING * len(pieces):
        return None
    start, end = _find_widest(cover[inner] == least)
    if (end - start) * _BIN < _MIN_GUTTER and least:
        return None
    gutter = left + (inner.start + (start + end) / 2) * _BIN
    return gutter if _parts_prose(pieces, gutter) else None


def _find_widest(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[int, int]:
    """The longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best])


def _parts_prose(pieces: Sequence[Piece], gutter: float) -> bool:
    for side in (
        [piece for piece in pieces if piece.right <= gutter + 1],
        [piece for piece in pieces if piece.left >= gutter - 1],
    ):
        if len(side) < _MIN_PIECES or median(piece.length for piece in side) < _PROSE_LENGTH:
            return False
    return True
