"""What columns must satisfy together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gridmill.auth.model import Principal
from gridmill.datasets.linking import find_sources
from gridmill.datasets.model import COLUMN_LIMIT, Column, NewColumn
from gridmill.datasets.references import find_cycle, find_unknown
from gridmill.kit.errors import FieldError, ValidationFailed
from gridmill.storage.database import Tx


def check_columns(
    new: Sequence[NewColumn | Column],
    *,
    beside: Sequence[Column] = (),
    also_named: Sequence[str] = (),
    complete: bool = True,
    field: str = "columns",
) -> None:
    """Names are unique, references name columns and form no cycle, there are at most 300.

    `beside` are the columns that stay, `also_named` names that an import will bring; when these
    are not known yet (`complete` is false) unknown references are left to the import.

    Raises:
        ValidationFailed: naming each column at fault under `field`.
    """
    faults: list[FieldError] = []
    taken = {column.name for column in beside}
    counts = Counter(column.name for column in new)
    for index, column in enumerate(new):
        if column.name in taken or counts[column.name] > 1:
            faults.append(_fault(field, index, "name", f"{column.name!r} is taken by another."))
    everyone = [*beside, *new]
    if len({column.name for column in everyone} | set(also_named)) > COLUMN_LIMIT:
        raise ValidationFailed.of(field, f"A dataset has at most {COLUMN_LIMIT} columns.")
    prompts = {column.name: column.metadata.prompt for column in everyone}
    index_of = {column.name: index for index, column in enumerate(new)}
    unknown = find_unknown(prompts, [*prompts, *also_named]) if complete else {}
    for name, references in unknown.items():
        if name in index_of:
            text = f"{{{{{references[0][:200]}}}}} names no column of the dataset."
            faults.append(_fault(field, index_of[name], "metadata.prompt", text))
    if faults:
        raise ValidationFailed(faults[:50])
    cycle = find_cycle(prompts)
    if cycle is not None:
        at = next((index_of[name] for name in cycle if name in index_of), None)
        path = " → ".join(cycle[:20])
        raise ValidationFailed(
            [
                _fault(
                    field,
                    at,
                    "metadata.prompt",
                    f"The prompts read one another in a circle: {path}.",
                )
            ]
        )


async def check_knowledge(
    tx: Tx, principal: Principal, columns: Sequence[NewColumn | Column]
) -> None:
    """Raise `DatasourceNotFound` for knowledge that is no data source of the workspace."""
    named = [source for column in columns for source in column.metadata.knowledge]
    await find_sources(tx, principal, list(dict.fromkeys(named)))


async def check_rows_from(tx: Tx, principal: Principal, config: Mapping[str, Any]) -> None:
    """Look at the table that made-up rows are to follow (`rowsFrom`), when one is named.

    Raises:
        DatasourceNotFound: it is no data source of the workspace.
        ValidationFailed: it is a document.
    """
    named = config.get("rowsFrom")
    if named is None:
        return
    (source,) = await find_sources(tx, principal, [named])
    if not source.may_be_table:
        message = f"{source.file_name} is a document; name a table to make rows like its own."
        raise ValidationFailed.of("config.rowsFrom", message)


def _fault(field: str, index: int | None, part: str, message: str) -> FieldError:
    if field != "columns" or index is None:
        return FieldError(part, message)
    return FieldError(f"columns.{index}.{part}", message)
