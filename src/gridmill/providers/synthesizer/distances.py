"""How far rows lie from real ones: the distance to the closest record (DCR)."""

import numpy as np
from numpy.typing import NDArray

from gridmill.providers.synthesizer.arrays import Flags, Floats

_CELLS = 500_000
_EMPTY = -1e7


def measure_spans(reference: Floats, is_category: Flags) -> Floats:
    """The range of each column, 1 for categories, so that two that differ are at least 1 apart."""
    filled = np.where(np.isnan(reference), 0.0, 1.0)
    low = np.where(filled, reference, np.inf).min(axis=0, initial=np.inf)
    high = np.where(filled, reference, -np.inf).max(axis=0, initial=-np.inf)
    return np.where(is_category | (high <= low), 1.0, high - low)


def measure_closest(
    rows: Floats, reference: Floats, spans: Floats, *, is_reference: bool = False
) -> Floats:
    """For each of `rows` (rows x columns) the distance to the closest row of `reference`.

    Gower's distance (1971): the mean over the columns of the difference over the span, at most 1,
    which for codes of categories is 0 or 1; empty differs from everything but empty. With
    `is_reference` the rows are the reference's first ones, and none counts as its own neighbour.
    Infinite without a (other) reference row.
    """
    scaled, others = (_scale(table, reference, spans) for table in (rows, reference))
    closest = np.full(len(rows), np.inf)
    if not len(others) or not others.shape[1]:
        return closest
    chunk = max(1, _CELLS // len(others))
    for start in range(0, len(rows), chunk):
        part = scaled[start : start + chunk]
        total = np.zeros((len(part), len(others)), dtype=np.float32)
        for number in range(others.shape[1]):
            gaps = np.abs(part[:, number, None] - others[None, :, number])
            total += np.minimum(gaps, 1.0, out=gaps)
        if is_reference:
            places = np.arange(len(part))
            total[places, places + start] = np.inf
        closest[start : start + chunk] = total.min(axis=1) / others.shape[1]
    return closest


def _scale(table: Floats, reference: Floats, spans: Floats) -> NDArray[np.float32]:
    # Counted from a value of the column: single precision would blur times since 1970.
    origin = np.nan_to_num(reference[0]) if len(reference) else np.zeros(len(spans))
    scaled = (table - origin) / spans
    return np.where(np.isnan(scaled), _EMPTY, scaled).astype(np.float32)
