"""Column names: never empty, never twice, the same for the same file."""

from collections.abc import Sequence

from gridmill.datasources.parsing.model import MAX_COLUMNS, MAX_NAME_LENGTH, ParseFailure


def make_names(raw: Sequence[str]) -> list[str]:
    """Names for columns headed `raw`: trimmed, at most 200 characters, unique.

    An empty one becomes `column_<position>`; one that came before gets `_2`, `_3`, … behind it,
    but never the name of another column.
    """
    trimmed = [" ".join(name.split())[:MAX_NAME_LENGTH] for name in raw]
    taken = set(trimmed) - {""}
    used: set[str] = set()
    names: list[str] = []
    for position, name in enumerate(trimmed, 1):
        base = name or f"column_{position}"
        found, number = base, 1
        while found in used or (found != name and found in taken):
            number += 1
            found = f"{base[: MAX_NAME_LENGTH - 8]}_{number}"
        used.add(found)
        names.append(found)
    return names


def check_width(width: int, where: str) -> None:
    """Refuse more columns than a table may have; raises `ParseFailure`."""
    if width > MAX_COLUMNS:
        raise ParseFailure(
            f"{where} has {width:,} columns; a data source holds at most {MAX_COLUMNS}."
        )
