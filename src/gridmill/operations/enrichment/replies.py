"""Reading a model's reply: each column on its own, so that one bad cell drops no other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from gridmill.kit.values import coerce
from gridmill.operations.enrichment.confidence import WORDS
from gridmill.operations.model import ColumnSpec
from gridmill.operations.prompting import name_keys

WORLD = "world knowledge"
MAX_EVIDENCE = 20


@dataclass(frozen=True, slots=True)
class CellReply:
    """What a reply says of one cell.

    `value` is canonical text; `None` with no `problem` means that the model does not know.
    `stated` is its own confidence (0-1), `evidence` the names that it gave.
    """

    value: str | None = None
    stated: float | None = None
    evidence: tuple[str, ...] = ()
    problem: str | None = None


class ReplyReader:
    """Reads replies to requests for `columns`; pure, made once per frame."""

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        keys = name_keys(columns)
        self._columns = [(column, keys[column.number]) for column in columns]
        self._exact = {column.name: key for column, key in self._columns}
        self._exact |= {key: key for _, key in self._columns}
        self._folded = _list_unambiguous(self._exact)

    def read(self, answer: Mapping[str, Any]) -> dict[int, CellReply]:
        """One `CellReply` for every column, by column number."""
        answer = self._arrange(answer)
        return {column.number: _read_cell(answer, column, key) for column, key in self._columns}

    def find_problems(self, answer: Mapping[str, Any]) -> dict[int, str]:
        """What the model has to repair, a sentence by column number; empty when all is usable."""
        answer = self._arrange(answer)
        return {
            column.number: f'"{key}": {problem}'
            for column, key in self._columns
            if (problem := _read_cell(answer, column, key).problem)
        }

    def _arrange(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer under our keys.

        Servers without structured output answer under a column's name, in other letters, one
        object or a list of one object deeper, or, asked for one column, with the cell itself.
        """
        if not any(name in self._exact for name in answer):
            inner = [found for said in answer.values() if (found := _open(said)) is not None]
            answer = max([answer, *inner], key=self._count_columns)
            if (
                len(self._columns) == 1
                and not any(self._count_columns(answer))
                and _is_cell(answer)
            ):
                return {self._columns[0][1]: answer}
        arranged: dict[str, Any] = {}
        for name, said in answer.items():
            key = self._exact.get(name) or self._folded.get(name.strip().casefold())
            if key is not None and (name == key or key not in answer):
                arranged.setdefault(key, said)
        return arranged

    def _count_columns(self, answer: Mapping[str, Any]) -> tuple[int, int]:
        """How many columns it holds by their exact names and, else, in other letters."""
        exact = {self._exact[name] for name in answer if name in self._exact}
        folded = {self._folded.get(name.strip().casefold()) for name in answer} - {None}
        return len(exact), len(folded)

    def split_rows(self, answer: Mapping[str, Any], count: int) -> dict[int, Mapping[str, Any]]:
        """The answers of a request for `count` rows by row index (from 0).

        Rows that are missing, given twice or out of range are left out: they are asked alone.
        """
        rows: object = answer.get("rows")
        found: dict[int, Mapping[str, Any]] = {}
        twice: set[int] = set()
        for item in cast("list[object]", rows) if isinstance(rows, list) else []:
            row: Mapping[str, Any] = cast("Any", item) if isinstance(item, dict) else {}
            index: object = row.get("row")
            if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < count:
                if index in found:
                    twice.add(index)
                found[index] = row
        return {index: row for index, row in found.items() if index not in twice}


def _list_unambiguous(keys: Mapping[str, str]) -> dict[str, str]:
    """The keys by folded name, without names that stand for more than one."""
    folded: dict[str, set[str]] = {}
    for name, key in keys.items():
        folded.setdefault(name.strip().casefold(), set()).add(key)
    return {name: next(iter(found)) for name, found in folded.items() if len(found) == 1}


def _open(said: object) -> Mapping[str, Any] | None:
    """The object that `said` is, or holds as a list's only item."""
    if isinstance(said, list) and len(cast("list[object]", said)) == 1:
        said = cast("list[object]", said)[0]
    return cast("Mapping[str, Any]", said) if isinstance(said, dict) else None


def _read_cell(answer: Mapping[str, Any], column: ColumnSpec, key: str) -> CellReply:
    if key not in answer:
        return CellReply(problem="the key is missing.")
    said: object = answer[key]
    # A server without structured output may answer with the bare value.
    fields = cast("dict[str, Any]", said) if _is_cell(said) else {"value": said}
    try:
        value = coerce(fields["value"], column.rules)
    except ValueError as error:
        return CellReply(problem=str(error))
    return CellReply(
        value=value,
        stated=_read_confidence(fields.get("confidence")),
        evidence=_read_evidence(fields.get("evidence")),
    )


def _is_cell(said: object) -> bool:
    return isinstance(said, dict) and "value" in said


def _read_confidence(said: object) -> float | None:
    """The share that a word stands for; else 0-1, or a percentage when it can only be one."""
    if isinstance(said, str):
        word = said.strip().casefold()
        if word in WORDS:
            return WORDS[word]
        said = _read_number(word)
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= 100:
        return None
    return said / 100 if said > 1 else float(said)


def _read_number(text: str) -> float | None:
    """A number, of a percentage its share."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def _read_evidence(evidence: object) -> tuple[str, ...]:
    if isinstance(evidence, str):
        return (evidence,)
    if not isinstance(evidence, list):
        return ()
    names = cast("list[object]", evidence)
    return tuple(name for name in names[:MAX_EVIDENCE] if isinstance(name, str))
