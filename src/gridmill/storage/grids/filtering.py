"""Filter trees compiled to SQL: every literal bound, every column through `psycopg.sql`.

Logic is two-valued, as the language says: an empty cell, or a text that does not fit its
column's type, satisfies no comparison but `!=`, and `not` is plain negation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import LiteralString

from psycopg import sql

from gridmill.kit.filters import And, Compare, Empty, In, Literal, Node, Not, Op, Or, resolve_filter
from gridmill.kit.values import DataType
from gridmill.storage.grids.conditions import Condition, GridColumn, is_empty, typed
from gridmill.storage.grids.tables import column

_OPERATORS = {
    Op.EQ: sql.SQL("="),
    Op.NE: sql.SQL("="),
    Op.GT: sql.SQL(">"),
    Op.GE: sql.SQL(">="),
    Op.LT: sql.SQL("<"),
    Op.LE: sql.SQL("<="),
}
_SEARCHES = {
    Op.CONTAINS: sql.SQL("strpos({k}, %s::text) > 0"),
    Op.STARTSWITH: sql.SQL("starts_with({k}, %s::text)"),
}


def compile_filter(node: Node, columns: Mapping[str, GridColumn]) -> Condition:
    """The condition that `node` states over `columns` (by name).

    Raises:
        InvalidFilter: an unknown column, or a literal that its type cannot hold.
    """
    resolved = resolve_filter(node, {name: target.data_type for name, target in columns.items()})
    return _compile(resolved, columns)


def _compile(node: Node, columns: Mapping[str, GridColumn]) -> Condition:
    match node:
        case And(parts):
            return _join(" AND ", [_compile(part, columns) for part in parts])
        case Or(parts):
            return _join(" OR ", [_compile(part, columns) for part in parts])
        case Not(part):
            return _negate(_compile(part, columns))
        case Empty(name):
            physical = columns[name].physical
            return Condition(is_empty(physical), physicals=frozenset({physical}))
        case In(name, literals):
            return _match_any(columns[name], literals)
        case Compare(name, (Op.CONTAINS | Op.STARTSWITH) as op, literal):
            target = columns[name]
            expression = _SEARCHES[op].format(k=column(target.physical))
            return _guard(target, expression, (literal.text,))
        case Compare(name, op, literal):
            found = _compare(columns[name], _OPERATORS[op], literal)
            return _negate(found) if op is Op.NE else found


def _join(word: LiteralString, conditions: Sequence[Condition]) -> Condition:
    joined = sql.SQL(word).join([condition.sql for condition in conditions])
    params = tuple(param for condition in conditions for param in condition.params)
    physicals = frozenset[int]().union(*(condition.physicals for condition in conditions))
    return Condition(sql.SQL("({})").format(joined), params, physicals)


def _negate(condition: Condition) -> Condition:
    return replace(condition, sql=sql.SQL("(NOT {})").format(condition.sql))


def _compare(target: GridColumn, operator: sql.SQL, literal: Literal) -> Condition:
    expression = sql.SQL("{} {} (SELECT {} FROM (SELECT %s::text) AS l (t))").format(
        typed(column(target.physical), target.data_type), operator, _typed_literal(target)
    )
    return _guard(target, expression, (_widen(literal.text, target.data_type),))


def _match_any(target: GridColumn, literals: Sequence[Literal]) -> Condition:
    expression = sql.SQL("{} IN (SELECT {} FROM unnest(%s::text[]) AS l (t))").format(
        typed(column(target.physical), target.data_type), _typed_literal(target)
    )
    texts = [_widen(literal.text, target.data_type) for literal in literals]
    return _guard(target, expression, (texts,))


def _typed_literal(target: GridColumn) -> sql.Composed:
    # A date is compared with a date and time as text: the day alone is its midnight.
    data_type = DataType.TEXT if target.data_type is DataType.DATE else target.data_type
    return typed(sql.SQL("l.t"), data_type)


def _guard(target: GridColumn, expression: sql.Composable, params: tuple[object, ...]) -> Condition:
    guarded = sql.SQL("(NOT {} AND coalesce({}, false))").format(
        is_empty(target.physical), expression
    )
    return Condition(guarded, params, frozenset({target.physical}))


def _widen(text: str, data_type: DataType) -> str:
    if data_type is DataType.DATETIME and len(text) == len("2000-01-01"):
        return f"{text}T00:00:00"
    return text
