"""What a document says of columns, found without a model: fields, labels, phrases, types nearby."""

import re
from collections.abc import Iterator, Mapping, Sequence

from gridmill.kit.values import DataType
from gridmill.operations.extraction.labels import (
    KIND_WORDS,
    Label,
    compare_label,
    list_labels,
    list_lines,
    list_sections,
)
from gridmill.operations.extraction.layout import find_layout
from gridmill.operations.extraction.model import Finding, Found, Method, Place, Scope, Typed
from gridmill.operations.extraction.names import list_words
from gridmill.operations.extraction.numbers import Amount
from gridmill.operations.extraction.phrases import find_phrases, has_phrases, read_duration
from gridmill.operations.extraction.records import find_fields
from gridmill.operations.extraction.typed import (
    Writing,
    find_typed,
    guess_kind,
    is_money,
    read_text,
    read_value,
    read_writing,
    tidy,
)
from gridmill.operations.model import ColumnSpec
from gridmill.providers.documents.model import Page, Span

_LEAST_LABEL = 0.5
_CLEAR_LABEL = 0.75
_UNTYPED = frozenset([DataType.TEXT, DataType.ENUM, DataType.JSON, DataType.BOOLEAN])
"""Types whose values have no look of their own, or too common a one."""

_WORDED = frozenset([Method.PHRASE, Method.DURATION])
"""Ways of finding that give the value's own wording, not the text that stands there."""

_NUMBERS = frozenset([DataType.NUMBER, DataType.INTEGER])
_FEW_WORDS = 4
"""More words on a line or behind a label are a sentence, in which a bare number is no amount."""

_MOST_LINE = 160
_BASE = {
    Method.FIELD: 0.6,
    Method.LABEL: 0.4,
    Method.SECTION: 0.45,
    Method.PHRASE: 0.4,
    Method.DURATION: 0.4,
    Method.NEARBY: 0.15,
    Method.LAYOUT: 0.1,
}
"""What a way of finding is worth beside another; the rest is how well it fits (0-0.4)."""

_WRITING_PAGES = 50
_WINDOW = 90
_MOST_NEARBY = 2_000
_MOST_TEXT = 400
"""Characters of a text value behind a label: more is a paragraph, not a field."""

_MOST_NAME = 80


def find_all(scope: Scope, columns: Sequence[ColumnSpec]) -> dict[int, Found]:
    """The best finding for each column that has one, by column number.

    A record's columns that its own part does not tell are looked for around the document's lists
    by their labels: an invoice's number stands above its lines.
    """
    writing = read_scope_writing(scope, columns)
    finder = _Finder(scope, columns, writing)
    return {
        column.number: found
        for column in columns
        if (found := _weigh(list(finder.find(column)))) is not None
    }


def read_scope_writing(scope: Scope, columns: Sequence[ColumnSpec]) -> Writing:
    """How the document around `scope` writes dates and decimals."""
    hints = " ".join(f"{column.prompt or ''} {column.description or ''}" for column in columns)
    pages = scope.document.pages[:_WRITING_PAGES]
    return read_writing([page.text for page in pages], hints)


class _Finder:
    """Looks at one scope; what all columns need of it is read once."""

    def __init__(self, scope: Scope, columns: Sequence[ColumnSpec], writing: Writing) -> None:
        self._scope = scope
        self._writing = writing
        self._parts = list(scope.list_parts())
        self._fields: Mapping[int, tuple[str, Span]] = {}
        if scope.record is not None:
            self._fields = find_fields(scope.record, columns)
        self._labels = [
            (page, label)
            for page, first, last in self._parts
            for label in list_labels(page, first, last)
        ]
        self._around = [] if scope.record is None else list(_list_labels_around(scope))

    def find(self, column: ColumnSpec) -> Iterator[Finding]:
        """Everything that may be the column's value."""
        record = self._scope.record
        if record is not None and column.number in self._fields:
            name, span = self._fields[column.number]
            if self._parts:
                fit = compare_label(name, column.name)
                yield from self._read(column, self._parts[0][0], span, Method.FIELD, fit)
            return
        yield from self._find_labelled(column, self._labels)
        if record is not None:
            yield from self._find_labelled(column, self._around)
            return
        yield from self._find_inline(column)
        yield from self._find_sections(column)
        yield from self._find_phrased(column)
        yield from self._find_nearby(column)
        yield from self._find_laid_out(column)

    def _read(
        self, column: ColumnSpec, page: Page, span: Span, method: Method, fit: float
    ) -> Iterator[Finding]:
        """The value that the words of `span` hold."""
        text = page.text[span.start : span.end]
        kind = guess_kind(column)
        if kind is DataType.NUMBER:
            amounts = list(find_typed(text, kind, self._writing))
            if amounts and (len(text.split()) <= _FEW_WORDS or _may_be(column, amounts[-1])):
                yield from self._make(
                    column, page, span.start, amounts[-1], (method, fit - _crowd(amounts))
                )
            return
        found = read_text(column, text, kind, self._writing)
        if found is not None:
            place = Place(page.number, span.start + found.start, span.start + found.end)
            yield Finding(found.canonical, place, method, _BASE[method] + 0.4 * fit, found.doubtful)

    def _find_labelled(
        self, column: ColumnSpec, labels: Sequence[tuple[Page, Label]]
    ) -> Iterator[Finding]:
        most = _MOST_NAME if has_phrases(column.name) else _MOST_TEXT
        for page, label in labels:
            fit = compare_label(label.name, column.name)
            if fit >= _LEAST_LABEL and label.value.end - label.value.start <= most:
                yield from self._read(column, page, label.value, Method.LABEL, fit)

    def _find_inline(self, column: ColumnSpec) -> Iterator[Finding]:
        """Labels without a mark behind them: `TOTAL 9.00`, the words before a line's typed value."""
        kind = guess_kind(column)
        if kind in _UNTYPED:
            return
        wanted = set(list_words(column.name))
        for page, first, last in self._parts:
            for start, end in list_lines(page.text, first, last):
                line = page.text[start:end]
                if len(line) <= _MOST_LINE and wanted & set(list_words(line)):
                    yield from self._read_inline(column, kind, page, Span(start, end))

    def _read_inline(
        self, column: ColumnSpec, kind: DataType, page: Page, line: Span
    ) -> Iterator[Finding]:
        text = page.text[line.start : line.end]
        values = list(find_typed(text, kind, self._writing))
        if values:
            value = values[-1] if is_money(column) else values[0]
            if not (_ends_line(text, value) or _may_be(column, value)):
                return
            name = text[: value.start]
            for other in reversed(values):
                if other.end <= value.start:
                    name = name[: other.start] + name[other.end :]
            fit = compare_label(name, column.name)
            if fit >= _LEAST_LABEL:
                fit -= _crowd(values) if kind is DataType.NUMBER else 0.0
                yield from self._make(column, page, line.start, value, (Method.LABEL, fit))
            return
        # Scans put the value of a short line below it.
        fit = compare_label(text, column.name)
        below = next(list_lines(page.text, line.end + 1, len(page.text)), None)
        if fit >= _CLEAR_LABEL and below is not None:
            said = page.text[below[0] : below[1]]
            values = list(find_typed(said, kind, self._writing))
            if len(values) == 1 and len(said.split()) <= 3 and _ends_line(said, values[0]):
                yield from self._make(column, page, below[0], values[0], (Method.LABEL, fit - 0.2))

    def _make(
        self, column: ColumnSpec, page: Page, offset: int, found: Typed, how: tuple[Method, float]
    ) -> Iterator[Finding]:
        """The finding of a typed value that stands at `offset` of a page, unless its column refuses it."""
        method, fit = how
        start, end = offset + found.start, offset + found.end
        is_text = column.rules.data_type is DataType.TEXT and method not in _WORDED
        value = read_value(column, tidy(page.text[start:end]) if is_text else found.canonical)
        if isinstance(found, Amount) and is_money(column):
            fit += _judge_amount(found)
        if value is not None:
            strength = _BASE[method] + 0.4 * fit
            yield Finding(value, Place(page.number, start, end), method, strength, found.doubtful)

    def _find_sections(self, column: ColumnSpec) -> Iterator[Finding]:
        if column.rules.data_type is not DataType.TEXT or guess_kind(column) is not DataType.TEXT:
            return
        if has_phrases(column.name):
            return
        for page, first, last in self._parts:
            for span in list_sections(page.text, first, last, column.name):
                yield from self._read(column, page, span, Method.SECTION, 0.8)

    def _find_phrased(self, column: ColumnSpec) -> Iterator[Finding]:
        if column.rules.data_type not in {DataType.TEXT, DataType.ENUM}:
            return
        for number, (page, first, last) in enumerate(self._parts):
            for found, fit in find_phrases(page.text[first:last], column.name):
                # Of many durations few are the agreement's own: they are weighed apart.
                method = Method.DURATION if read_duration(found.canonical) else Method.PHRASE
                how = (method, fit - 0.02 * min(5, number))
                yield from self._make(column, page, first, found, how)

    def _find_nearby(self, column: ColumnSpec) -> Iterator[Finding]:
        """Values of the column's kind with the words of its name around them, the earlier the better."""
        kind = guess_kind(column)
        if kind in _UNTYPED:
            return
        name = _list_telling_words(column)
        # "Date" alone may mean any date, a due date or a total does not; a count or a number that
        # identifies looks like any other, so that it needs its whole name.
        needed = kind in _NUMBERS or not set(list_words(column.name)) <= KIND_WORDS
        counts = kind in _NUMBERS and not is_money(column)
        name = frozenset(list_words(column.name)) if counts else name
        dating = kind in {DataType.DATE, DataType.DATETIME} and _is_of_document(column)
        seen = 0
        for page, first, last in self._parts:
            text = page.text[first:last]
            for found in find_typed(text, kind, self._writing):
                seen += 1
                if seen > _MOST_NEARBY:
                    return
                near = _count_near(text, found, name)
                dated = dating and _DATING.search(text, max(0, found.start - _WINDOW), found.start)
                least = 1.0 if counts else 0.01 if needed and not dated else 0.0
                if near < least or not _may_be(column, found):
                    continue
                fit = 0.5 * near + 0.3 / (1 + 0.25 * seen) + (0.3 if dated else 0.0)
                yield from self._make(column, page, first, found, (Method.NEARBY, fit))

    def _find_laid_out(self, column: ColumnSpec) -> Iterator[Finding]:
        if not self._parts or self._parts[0][0].number != 1:
            return
        page = self._parts[0][0]
        for span, fit in find_layout(page, column.name):
            yield from self._read(column, page, span, Method.LAYOUT, fit)


def _crowd(values: Sequence[Typed]) -> float:
    """What is taken off when a label has several amounts behind it: it is a row of a summary."""
    amounts = [v for v in values if isinstance(v, Amount) and (v.money or v.decimals)]
    return 0.4 if len(amounts) > 1 else 0.0


def _may_be(column: ColumnSpec, found: Typed) -> bool:
    """Whether a value in running text may be the column's.

    Of amounts only those with a currency or decimals: the others number pages, lists and years.
    """
    return not is_money(column) or not isinstance(found, Amount) or found.money or found.decimals


def _ends_line(text: str, found: Typed) -> bool:
    """Whether a value is the last thing of a short line and not in brackets: it has a label, no sentence."""
    short = len(text.split()) <= _FEW_WORDS
    return short and not text[found.end :].strip(" .") and text[found.start] != "("


def _judge_amount(found: Amount) -> float:
    """How much more a number looks like an amount of money than another."""
    if found.percent or found.canonical == "0":
        return -0.4
    return 0.25 if found.money else 0.1 if found.decimals else -0.3


def _list_labels_around(scope: Scope) -> Iterator[tuple[Page, Label]]:
    """Labels of the record's document that stand in none of its records."""
    taken: dict[int, list[tuple[int, int]]] = {}
    for record in scope.document.records:
        taken.setdefault(record.page, []).append((record.span.start, record.span.end))
    for page, first, last in Scope(scope.document).list_parts():
        spans = taken.get(page.number, [])
        for label in list_labels(page, first, last):
            if not any(start <= label.value.start < end for start, end in spans):
                yield page, label


def _list_telling_words(column: ColumnSpec) -> frozenset[str]:
    """The words of a name that tell it from others of its kind: of an effective date, effective."""
    words = frozenset(list_words(column.name))
    kinds = words & frozenset(["date", "number", "amount", "value"])
    return words - KIND_WORDS or kinds


_DATING = re.compile(
    r"\b(?:dated|effective|made|entered\s+into|executed|this|as\s+of)\b[^.;]{0,40}\Z", re.IGNORECASE
)
_OF_DOCUMENT = frozenset(
    ["date", "effective", "agreement", "contract", "document", "start", "signing", "letter"]
)


def _is_of_document(column: ColumnSpec) -> bool:
    """Whether a date column means the document's own: dated, made, effective as of."""
    return set(list_words(column.name)) <= _OF_DOCUMENT


def _count_near(text: str, found: Typed, name: frozenset[str]) -> float:
    """The share of `name` within a line or so before `found`, or half a line behind it."""
    if not name:
        return 0.0
    before = text[max(0, found.start - _WINDOW) : found.start]
    after = text[found.end : found.end + _WINDOW // 2]
    there = set(list_words(re.sub(r"\s+", " ", f"{before} {after}")))
    return len(name & there) / len(name)


def _weigh(findings: Sequence[Finding]) -> Found | None:
    """The strongest value, what stands in more places counting a little more, and its rival."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(_fold(finding.value), []).append(finding)
    if not groups:
        return None
    worth = {key: _sum_up(group) for key, group in groups.items()}
    order = sorted(groups, key=lambda key: -worth[key])
    best = max(groups[order[0]], key=lambda finding: finding.strength)
    if len(order) == 1:
        return Found(best, None, 1.0, len(groups[order[0]]))
    rival = max(groups[order[1]], key=lambda finding: finding.strength)
    margin = round(worth[order[0]] - worth[order[1]], 4)
    return Found(best, rival, margin, len(groups[order[0]]))


def _sum_up(group: Sequence[Finding]) -> float:
    places = {finding.place for finding in group}
    return max(finding.strength for finding in group) + 0.04 * min(3, len(places) - 1)


def _fold(value: str) -> str:
    return " ".join(value.casefold().split())
