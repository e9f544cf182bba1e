"""From PDF's coordinates (from the lower left, unturned) to a page's as it is shown."""

from ctypes import byref
from dataclasses import dataclass
from typing import Any

import numpy as np
import pypdfium2 as pdfium
from pypdfium2 import raw

from gridmill.providers.documents.model import Box

Picture = np.ndarray[Any, np.dtype[np.uint8]]
"""Rows × columns, and × blue, green, red unless it is grey."""

Handle = Any
"""A pointer or structure of PDFium's own, by ctypes."""


@dataclass(frozen=True, slots=True)
class PageFrame:
    """The part of a page that is shown: its box in PDF's coordinates, and quarter turns clockwise."""

    left: float
    bottom: float
    right: float
    top: float
    turns: int

    @property
    def width(self) -> float:
        """Points from left to right as it is shown."""
        return self.top - self.bottom if self.turns % 2 else self.right - self.left

    @property
    def height(self) -> float:
        """Points from top to bottom as it is shown."""
        return self.right - self.left if self.turns % 2 else self.top - self.bottom

    def place(self, left: float, bottom: float, right: float, top: float) -> Box:
        """A box in points from the left upper corner of the page as it is shown."""
        match self.turns:
            case 1:
                return bottom - self.bottom, left - self.left, top - self.bottom, right - self.left
            case 2:
                return (
                    self.right - right,
                    bottom - self.bottom,
                    self.right - left,
                    top - self.bottom,
                )
            case 3:
                return self.top - top, self.right - right, self.top - bottom, self.right - left
            case _:
                return left - self.left, self.top - top, right - self.left, self.top - bottom

    def shows(self, box: Box) -> bool:
        """Whether the middle of a placed box is on the page."""
        across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return 0 <= across <= self.width and 0 <= down <= self.height


def read_frame(page: pdfium.PdfPage) -> PageFrame:
    """The frame of an open page."""
    box = raw.FS_RECTF()
    raw.FPDF_GetPageBoundingBox(page, byref(box))
    turns = raw.FPDFPage_GetRotation(page) % 4
    return PageFrame(box.left, box.bottom, box.right, box.top, turns)


def draw(page: pdfium.PdfPage, scale: float, *, grey: bool = False) -> Picture:
    """The page's picture, `scale` pixels a point, in memory of its own."""
    bitmap = page.render(
        scale=scale,  # pyright: ignore[reportArgumentType] - documented as a float
        grayscale=grey,
        may_draw_forms=False,
    )
    try:
        return np.array(bitmap.to_numpy())
    finally:
        bitmap.close()
