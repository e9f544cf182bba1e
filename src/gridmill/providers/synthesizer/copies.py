"""What keeps rows that were made from being rows that were known."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from gridmill.providers.synthesizer.arrays import Flags
from gridmill.providers.synthesizer.model import Row


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


def _hash(texts: Sequence[str | None]) -> bytes:
    # Lengths before the texts, so that no two rows are written alike.
    parts = [b"-" if text is None else b"%d:%s" % (len(text), text.encode()) for text in texts]
    return blake2b(b",".join(parts), digest_size=12).digest()
