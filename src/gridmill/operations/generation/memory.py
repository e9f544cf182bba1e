"""What a worker process keeps: fitted synthesizers, the last used ones.

A process that does not hold a task's synthesizer says so, is given what it is fitted on with the
next call, and keeps it.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from gridmill.providers.synthesizer.model import ColumnShape, Drawn, Row

if TYPE_CHECKING:
    from gridmill.providers.synthesizer.completing import Completer
    from gridmill.providers.synthesizer.service import Synthesizer

Kept = TypeVar("Kept")

_MAX_KEPT = 8

_synthesizers: OrderedDict[str, "Synthesizer"] = OrderedDict()
_completers: OrderedDict[str, "Completer"] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Ground:
    """What a synthesizer is fitted on."""

    shapes: tuple[ColumnShape, ...]
    rows: tuple[Row, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they were drawn; `keys` are the places of columns in which no value may come twice."""

    drawn: Drawn
    keys: tuple[int, ...] = ()


def draw(key: str, ground: Ground | None, first: int, count: int) -> Rows | None:
    """Rows `first` and following of the stream; `None` when the ground is needed."""
    synthesizer = _synthesizers.get(key)
    if synthesizer is None:
        if ground is None:
            return None
        # Imported here: only the child processes that compute carry numpy and scikit-learn.
        from gridmill.providers.synthesizer.service import fit

        synthesizer = fit(ground.shapes, ground.rows, ground.seed)
    _keep(_synthesizers, key, synthesizer)
    return Rows(synthesizer.draw(first, count), synthesizer.keys)


def complete(
    key: str,
    ground: Ground | None,
    places: Sequence[int],
    rows: Sequence[Row],
    wanted: Sequence[Sequence[int]],
) -> Drawn | None:
    """The rows, the columns `wanted` of each drawn anew; `None` when the ground is needed."""
    completer = _completers.get(key)
    if completer is None:
        if ground is None:
            return None
        from gridmill.providers.synthesizer.completing import Completer

        completer = Completer(ground.shapes, ground.rows, ground.seed)
    _keep(_completers, key, completer)
    return completer.complete(places, rows, wanted)


def measure(
    shapes: Sequence[ColumnShape], real: Sequence[Row], made: Sequence[Row]
) -> Mapping[str, Any]:
    """How like the real rows the made ones are, and how far from each of them (`report.measure`)."""
    from gridmill.providers.synthesizer import report

    return report.measure(shapes, real, made)


def _keep(kept: OrderedDict[str, Kept], key: str, one: Kept) -> None:
    kept[key] = one
    kept.move_to_end(key)
    if len(kept) > _MAX_KEPT:
        kept.popitem(last=False)
