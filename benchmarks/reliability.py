"""Calibration of stated confidences: bins, expected calibration error, the plot as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Point = tuple[float, bool]
"""A stated confidence (0-1) and whether the value was right."""

BINS = 10
_SIDE, _EDGE = 320, 48


@dataclass(frozen=True)
class Bin:
    """Cells of one tenth of the scale: how many, their mean confidence, the share right."""

    count: int
    stated: float
    right: float


def fill_bins(points: Sequence[Point]) -> list[Bin]:
    """Ten bins of equal width, the lowest first; 1.0 belongs to the highest."""
    members: list[list[Point]] = [[] for _ in range(BINS)]
    for point in points:
        members[min(int(point[0] * BINS), BINS - 1)].append(point)
    return [
        Bin(
            len(found),
            sum(stated for stated, _ in found) / max(1, len(found)),
            sum(right for _, right in found) / max(1, len(found)),
        )
        for found in members
    ]


def measure_error(points: Sequence[Point]) -> float | None:
    """The expected calibration error (0-1) over `BINS` bins; `None` when there is no point.

    sum over bins of |bin| / n * |share right - mean stated| (Naeini et al., AAAI 2015).
    """
    if not points:
        return None
    return sum(b.count * abs(b.right - b.stated) for b in fill_bins(points)) / len(points)


def draw_reliability(points: Sequence[Point], title: str) -> str:
    """An SVG: a bar of the share right for each bin, the diagonal of perfect calibration."""
    size = _SIDE + 2 * _EDGE
    floor = _EDGE + _SIDE
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" '
            'font-family="sans-serif" font-size="11">'
        ),
        f'<rect width="{size}" height="{size}" fill="white"/>',
        f'<text x="{size / 2}" y="24" text-anchor="middle" font-size="14">{escape(title)}</text>',
    ]
    width = _SIDE / BINS
    for number, found in enumerate(fill_bins(points)):
        left = _EDGE + number * width
        parts.append(f'<text x="{left:.0f}" y="{floor + 16}">{number / BINS:.1f}</text>')
        if found.count:
            height = found.right * _SIDE
            parts.append(
                f'<rect x="{left + 2:.1f}" y="{floor - height:.1f}" width="{width - 4:.1f}" '
                f'height="{height:.1f}" fill="#7aa6d8"/><text x="{left + width / 2:.1f}" '
                f'y="{floor - height - 4:.1f}" text-anchor="middle" font-size="9">'
                f"{found.count}</text>"
            )
    parts += [
        (
            f'<rect x="{_EDGE}" y="{_EDGE}" width="{_SIDE}" height="{_SIDE}" fill="none" '
            'stroke="#444"/>'
        ),
        (
            f'<line x1="{_EDGE}" y1="{floor}" x2="{_EDGE + _SIDE}" y2="{_EDGE}" stroke="#c33" '
            'stroke-dasharray="4"/>'
        ),
        (
            f'<text x="{size / 2}" y="{floor + 36}" text-anchor="middle">stated confidence; bars: '
            "share right, with the count of cells</text>"
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
