"""Tables with holes: hiding known answers, showing what came back, comparing it with the truth."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HIDE_EVERY = 3


@dataclass(frozen=True)
class Hidden:
    """A table with holes, and what stood in them: `(row index, column name) -> value`.

    The value is `""` where it is known that there is none.
    """

    text: str
    truth: dict[tuple[int, str], str]


def hide_answers(path: Path, columns: Sequence[str], *, empty_is_known: bool = False) -> Hidden:
    """Empty each of `columns` in every third row, each from one row further on.

    `empty_is_known` says that what is empty in the file has no answer, so that one is wrong.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth: dict[tuple[int, str], str] = {}
    for shift, column in enumerate(columns):
        if empty_is_known:
            truth |= {(index, column): "" for index, row in enumerate(rows) if not row[column]}
        for index in range(shift, len(rows), HIDE_EVERY):
            if rows[index][column]:
                truth[index, column] = rows[index][column]
                rows[index][column] = ""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return Hidden(out.getvalue(), truth)


def show(
    console: Console,
    data: dict[str, Any],
    hidden: Hidden,
    shown: Sequence[str],
    rows: Iterable[int],
) -> None:
    """The columns `shown` of some rows, the filled cells with confidence and whether right."""
    names: list[str] = [column["name"] for column in data["columns"]]
    table = Table(title="Filled cells: value, confidence, then ✓ right or ✗ wrong")
    for name in shown:
        table.add_column(name)
    for index in rows:
        cells = (data["data"][index][names.index(name)] for name in shown)
        truths = (hidden.truth.get((index, name)) for name in shown)
        table.add_row(*map(render, cells, truths))
    console.print(table)


def render(cell: dict[str, Any], truth: str | None) -> str:
    """A cell for the terminal: grey when it was there, coloured when a task answered it."""
    value, metadata = cell["value"], cell["metadata"]
    if metadata is None:
        return f"[dim]{'' if value is None else value}[/dim]"
    if metadata["error"]:
        return f"[yellow]- {metadata['error']['code']}[/yellow]"
    mark = "" if truth is None else (" ✓" if value == truth else f" ✗ {truth or 'none'}")
    colour = "red" if "✗" in mark else "green"
    layer = " model" if metadata["provider"] == "local" else ""
    return f"[{colour}]{value} {metadata['confidence']:.2f}{layer}{mark}[/{colour}]"


def measure(console: Console, data: dict[str, Any], hidden: Hidden, columns: Sequence[str]) -> bool:
    """Print accuracy on the hidden cells, column by column; whether any was answered."""
    names = [column["name"] for column in data["columns"]]
    answered_at_all = False
    for column in columns:
        position = names.index(column)
        asked = [(i, value) for (i, name), value in hidden.truth.items() if name == column]
        answers = [(data["data"][i][position], value) for i, value in asked if value]
        given = [(cell, value) for cell, value in answers if cell["value"] is not None]
        line = f"[bold]{column}[/bold]: {len(given)} of {len(answers)} hidden cells answered"
        if given:
            right = sum(cell["value"] == value for cell, value in given) / len(given)
            stated = sum(cell["metadata"]["confidence"] for cell, _ in given) / len(given)
            line += f", {right:.0%} of them right at a mean confidence of {stated:.0%}"
        without = [data["data"][i][position] for i, value in asked if not value]
        if without:
            left = sum(cell["value"] is None for cell in without)
            line += f"; {left} of {len(without)} without an answer left empty"
        console.print(line, soft_wrap=True)
        answered_at_all = answered_at_all or bool(given)
    return answered_at_all
