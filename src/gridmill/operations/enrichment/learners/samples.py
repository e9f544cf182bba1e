"""The filled rows of one target column and their labels: what the experts learn from."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from gridmill.kit.values import DataType, ValueRules, coerce, is_empty
from gridmill.operations.enrichment.learners.exchange import Table, Target

_WORDS = re.compile(r"\w+(?:['’]\w+)*")
MAX_CELL_CHARACTERS = 600
FOLDS = 10
"""Groups of rows that are left out together. A row alone would be no fair judge: the count of its
own label, and only that one, would be one short, and a blend learns to read that."""


def normalise(text: str) -> str:
    """The form in which two texts count as the same: case and white space put aside."""
    return " ".join(text.casefold().split())


@lru_cache(maxsize=65_536)
def split_words(text: str) -> tuple[str, ...]:
    """The words of a text, folded in case."""
    return tuple(_WORDS.findall(text[:MAX_CELL_CHARACTERS].casefold()))


class Samples:
    """The filled rows of one target column, and its labels.

    A label is the normalised text of a value; `labels[i]` belongs to `rows[i]`. `surfaces` gives
    the spelling in which a label is written: its most frequent one. `folds[i]` is the group of
    rows that is left out when row `i` is judged.
    """

    def __init__(self, table: Table, target: Target, limit: int, seed: int) -> None:
        self.target = target
        self.position = table.columns.index(target.name)
        self.columns = table.columns
        kept = [i for i, row in enumerate(table.rows) if self._is_usable(row[self.position])]
        if len(kept) > limit:
            import numpy as np

            chosen = np.random.default_rng(seed).choice(len(kept), limit, replace=False)
            places: list[int] = sorted(chosen.tolist())
            kept = [kept[place] for place in places]
        self.rows = [table.rows[i] for i in kept]
        self.row_ids = [table.row_ids[i] for i in kept]
        self.values = [row[self.position] or "" for row in self.rows]
        self.labels = [normalise(value) for value in self.values]
        self.counts = Counter(self.labels)
        self.folds = _deal(len(kept), seed)
        self.fold_counts = Counter(zip(self.labels, self.folds, strict=True))
        self._fold_sizes = Counter(self.folds)
        self.index_of = {row_id: i for i, row_id in enumerate(self.row_ids)}
        self.surfaces = _choose_surfaces(self.labels, self.values)
        self.inputs = [i for i in range(len(self.columns)) if i != self.position]

    def __len__(self) -> int:
        return len(self.rows)

    def count(self, label: str, fold: int | None = None) -> int:
        """How many rows have this label, those of `fold` left out."""
        return self.counts.get(label, 0) - self.fold_counts.get((label, fold or 0), 0) * (
            fold is not None
        )

    def prior(self, label: str, fold: int | None = None) -> float:
        """The share of rows with this label, smoothed, those of `fold` left out."""
        rows = len(self.rows) - (0 if fold is None else self._fold_sizes[fold])
        return (self.count(label, fold) + 0.2) / (rows + 1.0)

    def _is_usable(self, text: str | None) -> bool:
        """A stored value that its column's type no longer admits teaches nothing."""
        if text is None or is_empty(text):
            return False
        rules = self.target.rules
        if rules.data_type is DataType.TEXT and not rules.pattern:
            return True
        return accept(text, rules) is not None


def _deal(count: int, seed: int) -> list[int]:
    """A fold for every row, at random, the folds of equal size."""
    import numpy as np

    folds = np.random.default_rng(seed).permutation(count) % min(FOLDS, max(count, 1))
    return folds.tolist()


def accept(text: str, rules: ValueRules) -> str | None:
    """The canonical value that `text` stands for in a column, `None` when it does not fit."""
    try:
        return coerce(text, rules)
    except ValueError:
        return None


def _choose_surfaces(labels: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    spellings: dict[str, Counter[str]] = {}
    for label, value in zip(labels, values, strict=True):
        spellings.setdefault(label, Counter())[value] += 1
    return {label: counts.most_common(1)[0][0] for label, counts in spellings.items()}
