"""What is kept of a page beside its text, as one line of JSON: words, tables, hidden text, records.

`load_page(number, page.text, dump_layout(page, records))` is the page and its records again, exactly.
"""

from collections.abc import Sequence

import msgspec

from gridmill.providers.documents.model import Page, Record, Span, Table, Word

_Span = tuple[int, int]
_Cells = tuple[_Span | None, ...]


class _Layout(msgspec.Struct, array_like=True, frozen=True):
    """Spans are `[start, end]`, words `[start, end, left, top, right, bottom]`."""

    words: tuple[tuple[int, int, float, float, float, float], ...] = ()
    tables: tuple[tuple[_Cells, tuple[_Cells, ...]], ...] = ()
    records: tuple[tuple[int, _Span, tuple[tuple[str, _Span], ...]], ...] = ()
    hidden: str | None = None


_DECODER = msgspec.json.Decoder(_Layout)


def dump_layout(page: Page, records: Sequence[Record] = ()) -> str:
    """What is known of a page beside its number and text, and the records that stand on it.

    Coordinates are finite numbers of points.
    """
    layout = _Layout(
        words=tuple((word.start, word.end, *word.box) for word in page.words),
        tables=tuple(
            (_dump_cells(table.header), tuple(map(_dump_cells, table.rows)))
            for table in page.tables
        ),
        records=tuple(
            (
                record.number,
                (record.span.start, record.span.end),
                tuple((name, (span.start, span.end)) for name, span in record.fields),
            )
            for record in records
        ),
        hidden=page.hidden,
    )
    return msgspec.json.encode(layout).decode()


def load_page(number: int, text: str, layout: str | None) -> tuple[Page, tuple[Record, ...]]:
    """Page `number` and its records from what was stored; `None`: nothing is known but the text.

    Raises `msgspec.DecodeError` for a layout that `dump_layout` did not write.
    """
    if layout is None:
        return Page(number, text), ()
    found = _DECODER.decode(layout)
    page = Page(
        number,
        text,
        words=tuple(Word(word[0], word[1], word[2:]) for word in found.words),
        tables=tuple(
            Table(_load_cells(header), tuple(map(_load_cells, rows)))
            for header, rows in found.tables
        ),
        hidden=found.hidden,
    )
    records = tuple(
        Record(
            order,
            number,
            Span(*span),
            tuple((name, Span(*place)) for name, place in fields),
        )
        for order, span, fields in found.records
    )
    return page, records


def _dump_cells(cells: Sequence[Span | None]) -> _Cells:
    return tuple(None if span is None else (span.start, span.end) for span in cells)


def _load_cells(cells: _Cells) -> tuple[Span | None, ...]:
    return tuple(None if span is None else Span(*span) for span in cells)
