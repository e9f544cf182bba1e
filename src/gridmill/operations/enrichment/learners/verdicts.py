"""What people said of a learner's earlier answers, heeded in its next ones.

An answer that a person approved, rejected or replaced is a left-out one with a known truth. The
log-odds of what a method states are moved by a line (Platt's scaling) that the column's own
verdicts fit, under a prior that expects nothing to change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gridmill.operations.enrichment.learners.columns import read_number
from gridmill.operations.enrichment.learners.exchange import Learner, Prediction, Row
from gridmill.operations.enrichment.learners.samples import normalise
from gridmill.operations.enrichment.learners.stack import fit_line, squash, to_log_odds
from gridmill.operations.model import Verdict

_CLOSE = 0.1
"""A regressed number within this share of the person's own was close enough."""


@dataclass(frozen=True, slots=True)
class _Record:
    """How a method's answers fared: how many were approved and rejected, and the line for it."""

    approved: int
    rejected: int
    slope: float
    offset: float

    def correct(self, confidence: float) -> float:
        """The confidence that verdicts leave of a stated one."""
        moved = self.slope * to_log_odds(np.array([confidence])) + self.offset
        return float(squash(moved)[0])


class JudgedLearner:
    """A learner whose confidence people's verdicts correct; what they refused is not said again."""

    def __init__(self, learner: Learner, verdicts: Sequence[Verdict]) -> None:
        self._learner = learner
        self._refused = {
            (said.row_id, normalise(said.value)) for said in verdicts if not is_right(said)
        }
        counted = [said for said in verdicts if said.asked_for]
        self._records = {
            method: _make_record([said for said in counted if said.method == method])
            for method in sorted({said.method for said in counted})
        }

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:
        """See `Learner`."""
        said = self._learner.predict(row_ids, rows)
        return [self._heed(row_id, one) for row_id, one in zip(row_ids, said, strict=True)]

    def _heed(self, row_id: str, said: Prediction) -> Prediction:
        record = self._records.get(str(said.factors.get("method")))
        if record is not None:
            told = {"approved": record.approved, "rejected": record.rejected}
            factors: dict[str, object] = {**said.factors, "verdicts": told}
            said = replace(said, factors=factors)
        if said.value is None:
            return said
        if (row_id, normalise(said.value)) in self._refused:
            return Prediction(None, 0.0, {**said.factors, "rejectedBefore": True})
        if record is None:
            return said
        return replace(said, confidence=record.correct(said.confidence))


def is_right(said: Verdict) -> bool:
    """Whether the value was right, or close, if it was regressed."""
    if said.truth is None:
        return False
    if said.method == "regression":
        value, truth = read_number(said.value), read_number(said.truth)
        if abs(value - truth) <= _CLOSE * abs(truth):
            return True
    return normalise(said.value) == normalise(said.truth)


def _make_record(verdicts: Sequence[Verdict]) -> _Record:
    right = np.array([float(is_right(said)) for said in verdicts])
    stated = to_log_odds(np.array([said.confidence for said in verdicts]))
    approved = int(right.sum())
    return _Record(approved, len(verdicts) - approved, *fit_line(stated, right, slope=1.0))
