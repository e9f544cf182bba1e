"""Which texts of a PDF page no reader sees.

What may be hidden (faint, in its ground's colour, under something else, not drawn at all) is judged
by the page's picture: it is drawn with these texts and without them, and a text whose place looks
the same in both is not seen. Only pages with such texts are drawn.
"""

from collections.abc import Callable, Sequence
from ctypes import addressof

import numpy as np
import pypdfium2 as pdfium
from pypdfium2 import raw

from gridmill.providers.documents.model import Box
from gridmill.providers.documents.pdf.drawing import Drawing, DrawnText, Ground
from gridmill.providers.documents.pdf.geometry import Handle, PageFrame, Picture, draw
from gridmill.providers.documents.placing import Placed
from gridmill.providers.documents.styles import TINY_POINTS

_LIGHT = 600
"""Sum of red, green and blue from which text on white paper may not be seen."""

_NEAR = 60
"""Sum of the channels' differences under which two colours look alike."""

_MOST_GROUNDS = 300
_MOST_PIXELS = 2_000
"""Of a picture's longer side."""

_SEEN = 24
"""Of 255: by how much a pixel changes where something is seen."""

_INK = 60
"""Of 255: the contrast of a scan where letters stand in it."""


def find_hidden(
    page: pdfium.PdfPage, drawing: Drawing, frame: PageFrame
) -> Callable[[int, Placed], bool] | None:
    """Whether a text object's word is hidden; `None` when no text of the page can be.

    Invisible text over a picture that shows ink there is the text layer of a scan, and seen.
    """
    tiny = {text.key for text in drawing.texts if text.size < TINY_POINTS}
    doubtful = [
        text for text in drawing.texts if text.key not in tiny and _is_doubtful(text, drawing)
    ]
    if not tiny and not doubtful:
        return None
    scale = min(1.5, _MOST_PIXELS / max(frame.width, frame.height, 1.0))
    pictures = [ground.box for ground in drawing.grounds if ground.colour is None]
    layer = {
        text.key
        for text in doubtful
        if text.is_invisible and any(_covers(box, text.box) for box in pictures)
    }
    with_texts = draw(page, scale, grey=True) if doubtful else None
    compared = [text for text in doubtful if text.key not in layer]
    without = _draw_without(page, scale, drawing, compared) if compared else with_texts
    judged = {text.key for text in doubtful}

    def is_hidden(handle: Handle, word: Placed) -> bool:
        if not handle:
            return False
        key = addressof(handle.contents)
        if key in tiny:
            return True
        if key not in judged or with_texts is None or without is None:
            return False
        place = _cut(word, scale, with_texts)
        if place is None:
            return True
        if key in layer:
            ink = with_texts[place]
            return int(ink.max()) - int(ink.min()) < _INK
        change = np.abs(with_texts[place].astype(np.int16) - without[place])
        return bool(change.max() < _SEEN)

    return is_hidden


def _is_doubtful(text: DrawnText, drawing: Drawing) -> bool:
    if text.is_invisible or not text.is_opaque:
        return True
    below: tuple[int, int, int] | None = (255, 255, 255)
    for ground in _list_grounds(drawing.grounds):
        if not _covers(ground.box, text.box):
            continue
        if ground.order > text.order:
            return True
        below = ground.colour
    if text.colour is None or below is None:
        # Stroked, patterned, or on a picture: in doubt when it may be as light as paper.
        return text.colour is not None and sum(text.colour) > _LIGHT
    difference = sum(abs(one - other) for one, other in zip(text.colour, below, strict=True))
    return difference < _NEAR or (below == (255, 255, 255) and sum(text.colour) > _LIGHT)


def _list_grounds(grounds: Sequence[Ground]) -> Sequence[Ground]:
    """All grounds, or the largest where there are very many, in the order of drawing."""
    if len(grounds) <= _MOST_GROUNDS:
        return grounds
    largest = sorted(grounds, key=lambda ground: -_measure(ground.box))[:_MOST_GROUNDS]
    return sorted(largest, key=lambda ground: ground.order)


def _measure(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _covers(outer: Box, inner: Box) -> bool:
    across, down = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= across <= outer[2] and outer[1] <= down <= outer[3]


def _draw_without(
    page: pdfium.PdfPage, scale: float, drawing: Drawing, texts: Sequence[DrawnText]
) -> Picture:
    for text in texts:
        raw.FPDFPageObj_SetIsActive(drawing.handles[text.key], False)
    try:
        return draw(page, scale, grey=True)
    finally:
        for text in texts:
            raw.FPDFPageObj_SetIsActive(drawing.handles[text.key], True)


def _cut(word: Placed, scale: float, picture: Picture) -> tuple[slice, slice] | None:
    """Where a word stands in a picture; `None` when that is outside."""
    down = slice(max(0, int(word.top * scale)), int(word.bottom * scale) + 1)
    across = slice(max(0, int(word.left * scale)), int(word.right * scale) + 1)
    return (down, across) if picture[down, across].size else None
