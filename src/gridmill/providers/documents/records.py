"""What a page lists: rows of tables, entries of lists, blocks of labels that repeat."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gridmill.providers.documents.model import Page, Record, Span, Table

MAX_ENTRY = 600
"""Characters of a list's entry; what is numbered and longer are a contract's clauses."""

_LABELLED = re.compile(
    r"^[^\S\n]*(?P<label>[^\W_][^\n\t:;.!?]{0,40}?)[^\S\n]*:[^\S\n]+(?P<value>\S[^\n]*?)[^\S\n]*$",
    re.MULTILINE,
)
_MARKED = re.compile(r"[^\S\n]*(?:(?P<sign>[-•*–·◦▪‣])|\(?(?P<number>\d{1,4})[.)])[^\S\n]+(?=\S)")
_MOST_GAP = 3
"""Lines without a label that may stand between two labels of one block."""

_Fields = tuple[tuple[str, Span], ...]


@dataclass(frozen=True, slots=True)
class _Found:
    span: Span
    fields: _Fields = ()


def find_records(page: Page, first: int = 1) -> tuple[Record, ...]:
    """The records of a page in the order of its text, numbered from `first`; none overlap.

    A table's rows are records with a field for each named column (a table of two columns without
    a header is one thing described), repeated blocks of `label: value` lines with a field for each
    label; a list's entries have no fields.
    """
    taken = [span for table in page.tables if (span := _enclose(table)) is not None]
    found = [one for table in page.tables for one in _list_rows(page.text, table)]
    for listed in (_list_blocks, _list_entries):
        more = [
            one
            for one in listed(page.text)
            if not any(one.span.start < span.end and span.start < one.span.end for span in taken)
        ]
        # One alone that is left over lists nothing.
        if len(more) > 1:
            found += more
            taken += [one.span for one in more]
    found.sort(key=lambda one: one.span.start)
    return tuple(
        Record(number, page.number, one.span, one.fields) for number, one in enumerate(found, first)
    )


def _enclose(table: Table) -> Span | None:
    spans = [span for row in (table.header, *table.rows) for span in row if span is not None]
    if not spans:
        return None
    return Span(min(span.start for span in spans), max(span.end for span in spans))


def _list_rows(text: str, table: Table) -> Iterator[_Found]:
    names = [None if span is None else text[span.start : span.end] for span in table.header]
    if len(names) < 2 or (len(names) < 3 and not any(names)):
        return
    for row in table.rows:
        spans = [span for span in row if span is not None]
        if spans:
            fields = tuple(
                (name, span)
                for name, span in zip(names, row, strict=True)
                if name and span is not None
            )
            start = min(span.start for span in spans)
            yield _Found(Span(start, max(span.end for span in spans)), fields)


def _list_blocks(text: str) -> Iterator[_Found]:
    lines = list(_LABELLED.finditer(text))
    counts = Counter(line["label"] for line in lines)
    first = next((line["label"] for line in lines if counts[line["label"]] > 1), None)
    if first is None:
        return
    blocks: list[list[re.Match[str]]] = []
    end = 0
    for line in lines:
        near = text.count("\n", end, line.start()) <= _MOST_GAP + 1
        if line["label"] == first:
            blocks.append([line])
        elif blocks and near and blocks[-1][-1].end() == end:
            blocks[-1].append(line)
        else:
            continue
        end = line.end()
    common = Counter(label for block in blocks for label in {line["label"] for line in block})
    shared = {label for label, count in common.items() if count > 1}
    for block in blocks:
        # Behind the last block of a kind may stand labels of something else.
        while len(block) > 1 and block[-1]["label"] not in shared:
            block.pop()
        if len({line["label"] for line in block} & shared) > 1:
            fields = tuple((line["label"], Span(*line.span("value"))) for line in block)
            yield _Found(Span(block[0].start("label"), block[-1].end()), fields)


def _list_entries(text: str) -> Iterator[_Found]:
    group: list[tuple[Span, int | None]] = []
    at, was_blank = 0, True
    for line in text.splitlines(keepends=True):
        end = at + len(line.rstrip())
        marked = _MARKED.match(line)
        if not line.strip():
            was_blank = True
        else:
            if marked is not None:
                number = None if marked["number"] is None else int(marked["number"])
                if group and not _follows(group[-1][1], number):
                    yield from _close(group)
                    group = []
                group.append((Span(at + marked.end(), end), number))
            elif group and was_blank:
                yield from _close(group)
                group = []
            elif group:
                group[-1] = Span(group[-1][0].start, end), group[-1][1]
            was_blank = False
        at += len(line)
    yield from _close(group)


def _follows(before: int | None, number: int | None) -> bool:
    if before is None or number is None:
        return before is number
    return number == before + 1


def _close(group: Sequence[tuple[Span, int | None]]) -> Iterator[_Found]:
    if len(group) > 1 and all(span.end - span.start <= MAX_ENTRY for span, _ in group):
        yield from (_Found(span) for span, _ in group)
