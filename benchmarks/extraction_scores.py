"""When an extracted value is right, and the figures over many."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from difflib import SequenceMatcher
from typing import Any

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.extraction.dates import Order, find_dates
from gridmill.operations.extraction.phrases import read_duration
from gridmill.operations.extraction.typed import guess_kind, read_text, read_writing
from gridmill.operations.model import ColumnSpec
from gridmill.providers.documents.model import Document

_SIMILAR = 0.85
"""Texts that share so much of their letters are the same: OCR and truth differ in some."""

_IDLE_WORDS = re.compile(r"\b(?:the|state of|commonwealth of|states of)\b")


def is_right(value: str, truth: Sequence[str], rules: ValueRules) -> bool:
    """Whether `value` is one of the true values: as a date, a number, or nearly the same text."""
    return any(_is_same(value, one, rules.data_type) for one in truth)


def _is_same(value: str, truth: str, kind: DataType) -> bool:
    if kind is DataType.DATE:
        # The truth's writing is known: these receipts write the day first.
        days = [day.canonical for day in find_dates(truth, Order.DAY_FIRST)]
        return value in days
    if kind in {DataType.NUMBER, DataType.INTEGER}:
        try:
            return Decimal(value) == Decimal(re.sub(r"[^0-9.-]", "", truth))
        except InvalidOperation:
            return False
    one, other = _fold(value), _fold(truth)
    if not one or not other:
        return False
    return one == other or SequenceMatcher(None, one, other, autojunk=False).ratio() >= _SIMILAR


def _fold(text: str) -> str:
    words = " ".join(re.findall(r"[^\W_]+", text.casefold().replace("&", " and ").replace(".", "")))
    return _IDLE_WORDS.sub("", words).replace(" ", "")


def is_cited(
    document: Document,
    sources: Sequence[Mapping[str, Any]],
    truth: Sequence[str],
    column: ColumnSpec,
) -> bool:
    """Whether the first source's quote stands at its place and alone reads as a true value."""
    if not sources or sources[0].get("kind") != "document":
        return False
    source = sources[0]
    page = next((page for page in document.pages if page.number == source["page"]), None)
    if page is None or page.text[source["start"] : source["end"]] != source["quote"]:
        return False
    writing = read_writing([page.text for page in document.pages[:50]])
    said = read_text(column, source["quote"], guess_kind(column), writing)
    if said is None:
        return False
    value = read_duration(said.canonical) or said.canonical
    return is_right(value, truth, column.rules)
