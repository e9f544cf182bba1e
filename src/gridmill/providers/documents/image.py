"""Pictures of pages (PNG, JPEG) to text by OCR."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gridmill.providers.documents.composing import compose_page
from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.model import Page

MAX_PIXELS = 60_000_000
"""Of a picture: A4 at 600 dots an inch has 35 million."""

_LONGER_SIDE = 4_000
_POINTS = 72.0
_LIKELY_DPI = (50.0, 2_400.0)


def read_image(path: Path, encoding: str) -> Iterator[Page]:  # noqa: ARG001 (a picture has none)
    """The one page of a picture, turned as its camera says.

    Boxes are in points by the resolution that the file states; a pixel is a point without one.

    Raises:
        UnreadableDocument: damaged, or larger than 60 million pixels (judged before it is decoded).
    """
    with warnings.catch_warnings():
        # Pillow's own bound is lower, and told by a warning; ours is checked below.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                yield _read(picture)
        except Image.DecompressionBombError:
            raise UnreadableDocument(_say_too_large("")) from None
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise UnreadableDocument(
                f"The picture is damaged: {str(error)[:200].replace(str(path), 'the file')}. "
                "Save it anew."
            ) from None


def _read(picture: Image.Image) -> Page:
    from gridmill.providers.documents.ocr import read_words

    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnreadableDocument(_say_too_large(f" ({width:,} × {height:,})"))
    dpi = _read_dpi(picture)
    picture.draft("RGB", (_LONGER_SIDE, _LONGER_SIDE))
    turned = ImageOps.exif_transpose(picture)
    # What is transparent is paper.
    shown = Image.new("RGB", turned.size, "white")
    layer = turned.convert("RGBA")
    shown.paste(layer, mask=layer.getchannel("A"))
    full = max(width, height)
    shown.thumbnail((_LONGER_SIDE, _LONGER_SIDE))
    scale = full / max(shown.size) * _POINTS / dpi
    words = [
        word._replace(
            left=word.left * scale,
            top=word.top * scale,
            right=word.right * scale,
            bottom=word.bottom * scale,
        )
        for word in read_words(np.asarray(shown)[:, :, ::-1])
    ]
    return compose_page(1, words)


def _read_dpi(picture: Image.Image) -> float:
    try:
        dpi = float(picture.info.get("dpi", (0.0, 0.0))[0])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return _POINTS
    return dpi if _LIKELY_DPI[0] <= dpi <= _LIKELY_DPI[1] else _POINTS


def _say_too_large(size: str) -> str:
    return (
        f"The picture{size} has more than {MAX_PIXELS // 10**6} million pixels; "
        "scan or save it with fewer."
    )
