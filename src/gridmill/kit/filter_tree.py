"""The tree that a filter expression parses to, and its printing."""

import re
from dataclasses import dataclass
from enum import StrEnum

KEYWORDS = {"and", "or", "not", "in", "is", "empty", "contains", "startswith", "true", "false"}
_BARE_NAME = re.compile(r"[^\W\d][\w.-]*")


class Op(StrEnum):
    """How a cell is compared with a literal."""

    EQ = "="
    NE = "!="
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="
    CONTAINS = "contains"
    STARTSWITH = "startswith"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written: its text without quotes, whether it had them, and where it stands."""

    text: str
    quoted: bool = True
    position: int = 0


@dataclass(frozen=True, slots=True)
class Compare:
    """`column op literal`."""

    column: str
    op: Op
    literal: Literal
    position: int = 0


@dataclass(frozen=True, slots=True)
class In:
    """`column in (literals)`: equal to at least one of them."""

    column: str
    literals: tuple[Literal, ...]
    position: int = 0


@dataclass(frozen=True, slots=True)
class Empty:
    """`column is empty`: NULL or blank."""

    column: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of `part`, also where a comparison met an empty cell."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more parts."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of two or more parts."""

    parts: tuple["Node", ...]


Node = Compare | In | Empty | Not | And | Or


def format_filter(node: Node) -> str:
    """An expression that parses to `node` again (but for positions)."""
    match node:
        case Compare(column, op, literal):
            return f"{_format_name(column)} {op.value} {_format_literal(literal)}"
        case In(column, literals):
            listed = ", ".join(_format_literal(literal) for literal in literals)
            return f"{_format_name(column)} in ({listed})"
        case Empty(column):
            return f"{_format_name(column)} is empty"
        case Not(part):
            return f"not ({format_filter(part)})"
        case And(parts):
            return " and ".join(_wrap(part) for part in parts)
        case Or(parts):
            return " or ".join(_wrap(part) for part in parts)


def _wrap(node: Node) -> str:
    return f"({format_filter(node)})" if isinstance(node, And | Or) else format_filter(node)


def _format_name(name: str) -> str:
    if _BARE_NAME.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _format_literal(literal: Literal) -> str:
    if not literal.quoted:
        return literal.text
    doubled = literal.text.replace("'", "''")
    return f"'{doubled}'"
