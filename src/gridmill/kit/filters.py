"""Filter expressions: the contract's small language, parsed to a tree.

    expression := conjunction ("or" conjunction)*
    conjunction := negation ("and" negation)*
    negation := "not" negation | "(" expression ")" | comparison
    comparison := name ("=" | "!=" | ">" | ">=" | "<" | "<=" | "contains" | "startswith") literal
                | name ["not"] "in" "(" literal ("," literal)* ")"
                | name "is" ["not"] "empty"
    name := letter or _, then letters, digits, "_", "." or "-" | "in double quotes"
    literal := number | true | false | date | 'text' | "text"

A quote inside a quoted text is doubled. Keywords have no case; names do. Positions are 0-based
offsets of characters. An empty cell satisfies no comparison but `!=`; `not` is plain negation.
The tree is compiled to SQL with bound parameters by `storage.grids`; nothing of the text is SQL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gridmill.kit.canonical import (
    fits_date,
    fits_datetime,
    fits_number,
    is_long_decimal,
    write_decimal,
)
from gridmill.kit.errors import InvalidFilter
from gridmill.kit.filter_tree import (
    KEYWORDS,
    And,
    Compare,
    Empty,
    In,
    Literal,
    Node,
    Not,
    Op,
    Or,
    format_filter,
)
from gridmill.kit.text import check_text
from gridmill.kit.values import DataType

__all__ = [
    "And",
    "Compare",
    "Empty",
    "In",
    "InvalidFilter",
    "Literal",
    "Node",
    "Not",
    "Op",
    "Or",
    "format_filter",
    "parse_filter",
    "resolve_filter",
]

MAX_LENGTH = 10_000
MAX_DEPTH = 50
MAX_LITERALS = 1_000


_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<single>'(?:[^']|'')*+')
    |(?P<double>"(?:[^"]|"")*+")
    |(?P<op>!=|>=|<=|=|>|<)
    |(?P<mark>[(),])
    |(?P<number>[+-]?[0-9][\w:.+-]*|[+-]?\.[0-9][\w]*)
    |(?P<word>[^\W\d][\w.-]*)""",
    re.VERBOSE,
)
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def keyword(self) -> str:
        """The keyword that this is, or nothing."""
        folded = self.text.lower()
        return folded if self.kind == "word" and folded in KEYWORDS else ""


def _tokenize(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] in "'\"":
                raise InvalidFilter("This quote is never closed.", at)
            raise InvalidFilter(f"Unexpected character {text[at]!r}.", at)
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(_Token(kind, match[0], at))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens; depth and number of literals are bounded."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokenize(text)
        self._end = _Token("end", "", len(text))
        self._at = 0
        self._literals = 0

    def parse(self) -> Node:
        node = self._parse_or(0)
        rest = self._peek()
        if rest.kind != "end":
            raise InvalidFilter(
                f"Unexpected {rest.text[:40]!r}; “and” or “or” may stand here.", rest.position
            )
        return node

    def _peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else self._end

    def _take(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _take_keyword(self, word: str) -> bool:
        if self._peek().keyword == word:
            self._at += 1
            return True
        return False

    def _take_mark(self, mark: str) -> bool:
        token = self._peek()
        if token.kind == "mark" and token.text == mark:
            self._at += 1
            return True
        return False

    def _parse_or(self, depth: int) -> Node:
        parts = [self._parse_and(depth)]
        while self._take_keyword("or"):
            parts.append(self._parse_and(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _parse_and(self, depth: int) -> Node:
        parts = [self._parse_not(depth)]
        while self._take_keyword("and"):
            parts.append(self._parse_not(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _parse_not(self, depth: int) -> Node:
        token = self._peek()
        if depth > MAX_DEPTH:
            raise InvalidFilter(
                f"The filter is nested deeper than {MAX_DEPTH} levels.", token.position
            )
        if self._take_keyword("not"):
            return Not(self._parse_not(depth + 1))
        if self._take_mark("("):
            node = self._parse_or(depth + 1)
            self._expect_mark(")", token.position)
            return node
        return self._parse_comparison()

    def _expect_mark(self, mark: str, opened: int) -> None:
        token = self._peek()
        if not self._take_mark(mark):
            what = f"{token.text[:40]!r}" if token.text else "the end"
            raise InvalidFilter(
                f"Expected {mark!r} for the one at {opened}, found {what}.", token.position
            )

    def _parse_comparison(self) -> Node:
        name = self._take()
        column = _read_name(name)
        operator = self._take()
        if operator.kind == "op":
            return Compare(column, Op(operator.text), self._parse_literal(), name.position)
        match operator.keyword:
            case "contains" | "startswith":
                return Compare(column, Op(operator.keyword), self._parse_literal(), name.position)
            case "in":
                return self._parse_in(column, name.position)
            case "not" if self._take_keyword("in"):
                return Not(self._parse_in(column, name.position))
            case "is":
                negated = self._take_keyword("not")
                if not self._take_keyword("empty"):
                    raise InvalidFilter("Expected “empty” after “is”.", self._peek().position)
                node = Empty(column, name.position)
                return Not(node) if negated else node
            case _:
                raise InvalidFilter(
                    "Expected an operator after the column: = != > >= < <= contains startswith in, "
                    "is empty, is not empty.",
                    operator.position,
                )

    def _parse_in(self, column: str, position: int) -> In:
        opening = self._peek()
        if not self._take_mark("("):
            raise InvalidFilter("Expected “(” after “in”.", opening.position)
        literals = [self._parse_literal()]
        while self._take_mark(","):
            literals.append(self._parse_literal())
        self._expect_mark(")", opening.position)
        return In(column, tuple(literals), position)

    def _parse_literal(self) -> Literal:
        token = self._take()
        self._literals += 1
        if self._literals > MAX_LITERALS:
            raise InvalidFilter(f"The filter holds over {MAX_LITERALS} values.", token.position)
        if token.kind in {"single", "double"}:
            quote = token.text[0]
            return Literal(token.text[1:-1].replace(quote * 2, quote), True, token.position)
        if token.kind == "number":
            if _NUMBER.fullmatch(token.text) or fits_date(token.text) or fits_datetime(token.text):
                return Literal(token.text, False, token.position)
            raise InvalidFilter(
                f"{token.text[:40]!r} is neither a number nor a date.", token.position
            )
        if token.keyword in {"true", "false"}:
            return Literal(token.keyword, False, token.position)
        if token.kind == "word":
            raise InvalidFilter("Text after an operator stands in quotes.", token.position)
        raise InvalidFilter("Expected a value.", token.position)


def _read_name(token: _Token) -> str:
    if token.kind == "double":
        name = token.text[1:-1].replace('""', '"')
        if name:
            return name
    elif token.kind == "word" and not token.keyword:
        return token.text
    raise InvalidFilter(
        "Expected a column name (in double quotes when it has spaces).", token.position
    )


def parse_filter(text: str) -> Node:
    """The tree of a filter expression.

    Raises `InvalidFilter` (422, 0-based `details.position`) for anything outside the grammar,
    over 10,000 characters, 50 levels or 1,000 values, and
    `InvalidText` (422) for characters that cannot be stored.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidFilter(f"The filter is longer than {MAX_LENGTH} characters.", MAX_LENGTH)
    check_text(text, "filter")
    if not text.strip():
        raise InvalidFilter("The filter is empty.", 0)
    return _Parser(text).parse()


# --- columns and their types ----------------------------------------------------------------

_ORDERED = {Op.GT, Op.GE, Op.LT, Op.LE}
_TEXTUAL = {Op.CONTAINS, Op.STARTSWITH}


def resolve_filter(node: Node, columns: Mapping[str, DataType]) -> Node:
    """The tree with its literals in the canonical text of their columns' types.

    Numbers lose signs, exponents and closing zeros (`+1e3` is `1000`). Raises `InvalidFilter`
    (422, with the position) for an unknown column, a literal that its column's type cannot hold
    and an ordering of booleans, JSON or locations.
    """
    match node:
        case Not(part):
            return Not(resolve_filter(part, columns))
        case And(parts):
            return And(tuple(resolve_filter(part, columns) for part in parts))
        case Or(parts):
            return Or(tuple(resolve_filter(part, columns) for part in parts))
        case Empty(column, position):
            _find_type(columns, column, position)
            return node
        case In(column, literals, position):
            data_type = _find_type(columns, column, position)
            typed = tuple(_type_literal(literal, data_type) for literal in literals)
            return In(column, typed, position)
        case Compare(column, op, literal, position):
            data_type = _find_type(columns, column, position)
            if op in _TEXTUAL:
                return node
            if op in _ORDERED and data_type in {DataType.BOOLEAN, DataType.JSON, DataType.LOCATION}:
                raise InvalidFilter(
                    f"A {data_type.value} column has no order for {op.value}.", position
                )
            return Compare(column, op, _type_literal(literal, data_type), position)


def _find_type(columns: Mapping[str, DataType], name: str, position: int) -> DataType:
    found = columns.get(name)
    if found is None:
        raise InvalidFilter(f"There is no column named {name[:80]!r}.", position)
    return found


def _type_literal(literal: Literal, data_type: DataType) -> Literal:
    text = literal.text
    match data_type:
        case DataType.INTEGER | DataType.NUMBER:
            canonical = _canonize_number(text)
        case DataType.BOOLEAN:
            folded = text.lower()
            canonical = folded if folded in {"true", "false"} else None
        case DataType.DATE | DataType.DATETIME:
            canonical = text if fits_date(text) or fits_datetime(text) else None
        case _:
            canonical = text
    if canonical is None:
        raise InvalidFilter(f"{text[:40]!r} is not a {data_type.value}.", literal.position)
    return Literal(canonical, literal.quoted, literal.position)


def _canonize_number(text: str) -> str | None:
    if not _NUMBER.fullmatch(text):
        return None
    if not set(text) & set(".eE"):
        return str(int(text))
    canonical = write_decimal(text)
    return canonical if fits_number(canonical) or is_long_decimal(canonical) else None
