"""What keeps rows that were made from being rows that were known."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from gridmill.providers.synthesizer.arrays import Flags, Floats
from gridmill.providers.synthesizer.distances import measure_closest, measure_spans
from gridmill.providers.synthesizer.joint import Joint
from gridmill.providers.synthesizer.model import Row

_LEAVES = ((4_000, 20), (1_000, 10), (0, 5))
"""Rows and the leaf to begin with: larger ones cost nothing where there are many rows."""

_MAX_WATCHED = 3_000
"""Up to so many rows each new one is held against all of them; beyond, leaves alone keep apart."""

_PROBE = 1_000
_REFERENCE = 5_000
_MARGIN = 1.03
_STEPS = 6


class CopyGuard:
    """Knows all real rows by their hashes.

    A whole row is a *copy* when a real row equals it. It is a *likeness* when the columns `told`
    (those that say something, keys and recombined texts apart) equal those of just one real row:
    what was said of one row only must not be said again beside another key.
    """

    def __init__(self, rows: Sequence[Row], told: Sequence[int]) -> None:
        self._told = tuple(told)
        self._rows = frozenset(map(_hash, rows))
        counts = Counter(_hash([row[number] for number in self._told]) for row in rows)
        self._single = frozenset(found for found, count in counts.items() if count == 1)

    def find_copies(self, rows: Sequence[Row]) -> Flags:
        """Which rows equal a real one."""
        return np.array([_hash(row) in self._rows for row in rows], dtype=np.bool_)

    def find_likenesses(self, rows: Sequence[Row]) -> Flags:
        """Which rows say what one real row says."""
        told = self._told
        found = [_hash([row[number] for number in told]) in self._single for row in rows]
        return np.array(found, dtype=np.bool_)


class NearGuard:
    """Knows which rows lie closer to a real row than real rows lie to each other.

    Distances (`distances`) are over the learnt columns. `near` is the fifth percentile of those
    among real rows, 0 where there are too many rows to look at each, or none that differ.
    """

    def __init__(self, known: Floats, is_category: Flags) -> None:
        step = max(1, -(-len(known) // _REFERENCE))
        self._reference = known[::step]
        self._spans = measure_spans(self._reference, is_category)
        self._low = self._middle = self.near = 0.0
        if len(self._reference) > 1 and known.shape[1]:
            # Rows in the order of a file may lie close to their neighbours there.
            self._reference = np.random.default_rng(0).permutation(self._reference)
            found = measure_closest(
                self._reference[:_PROBE], self._reference, self._spans, is_reference=True
            )
            self._low, self._middle = np.quantile(found, [0.05, 0.5])
        if len(known) <= _MAX_WATCHED:
            self.near = float(self._low)

    def find_near(self, rows: Floats) -> Flags:
        """Which rows lie too close."""
        if not self.near:
            return np.zeros(len(rows), dtype=np.bool_)
        return measure_closest(rows, self._reference, self._spans) < self.near

    def is_apart(self, rows: Floats) -> bool:
        """Whether rows, those that lie too close left out, are as far from real ones as these are.

        Their fifth percentile and their median are compared, with a margin for chance.
        """
        found = measure_closest(rows, self._reference, self._spans)
        kept = found[found >= self.near]
        if not len(kept):
            return False
        low, middle = np.quantile(kept, [0.05, 0.5])
        is_apart = low >= (self._low if self.near else _MARGIN * self._low)
        return bool(is_apart and middle >= _MARGIN * self._middle)


def grow_apart(joint: Joint, guard: NearGuard, seed: int) -> int:
    """Grow trees with the smallest leaves that keep rows apart from real ones; gives their size."""
    count = len(joint.known)
    leaf = next(leaf for rows, leaf in _LEAVES if count >= rows)
    for step in range(_STEPS):
        joint.grow(leaf, seed)
        random = np.random.default_rng([seed, step])
        probe = joint.stack(joint.draw(_PROBE, random), _PROBE)
        if 2 * leaf > count or not probe.shape[1] or guard.is_apart(probe):
            break
        leaf *= 2
    return leaf


def _hash(texts: Sequence[str | None]) -> bytes:
    # Lengths before the texts, so that no two rows are written alike.
    parts = [b"-" if text is None else b"%d:%s" % (len(text), text.encode()) for text in texts]
    return blake2b(b",".join(parts), digest_size=12).digest()
