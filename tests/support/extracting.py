"""Documents, columns and orders for tests of extraction."""

from collections.abc import Mapping, Sequence

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.model import ColumnSpec
from gridmill.providers.documents.model import Document, Page, Record, Span, Table, Word


def column(
    number: int,
    name: str,
    data_type: DataType = DataType.TEXT,
    *,
    options: tuple[str, ...] = (),
    prompt: str | None = None,
    threshold: float | None = None,
    use_cache: bool = True,
) -> ColumnSpec:
    return ColumnSpec(
        number,
        name,
        ValueRules(data_type, options),
        prompt=prompt,
        threshold=threshold,
        use_cache=use_cache,
    )


def page(text: str, number: int = 1, *, boxes: bool = False, hidden: str | None = None) -> Page:
    """A page of `text`; with `boxes` every word is ten points wide for each of its characters."""
    return Page(number, text, _place_words(text) if boxes else (), hidden=hidden)


def _place_words(text: str) -> list[Word]:
    words: list[Word] = []
    for line, start in _list_lines(text):
        place = 0
        for part in line.split(" "):
            if part:
                left, top = 10.0 * place, 12.0 * text[:start].count("\n")
                box = (left, top, left + 10.0 * len(part), top + 10.0)
                words.append(Word(start + place, start + place + len(part), box))
            place += len(part) + 1
    return words


def _list_lines(text: str) -> list[tuple[str, int]]:
    lines, start = [], 0
    for line in text.split("\n"):
        lines.append((line, start))
        start += len(line) + 1
    return lines


def document(*texts: str, boxes: bool = False, hidden: str | None = None) -> Document:
    """A document of a page for each text."""
    pages = [page(text, n, boxes=boxes, hidden=hidden) for n, text in enumerate(texts, 1)]
    return Document("paper.pdf", pages)


def listing(header: Sequence[str], rows: Sequence[Mapping[str, str]], above: str = "") -> Document:
    """A page with a table of `rows` below `above`, every row a record with named fields."""
    text = above + " | ".join(header) + "\n"
    records: list[Record] = []
    cells: list[tuple[Span | None, ...]] = []
    for number, row in enumerate(rows, 1):
        begin, spans = len(text), {}
        for name in header:
            value = row.get(name, "")
            if value:
                spans[name] = Span(len(text), len(text) + len(value))
            text += value + " | "
        text = text[:-3] + "\n"
        fields = tuple((name, span) for name, span in spans.items())
        records.append(Record(number, 1, Span(begin, len(text) - 1), fields))
        cells.append(tuple(spans.get(name) for name in header))
    heads, place = [], len(above)
    for name in header:
        heads.append(Span(place, place + len(name)))
        place += len(name) + 3
    table = Table(tuple(heads), tuple(cells))
    return Document("list.pdf", [Page(1, text, tables=(table,))], records)
