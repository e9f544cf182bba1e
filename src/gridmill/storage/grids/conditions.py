"""Conditions on rows as SQL with bound parameters, and the typed reading of text columns.

Cells are text. Where a column has a type, comparison and order go by it, through casts that are
guarded by a pattern: a text that does not fit is no error, it compares as unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from gridmill.kit.values import BLANK_CHARACTERS, DataType
from gridmill.storage.grids.tables import column


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A column as a grid knows it: where it is and how its texts compare."""

    physical: int
    data_type: DataType


@dataclass(frozen=True, slots=True)
class Condition:
    """A boolean SQL expression, its parameters in order, and the physical columns that it reads."""

    sql: sql.Composable
    params: tuple[Any, ...] = field(default=())
    physicals: frozenset[int] = field(default=frozenset())


_NUMERIC = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$"
# With two digits of exponent at most, that many characters are a number PostgreSQL can hold.
_NUMERIC_LENGTH = 1_000
_DAY = r"(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_DATE = rf"^{_DAY}$"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
_MOMENT = rf"^{_DAY}[T ]{_CLOCK}(Z|[+-](0[0-9]|1[0-5]):[0-5][0-9])?$"

# The day is added as an interval, so that a 30th of February rolls over where a cast would raise.
_MOMENT_OF = (
    "make_timestamp(substr({k}, 1, 4)::int, substr({k}, 6, 2)::int, 1, substr({k}, 12, 2)::int, "
    "substr({k}, 15, 2)::int, coalesce(substring({k} from '^.{{16}}:([0-9.]+)'), '0')::float8) "
    "+ (substr({k}, 9, 2)::int - 1) * interval '1 day' "
    "- coalesce(substring({k} from '[+-][0-9][0-9]:[0-9][0-9]$'), '+00:00')::interval"
)
_NUMBERS = frozenset({DataType.INTEGER, DataType.NUMBER})


def is_empty(physical: int, alias: str | None = None) -> sql.Composed:
    """Whether a cell is empty: NULL or blank text, as `kit.values.is_empty` sees it."""
    # Trimming costs ten times a comparison, and a text whose first byte is a visible character of
    # ASCII need not be trimmed: by their bytes, blank ones lie before or behind all of those.
    return sql.SQL(
        '({k} IS NULL OR ({k} COLLATE "C" NOT BETWEEN {first} AND {last} '
        "AND btrim({k}, {blanks}) = ''))"
    ).format(
        k=column(physical, alias),
        first=sql.Literal("!"),
        last=sql.Literal("\x7f"),
        blanks=sql.Literal(BLANK_CHARACTERS),
    )


def any_empty(physicals: Sequence[int]) -> Condition:
    """Whether a row has an empty cell in one of these columns; none has in no column."""
    tests = [is_empty(physical) for physical in physicals] or [sql.SQL("false")]
    joined = sql.SQL("({})").format(sql.SQL(" OR ").join(tests))
    return Condition(joined, physicals=frozenset(physicals))


def typed(expression: sql.Composable, data_type: DataType) -> sql.Composed:
    """`expression` (a text) read by its type; NULL when it does not fit; raises on no text at all."""
    if data_type in _NUMBERS:
        return sql.SQL(
            "(CASE WHEN length({k}) <= {most} AND {k} ~ {shape} THEN {k}::numeric END)"
        ).format(k=expression, most=sql.Literal(_NUMERIC_LENGTH), shape=sql.Literal(_NUMERIC))
    if data_type is DataType.DATETIME:
        moment = sql.SQL(_MOMENT_OF).format(k=expression)
        return sql.SQL("(CASE WHEN {k} ~ {shape} THEN {moment} END)").format(
            k=expression, shape=sql.Literal(_MOMENT), moment=moment
        )
    if data_type is DataType.DATE:
        return sql.SQL('(CASE WHEN {k} ~ {shape} THEN {k} COLLATE "C" END)').format(
            k=expression, shape=sql.Literal(_DATE)
        )
    return sql.SQL('({k} COLLATE "C")').format(k=expression)


def sort_key(target: GridColumn) -> sql.Composed:
    """What to order rows by: typed, NULL (to be put last) for empty and for what does not fit."""
    k = sql.SQL("(CASE WHEN NOT {empty} THEN {k} END)").format(
        empty=is_empty(target.physical), k=column(target.physical)
    )
    if target.data_type in _NUMBERS or target.data_type in {DataType.DATE, DataType.DATETIME}:
        return typed(column(target.physical), target.data_type)
    return typed(k, target.data_type)


def has_status(physicals: Sequence[int], status: str) -> Condition:
    """Rows with a cell of these columns whose metadata has that status."""
    if not physicals:
        return Condition(sql.SQL("false"))
    tests = [
        sql.SQL("m -> {} ->> 'status' = %s").format(sql.Literal(str(int(physical))))
        for physical in physicals
    ]
    joined = sql.SQL("coalesce(m IS NOT NULL AND ({}), false)").format(sql.SQL(" OR ").join(tests))
    return Condition(joined, (status,) * len(tests), frozenset(physicals))


def both(left: Condition | None, right: Condition | None) -> Condition | None:
    """The conjunction; `None` stands for no condition."""
    if left is None or right is None:
        return left or right
    return Condition(
        sql.SQL("({} AND {})").format(left.sql, right.sql),
        (*left.params, *right.params),
        left.physicals | right.physicals,
    )
