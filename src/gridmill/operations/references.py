"""The order in which columns are filled: one whose prompt reads another (`{{column}}`) comes later."""

from collections.abc import Iterable, Mapping, Sequence

from gridmill.datasets.references import find_references
from gridmill.operations.model import ColumnSpec


def list_read_columns(column: ColumnSpec, columns: Sequence[ColumnSpec]) -> tuple[ColumnSpec, ...]:
    """The columns that `column`'s prompt reads; a name of no column is passed over."""
    names = find_references(column.prompt)
    if not names:
        return ()
    by_name = {other.name: other for other in columns}
    return tuple(by_name[name] for name in names if name in by_name)


def plan_stages(
    columns: Sequence[ColumnSpec], targets: Iterable[int]
) -> tuple[tuple[ColumnSpec, ...], ...]:
    """Order the target columns: those of one stage read only columns of earlier stages.

    `targets` are column numbers. Datasets admit no cycle; should there be one all the same, its
    columns come last, together, and read each other's old values.
    """
    wanted = set(targets)
    chosen = [column for column in columns if column.number in wanted]
    reads = {
        column.number: frozenset(other.number for other in list_read_columns(column, chosen))
        for column in chosen
    }
    levels = _peel(reads)
    return tuple(tuple(c for c in chosen if c.number in level) for level in levels)


def _peel(reads: Mapping[int, frozenset[int]]) -> list[frozenset[int]]:
    """Topological levels; what is part of a cycle, or waits for one, is the last level."""
    left = dict(reads)
    levels: list[frozenset[int]] = []
    while ready := frozenset(n for n, others in left.items() if not others & left.keys()):
        levels.append(ready)
        for number in ready:
            del left[number]
    return [*levels, frozenset(left)] if left else levels
