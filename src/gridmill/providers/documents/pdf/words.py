"""The words of a PDF page with their boxes, in the order of the file.

PDFium's own functions are called without its Python objects: a page has thousands of characters.
"""

import re
from collections.abc import Callable, Iterator
from ctypes import byref, c_ushort
from dataclasses import dataclass, field
from math import pi, sin

import pypdfium2 as pdfium
from pypdfium2 import raw

from gridmill.providers.documents.characters import strip_invisible
from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.pdf.geometry import Handle, PageFrame
from gridmill.providers.documents.placing import Placed

MAX_CHARACTERS = 300_000
"""Characters of a page; a printed one has some 3,000."""

_UPRIGHT = 0.7
"""Sine of the angle from which on a text is read from the side."""

# PDFium marks the hyphen at a line's end, where it joins the halves of a word.
_HYPHENS = "\x02\ufffe"
_WORD = re.compile(f"[^\\s{_HYPHENS}]+[{_HYPHENS}]?")
_UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0b\x0e-\x1f]")


@dataclass(slots=True)
class PageWords:
    """What a page's text says: `shown` words, `turned` ones, and what a reader does not see."""

    shown: list[Placed] = field(default_factory=list[Placed])
    turned: list[Placed] = field(default_factory=list[Placed])
    hidden: list[str] = field(default_factory=list[str])
    unmapped: int = 0
    """Characters whose font does not say what they are."""


def read_words(
    page: pdfium.PdfPage,
    number: int,
    frame: PageFrame,
    is_hidden: Callable[[int, Placed], bool] | None,
) -> PageWords:
    """The words of a page; `is_hidden` is asked of each character's object where some may be.

    Raises `UnreadableDocument` when the page holds more text than any page does.
    """
    text_page = raw.FPDFText_LoadPage(page)
    if not text_page:
        raise UnreadableDocument(f"The text of page {number} is damaged; save the PDF anew.")
    try:
        count = raw.FPDFText_CountChars(text_page)
        if count > MAX_CHARACTERS:
            raise UnreadableDocument(
                f"Page {number} holds {count:,} characters; at most {MAX_CHARACTERS:,} are read."
            )
        return _collect(text_page, count, frame, is_hidden) if count > 0 else PageWords()
    finally:
        raw.FPDFText_ClosePage(text_page)


def _collect(
    text_page: Handle,
    count: int,
    frame: PageFrame,
    is_hidden: Callable[[int, Placed], bool] | None,
) -> PageWords:
    found = PageWords()
    box = raw.FS_RECTF()
    for text, first, last in _cut_words(text_page, count):
        found.unmapped += len(_UNMAPPED.findall(text))
        word = Placed(text, *frame.place(*_measure(text_page, first, last, box)))
        seen, concealed = text, ""
        if not frame.shows(word[1:]):
            seen, concealed = "", text
        elif is_hidden is not None:
            seen, concealed = _part(text_page, word, first, last, is_hidden)
        seen, invisible = strip_invisible(seen)
        found.hidden += filter(None, (concealed, invisible))
        if seen:
            is_turned = _is_turned(text_page, first, frame)
            (found.turned if is_turned else found.shown).append(word._replace(text=seen))
    return found


def _cut_words(text_page: Handle, count: int) -> Iterator[tuple[str, int, int]]:
    """Each word with the indices of its first and last character."""
    buffer = (c_ushort * (count + 1))()
    written = raw.FPDFText_GetText(text_page, 0, count, buffer)
    units = bytes(buffer)[: 2 * max(written - 1, 0)]
    text = units.decode("utf-16-le", "surrogatepass")
    if 2 * len(text) != len(units):
        # Beyond the first plane a character takes two units, and PDFium counts units.
        text = "".join(map(chr, buffer[: len(units) // 2]))
    is_aligned = len(text) == count
    for match in _WORD.finditer(text):
        first, last = match.start(), match.end() - 1
        if not is_aligned:
            first = raw.FPDFText_GetCharIndexFromTextIndex(text_page, first)
            last = raw.FPDFText_GetCharIndexFromTextIndex(text_page, last)
        word = match[0]
        if word[-1] in _HYPHENS:
            word = word[:-1] + "-"
            last -= 1
        if not word.isascii():
            word = word.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if first >= 0 and last >= first:
            yield word, first, last


def _measure(
    text_page: Handle, first: int, last: int, box: Handle
) -> tuple[float, float, float, float]:
    raw.FPDFText_GetLooseCharBox(text_page, first, byref(box))
    left, bottom, right, top = box.left, box.bottom, box.right, box.top
    if last > first:
        raw.FPDFText_GetLooseCharBox(text_page, last, byref(box))
        left, bottom = min(left, box.left), min(bottom, box.bottom)
        right, top = max(right, box.right), max(top, box.top)
    return left, bottom, right, top


def _is_turned(text_page: Handle, at: int, frame: PageFrame) -> bool:
    """Whether a character stands on its side on the page as it is shown."""
    angle = raw.FPDFText_GetCharAngle(text_page, at)
    return angle >= 0 and abs(sin(angle - frame.turns * pi / 2)) > _UPRIGHT


def _part(
    text_page: Handle,
    word: Placed,
    first: int,
    last: int,
    is_hidden: Callable[[int, Placed], bool],
) -> tuple[str, str]:
    """A word's characters that are seen, and those that are not."""
    flags = [
        is_hidden(raw.FPDFText_GetTextObject(text_page, at), word) for at in range(first, last + 1)
    ]
    if all(flags):
        return "", word.text
    if not any(flags) or len(flags) != len(word.text):
        return word.text, ""
    seen = "".join(sign for sign, flag in zip(word.text, flags, strict=True) if not flag)
    return seen, "".join(sign for sign, flag in zip(word.text, flags, strict=True) if flag)
