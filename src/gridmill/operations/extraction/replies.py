"""Reading a model's reply: each column on its own, so that one bad value drops no other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from gridmill.kit.values import DataType, coerce
from gridmill.operations.extraction.phrases import has_phrases, read_duration
from gridmill.operations.extraction.typed import tidy
from gridmill.operations.model import ColumnSpec
from gridmill.operations.prompting import name_keys

_MOST_QUOTE = 2_000


@dataclass(frozen=True, slots=True)
class Said:
    """What a reply says of one column: canonical `value` (`None`: it found none) and its `quote`."""

    value: str | None = None
    quote: str | None = None
    problem: str | None = None


def read_reply(answer: Mapping[str, Any], columns: Sequence[ColumnSpec]) -> dict[int, Said]:
    """One `Said` for every column, by column number."""
    keys = name_keys(columns)
    return {column.number: _read(answer, column, keys[column.number]) for column in columns}


def find_problems(answer: Mapping[str, Any], columns: Sequence[ColumnSpec]) -> list[str]:
    """What the model has to repair, a sentence a column."""
    keys = name_keys(columns)
    return [
        f'"{keys[column.number]}": {said.problem}'
        for column in columns
        if (said := _read(answer, column, keys[column.number])).problem
    ]


def _read(answer: Mapping[str, Any], column: ColumnSpec, key: str) -> Said:
    if key not in answer and column.name not in answer:
        return Said(problem="the key is missing.")
    said: object = answer.get(key, answer.get(column.name))
    # A server without structured output may answer with the bare value.
    fields: dict[str, object] = {"value": said}
    if isinstance(said, dict) and "value" in said:
        fields = cast("dict[str, object]", said)
    quote = fields.get("quote")
    try:
        value = coerce(fields["value"], column.rules)
    except ValueError as error:
        return Said(problem=str(error))
    if value is not None and column.rules.data_type is DataType.TEXT:
        value = tidy(value) or None
        if value is not None and value.casefold() in {"null", "none", "n/a", "unknown"}:
            value = None
        if value is not None and has_phrases(column.name):
            value = read_duration(value) or value
    return Said(value, quote[:_MOST_QUOTE] if isinstance(quote, str) else None)
