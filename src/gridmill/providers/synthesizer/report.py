"""A report on made rows beside real ones: alike in columns and pairs, told apart, too close."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from gridmill.providers.synthesizer.arrays import Floats, Ints
from gridmill.providers.synthesizer.distances import measure_closest, measure_spans
from gridmill.providers.synthesizer.encoding import Encoded, Kind, encode
from gridmill.providers.synthesizer.measures import (
    bin_amounts,
    find_edges,
    measure_contingency_similarity,
    measure_correlation,
    measure_correlation_similarity,
    measure_ks_complement,
    measure_missing_similarity,
    measure_tv_complement,
)
from gridmill.providers.synthesizer.model import ColumnShape, Row

MAX_ROWS = 5_000
"""Rows of each side that are compared, evenly from all."""

_MAX_NEIGHBOURS = 1_000
_MAX_PAIRED = 40
_MAX_DETECTED = 2_000
_MIN_DETECTED = 20
_FOLDS = 3
_MAX_BARS = 20
_DIGITS = 4
_COMPARED = frozenset({Kind.AMOUNT, Kind.CATEGORY})


def measure(
    shapes: Sequence[ColumnShape], real_rows: Sequence[Row], made_rows: Sequence[Row]
) -> dict[str, Any]:
    """Compare made rows with the real ones that they follow; the result is JSON.

    What cannot be measured (a side without rows, a column of keys) is `None`. Similarities are
    SDMetrics' (`measures`): a column's `similarity`, a pair's, and `quality.overall`, the mean of the
    mean column and the mean pair, as in its QualityReport. `detection.rocAuc` is how well gradient
    boosting tells made rows from real ones in cross-validation: 0.5 is not at all.
    `privacy` compares distances to the closest real record (`distances`) with those of real rows.
    """
    real, made = _sample(real_rows), _sample(made_rows)
    columns = [
        encode(shape, [row[place] for row in real], [row[place] for row in made])
        for place, shape in enumerate(shapes)
    ]
    is_possible = bool(real) and bool(made)
    parts = [_describe_column(column, is_possible=is_possible) for column in columns]
    compared = [column for column in columns if column.kind in _COMPARED] if is_possible else []
    pairs = _measure_pairs(compared[:_MAX_PAIRED])
    shape_score = _mean([part["similarity"] for part in parts])
    pair_score = _mean([pair["similarity"] for pair in pairs])
    return {
        "rows": {"real": len(real_rows), "made": len(made_rows)},
        "compared": {"real": len(real), "made": len(made)},
        "quality": {
            "overall": _mean([shape_score, pair_score]),
            "columns": shape_score,
            "pairs": pair_score,
        },
        "columns": parts,
        "pairs": pairs,
        "correlations": _correlate(compared),
        "detection": {"rocAuc": _detect(compared)},
        "privacy": _measure_privacy(compared, real_rows, made_rows),
    }


def _sample(rows: Sequence[Row]) -> list[Row]:
    if len(rows) <= MAX_ROWS:
        return list(rows)
    return [rows[int(place)] for place in np.linspace(0, len(rows) - 1, MAX_ROWS)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), _DIGITS) if known else None


def _describe_column(column: Encoded, *, is_possible: bool) -> dict[str, Any]:
    """Similarity, share of empty cells and histogram of a column."""
    result: dict[str, Any] = {
        "name": column.shape.name,
        "dataType": column.shape.data_type.value,
        "kind": column.kind.value,
        "measure": None,
        "similarity": None,
        "missing": None,
        "histogram": None,
    }
    if not is_possible:
        return result
    empty = [float(np.isnan(side).mean()) for side in (column.real, column.made)]
    result["missing"] = {
        "real": round(empty[0], _DIGITS),
        "made": round(empty[1], _DIGITS),
        "similarity": round(measure_missing_similarity(*empty), _DIGITS),
    }
    if max(empty) == 1.0 or column.kind in {Kind.KEY, Kind.EMPTY}:
        return result
    real, made = (side[~np.isnan(side)] for side in (column.real, column.made))
    if column.kind is Kind.CATEGORY:
        result["measure"] = "tvComplement"
        similarity = measure_tv_complement(real.astype(np.int64), made.astype(np.int64))
        result["histogram"] = _count_labels(column, real, made)
    else:
        is_text = column.kind is Kind.TEXT
        result["measure"] = "ksComplementOfLengths" if is_text else "ksComplement"
        similarity = measure_ks_complement(real, made)
        result["histogram"] = _count_bins(real, made)
    result["similarity"] = round(similarity, _DIGITS)
    return result


def _count_labels(column: Encoded, real: Floats, made: Floats) -> dict[str, Any]:
    """Shares of the most frequent categories, and of all others together."""
    bars = min(len(column.labels), _MAX_BARS)
    sides = [
        np.bincount(np.minimum(side, bars).astype(np.int64), minlength=bars + 1) / len(side)
        for side in (real, made)
    ]
    kept = bars if len(column.labels) == bars else bars + 1
    return {
        "labels": [*column.labels[:bars], *[None] * (kept - bars)],
        "real": [round(float(share), _DIGITS) for share in sides[0][:kept]],
        "made": [round(float(share), _DIGITS) for share in sides[1][:kept]],
    }


def _count_bins(real: Floats, made: Floats) -> dict[str, Any]:
    """Shares of the values between edges of equal distance over both sides."""
    edges = np.histogram_bin_edges(np.concatenate([real, made]), bins=_MAX_BARS)
    sides = [np.histogram(side, bins=edges)[0] / len(side) for side in (real, made)]
    return {
        "edges": [float(edge) for edge in edges],
        "real": [round(float(share), _DIGITS) for share in sides[0]],
        "made": [round(float(share), _DIGITS) for share in sides[1]],
    }


def _measure_pairs(columns: Sequence[Encoded]) -> list[dict[str, Any]]:
    """Each pair of compared columns: correlations of amounts, shares of pairs of all others."""
    codes = {id(column): _to_codes(column) for column in columns}
    return [
        _measure_pair(first, second, codes[id(first)], codes[id(second)])
        for first, second in combinations(columns, 2)
    ]


def _measure_pair(
    first: Encoded, second: Encoded, codes: tuple[Ints, Ints], others: tuple[Ints, Ints]
) -> dict[str, Any]:
    names = [first.shape.name, second.shape.name]
    if first.kind is Kind.AMOUNT and second.kind is Kind.AMOUNT:
        real = measure_correlation(first.real, second.real)
        made = measure_correlation(first.made, second.made)
        similarity = None
        if real is not None and made is not None:
            similarity = round(measure_correlation_similarity(real, made), _DIGITS)
        return {"columns": names, "measure": "correlationSimilarity", "similarity": similarity}
    similarity = measure_contingency_similarity((codes[0], others[0]), (codes[1], others[1]))
    return {
        "columns": names,
        "measure": "contingencySimilarity",
        "similarity": round(similarity, _DIGITS),
    }


def _to_codes(column: Encoded) -> tuple[Ints, Ints]:
    """A column as categories, empty the last of them."""
    if column.kind is Kind.AMOUNT:
        edges = find_edges(column.real[~np.isnan(column.real)])
        return bin_amounts(column.real, edges), bin_amounts(column.made, edges)
    empty = len(column.labels)
    real, made = (np.nan_to_num(side, nan=empty) for side in (column.real, column.made))
    return real.astype(np.int64), made.astype(np.int64)


def _correlate(columns: Sequence[Encoded]) -> dict[str, Any]:
    """Matrices of Pearson's coefficients of the amounts, real and made."""
    amounts = [column for column in columns if column.kind is Kind.AMOUNT][:_MAX_PAIRED]
    result: dict[str, Any] = {"columns": [column.shape.name for column in amounts]}
    for side in ("real", "made"):
        values: list[Floats] = [getattr(column, side) for column in amounts]
        result[side] = [
            [_round(measure_correlation(first, second)) for second in values] for first in values
        ]
    return result


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _detect(columns: Sequence[Encoded]) -> float | None:
    """The area under the ROC curve of a classifier that was not shown the rows that it judges."""
    tables = [_stack(columns, side)[:_MAX_DETECTED] for side in ("real", "made")]
    count = min(map(len, tables))
    if not columns or count < _MIN_DETECTED:
        return None
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    features = np.vstack([table[:count] for table in tables])
    truth = np.repeat([0, 1], count)
    make: Any = HistGradientBoostingClassifier
    judge = make(max_iter=50, max_leaf_nodes=15, early_stopping=False, random_state=0)
    order = np.random.default_rng(0).permutation(len(truth))
    scores: Any = cross_val_predict(
        judge, features[order], truth[order], cv=_FOLDS, method="predict_proba"
    )
    return round(float(roc_auc_score(truth[order], scores[:, 1])), _DIGITS)


def _stack(columns: Sequence[Encoded], side: str) -> Floats:
    values: list[Floats] = [getattr(column, side) for column in columns]
    return np.column_stack(values) if values else np.empty((0, 0))


def _measure_privacy(
    columns: Sequence[Encoded], real_rows: Sequence[Row], made_rows: Sequence[Row]
) -> dict[str, Any]:
    """Copies among all rows; distances to the closest real record among those compared.

    `shareCloser` is the share of made rows that lie closer to a real one than the closest twentieth
    of real rows lie to each other: 0.05 would be the same.
    """
    known = frozenset(real_rows)
    result: dict[str, Any] = {
        "copies": sum(row in known for row in made_rows),
        "realDistance": None,
        "madeDistance": None,
        "shareCloser": None,
    }
    real, made = _stack(columns, "real"), _stack(columns, "made")
    if len(real) < 2 or not len(made):
        return result
    is_category = np.array([column.kind is Kind.CATEGORY for column in columns], dtype=np.bool_)
    spans = measure_spans(real, is_category)
    near = measure_closest(real[:_MAX_NEIGHBOURS], real, spans, is_reference=True)
    new = measure_closest(made[:_MAX_NEIGHBOURS], real, spans)
    for name, found in (("realDistance", near), ("madeDistance", new)):
        low, middle = np.quantile(found, [0.05, 0.5])
        result[name] = {"percentile5": _round(float(low)), "median": _round(float(middle))}
    result["shareCloser"] = round(float((new < np.quantile(near, 0.05)).mean()), _DIGITS)
    return result
