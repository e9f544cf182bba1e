"""Documents with known truth for `benchmarks.extraction`, read by a few lines of our own.

The folder is that of GRIDMILL_BENCH_DATA, `extraction/` in it: `nda` (agreements, kleister-nda),
`receipts` (scans, ICDAR 2019 SROIE), `credit_agreements` and `papers` (extract-bench).
"""

import ctypes
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pypdfium2 as pdfium
from pypdfium2 import raw

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.model import ColumnSpec
from gridmill.providers.documents.model import Document, Page, Word

KINDS = ("nda", "receipts", "credit_agreements", "papers")
_MOST_PAGES_WITH_WORDS = 20


@dataclass(frozen=True)
class Example:
    """A document's file and the truth: for each column number the values that are right."""

    kind: str
    path: Path
    truth: Mapping[int, tuple[str, ...]]


def _column(
    number: int, name: str, kind: DataType = DataType.TEXT, prompt: str | None = None
) -> ColumnSpec:
    return ColumnSpec(number, name, ValueRules(kind), prompt=prompt)


COLUMNS: Mapping[str, Sequence[ColumnSpec]] = {
    "nda": (
        _column(1, "effective_date", DataType.DATE, "The date on which the agreement takes effect"),
        _column(2, "jurisdiction", prompt="The state or country whose laws govern the agreement"),
        _column(3, "party", prompt="A party of the agreement: a company's or person's full name"),
        _column(4, "term", prompt="How long the agreement lasts, like 2 years"),
    ),
    "receipts": (
        _column(1, "company", prompt="The name of the company that gave the receipt"),
        _column(2, "date", DataType.DATE, "The date of the receipt"),
        _column(3, "address", prompt="The company's address"),
        _column(4, "total", DataType.NUMBER, "The total amount to pay"),
    ),
    "credit_agreements": (
        _column(1, "agreement_date", DataType.DATE, "The date of the credit agreement"),
        _column(2, "maturity_date", DataType.DATE, "The final date by which all must be repaid"),
        _column(3, "borrower", prompt="The legal entity that receives the credit facility"),
        _column(4, "administrative_agent", prompt="The institution that administers the facility"),
        _column(5, "governing_law", prompt="The jurisdiction whose laws govern the agreement"),
        _column(6, "loan_commitment_amount", DataType.NUMBER, "The total amount of all facilities"),
    ),
    "papers": (
        _column(1, "ids", prompt="The unique identifier of the paper: a DOI or arXiv id"),
        _column(2, "title", prompt="The full title of the paper"),
        _column(3, "abstract", prompt="The paper's abstract"),
        _column(4, "publication_date", DataType.DATE, "The date of publication"),
        _column(5, "venue", prompt="Where the paper was published"),
    ),
}


def list_examples(folder: Path, kind: str) -> list[Example]:
    """All documents of `kind` with their truth, in a fixed order."""
    return list(_LISTERS[kind](folder / kind))


def _list_nda(folder: Path) -> Iterator[Example]:
    names = [column.name for column in COLUMNS["nda"]]
    for line in (folder / "truth.jsonl").read_text().splitlines():
        said = json.loads(line)
        truth = {
            n: tuple(said["fields"][name])
            for n, name in enumerate(names, 1)
            if name in said["fields"]
        }
        yield Example("nda", folder / said["file"], truth)


def _list_receipts(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.glob("*.json")):
        said = json.loads(path.read_text())
        truth = {c.number: (said[c.name],) for c in COLUMNS["receipts"] if said.get(c.name)}
        yield Example("receipts", path.with_suffix(".jpg"), truth)


def _list_gold(kind: str) -> Callable[[Path], Iterator[Example]]:
    def lister(folder: Path) -> Iterator[Example]:
        for path in sorted(folder.glob("*.gold.json")):
            fields = dict(_flatten(json.loads(path.read_text()), ""))
            truth = {
                column.number: (str(fields[column.name]),)
                for column in COLUMNS[kind]
                if fields.get(column.name) not in {None, "NOT_FOUND"}
            }
            yield Example(kind, path.with_name(path.name.replace(".gold.json", ".pdf")), truth)

    return lister


def _flatten(said: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in said.items():
        if isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            nested = f"{name}_" if name == "loan_commitment" else ""
            yield from _flatten(inner, nested)
        elif not isinstance(value, list):
            yield prefix + name, value


_LISTERS: Mapping[str, Callable[[Path], Iterator[Example]]] = {
    "nda": _list_nda,
    "receipts": _list_receipts,
    "credit_agreements": _list_gold("credit_agreements"),
    "papers": _list_gold("papers"),
}


def read_document(path: Path, cache: Path) -> Document:
    """The document at `path`: a PDF's own text, a picture's by OCR (kept in `cache`)."""
    if path.suffix == ".pdf":
        return _read_pdf(path)
    return _read_scan(path, cache)


def _read_pdf(path: Path) -> Document:
    pages: list[Page] = []
    with pdfium.PdfDocument(path) as pdf:
        for number, page in enumerate(pdf, 1):
            text_page = page.get_textpage()
            text = text_page.get_text_range().replace("\r\n", "\n")
            words = ()
            if number <= _MOST_PAGES_WITH_WORDS:
                words = tuple(_list_words(text_page, text, page.get_height()))
            pages.append(Page(number, text.replace("\ufffe", "-").replace("\0", " "), words))
    return Document(path.name, pages)


def _list_words(text_page: pdfium.PdfTextPage, text: str, height: float) -> Iterator[Word]:
    """Words with the union of their characters' boxes."""
    count = text_page.count_chars()
    boxes: list[tuple[str, tuple[float, float, float, float]]] = []
    edges = [ctypes.c_double() for _ in range(4)]
    for index in range(count):
        char = chr(raw.FPDFText_GetUnicode(text_page, index))
        raw.FPDFText_GetCharBox(text_page, index, *map(ctypes.byref, edges))
        left, right, bottom, top = (edge.value for edge in edges)
        boxes.append((char, (left, height - top, right, height - bottom)))
    place = 0
    for word in text.split():
        start = text.index(word, place)
        place = start + len(word)
        inside: list[tuple[float, float, float, float]] = []
        for char in word:
            while boxes and boxes[0][0] != char:
                boxes.pop(0)
            if boxes:
                inside.append(boxes.pop(0)[1])
        if inside:
            lefts, tops, rights, bottoms = zip(*inside, strict=True)
            yield Word(start, place, (min(lefts), min(tops), max(rights), max(bottoms)))


def _read_scan(path: Path, cache: Path) -> Document:
    kept = cache / f"{path.stem}.json"
    if not kept.exists():
        from rapidocr import RapidOCR

        said: Any = RapidOCR(params={"Global.log_level": "error"})(str(path))
        boxes: list[Any] = [] if said.boxes is None else list(said.boxes)
        rows = [
            [text, [[float(x), float(y)] for x, y in box], float(score)]
            for text, box, score in zip(said.txts or (), boxes, said.scores or (), strict=True)
        ]
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(rows))
    return Document(path.name, [_join_lines(json.loads(kept.read_text()))])


def _join_lines(rows: Sequence[Any]) -> Page:
    """The page of recognised pieces: those on one height are a line, from left to right."""
    pieces = [
        (
            min(y for _, y in box),
            max(y for _, y in box),
            min(x for x, _ in box),
            max(x for x, _ in box),
            text,
        )
        for text, box, _ in rows
    ]
    lines: list[list[Any]] = []
    for piece in sorted(pieces, key=lambda p: (p[0] + p[1]) / 2):
        middle = (piece[0] + piece[1]) / 2
        if lines and lines[-1][-1][0] < middle < lines[-1][-1][1]:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    text = ""
    words: list[Word] = []
    for line in lines:
        for top, bottom, left, right, said in sorted(line, key=lambda p: p[2]):
            words.append(Word(len(text), len(text) + len(said), (left, top, right, bottom)))
            text += said + " "
        text = text[:-1] + "\n"
    return Page(1, text, tuple(words))
