"""How alike two samples are, from 0 to 1, as SDMetrics defines it (docs.sdv.dev/sdmetrics).

Our own code of its formulas: the package itself needs one under a licence we do not use.
"""

import numpy as np

from gridmill.providers.synthesizer.arrays import Floats, Ints

BINS = 10


def measure_ks_complement(real: Floats, made: Floats) -> float:
    """One minus the Kolmogorov-Smirnov statistic, the largest gap between the distributions.

    Needs values on both sides, none of them `NaN`.
    """
    both = np.concatenate([real, made])
    shares = [
        np.searchsorted(np.sort(side), both, side="right") / len(side) for side in (real, made)
    ]
    return float(1.0 - np.abs(shares[0] - shares[1]).max())


def measure_tv_complement(real: Ints, made: Ints) -> float:
    """One minus the total variation distance: half the summed differences of the categories' shares."""
    size = int(max(real.max(), made.max())) + 1
    shares = [np.bincount(side, minlength=size) / len(side) for side in (real, made)]
    return float(1.0 - 0.5 * np.abs(shares[0] - shares[1]).sum())


def measure_missing_similarity(real: float, made: float) -> float:
    """One minus the difference of the shares of empty cells (SDMetrics: MissingValueSimilarity)."""
    return 1.0 - abs(real - made)


def measure_correlation(first: Floats, second: Floats) -> float | None:
    """Pearson's coefficient over the rows that have both; `None` when it is not defined."""
    use = ~np.isnan(first) & ~np.isnan(second)
    if np.count_nonzero(use) < 2:
        return None
    first, second = first[use] - first[use].mean(), second[use] - second[use].mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 0 else None


def measure_correlation_similarity(real: float, made: float) -> float:
    """One minus half the difference of two coefficients (SDMetrics: CorrelationSimilarity)."""
    return 1.0 - abs(real - made) / 2.0


def measure_contingency_similarity(real: tuple[Ints, Ints], made: tuple[Ints, Ints]) -> float:
    """The total variation complement of the pairs of categories (SDMetrics: ContingencySimilarity)."""
    size = int(max(real[1].max(), made[1].max())) + 1
    pairs = np.concatenate([side[0] * size + side[1] for side in (real, made)])
    _, codes = np.unique(pairs, return_inverse=True)
    return measure_tv_complement(codes[: len(real[0])], codes[len(real[0]) :])


def find_edges(real: Floats) -> Floats:
    """The edges between ten bins of equal width over the real values, as SDMetrics cuts amounts."""
    return np.histogram_bin_edges(real, bins=BINS)


def bin_amounts(values: Floats, edges: Floats) -> Ints:
    """The bin of each value, 0 to 9; beyond the edges the first or last, 10 for `NaN`."""
    bins = np.clip(np.digitize(values, edges[1:-1]), 0, BINS - 1)
    return np.where(np.isnan(values), BINS, bins).astype(np.int64)
