"""What is drawn on a PDF page: texts with their styles, lines, grounds, pictures."""

from collections.abc import Iterator
from ctypes import addressof, byref, c_float, c_int, c_uint
from dataclasses import dataclass, field

import pypdfium2 as pdfium
from pypdfium2 import raw

from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.model import Box
from gridmill.providers.documents.pdf.geometry import Handle, PageFrame
from gridmill.providers.documents.tables import Line

MAX_OBJECTS = 200_000
"""Objects of a page; a map with all its contours has some 50,000."""

_MAX_DEPTH = 8
_MAX_SEGMENTS = 2_000
_THIN = 2.0
"""Points: a filled box that is thinner is a line."""

_MIN_LINE = 4.0
_FAINT = 32
"""Of 255: how opaque a text has to be to be seen."""

_Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: _Matrix = (1, 0, 0, 1, 0, 0)
_Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class DrawnText:
    """A text object: `key` knows it again, `order` is when it is drawn, `size` is in points."""

    key: int
    order: int
    box: Box
    size: float
    colour: _Colour | None
    """`None`: it is drawn without a fill."""

    is_opaque: bool
    is_invisible: bool
    """Its render mode is 3: neither filled nor stroked, as OCR writes text on a scan."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A filled area or a picture (`colour` is `None`) on which or under which text may stand."""

    order: int
    box: Box
    colour: _Colour | None


@dataclass(slots=True)
class Drawing:
    """All that a page draws, in the order in which it does."""

    texts: list[DrawnText] = field(default_factory=list[DrawnText])
    lines: list[Line] = field(default_factory=list[Line])
    grounds: list[Ground] = field(default_factory=list[Ground])
    handles: dict[int, Handle] = field(default_factory=dict[int, Handle])
    has_shapes: bool = False


def read_drawing(page: pdfium.PdfPage, number: int, frame: PageFrame) -> Drawing:
    """Look at each object of a page once. Raises `UnreadableDocument` when there are too many."""
    drawing = Drawing()
    for order, (handle, matrix) in enumerate(_walk(page, number)):
        kind = raw.FPDFPageObj_GetType(handle)
        if kind == raw.FPDF_PAGEOBJ_TEXT:
            _add_text(drawing, handle, order, matrix, frame)
        elif kind == raw.FPDF_PAGEOBJ_PATH:
            _add_path(drawing, handle, order, matrix, frame)
        elif kind in {raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING}:
            drawing.has_shapes = True
            drawing.grounds.append(Ground(order, _read_box(handle, matrix, frame), None))
    return drawing


def _walk(page: pdfium.PdfPage, number: int) -> Iterator[tuple[Handle, _Matrix]]:
    """Each object that is no form, with the matrix of the forms around it."""
    left = MAX_OBJECTS
    stack: list[Iterator[tuple[Handle, _Matrix]]] = [_list_page(page)]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        left -= 1
        if left < 0:
            raise UnreadableDocument(
                f"Page {number} draws more than {MAX_OBJECTS:,} objects; at most that are read."
            )
        handle, matrix = found
        if not handle:
            continue
        if raw.FPDFPageObj_GetType(handle) != raw.FPDF_PAGEOBJ_FORM:
            yield found
        elif len(stack) < _MAX_DEPTH:
            stack.append(_list_form(handle, _multiply(_read_matrix(handle), matrix)))


def _list_page(page: pdfium.PdfPage) -> Iterator[tuple[Handle, _Matrix]]:
    for at in range(raw.FPDFPage_CountObjects(page)):
        yield raw.FPDFPage_GetObject(page, at), _IDENTITY


def _list_form(form: Handle, matrix: _Matrix) -> Iterator[tuple[Handle, _Matrix]]:
    for at in range(max(raw.FPDFFormObj_CountObjects(form), 0)):
        yield raw.FPDFFormObj_GetObject(form, at), matrix


def _read_matrix(handle: Handle) -> _Matrix:
    found = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(handle, byref(found)):
        return _IDENTITY
    return found.a, found.b, found.c, found.d, found.e, found.f


def _multiply(inner: _Matrix, outer: _Matrix) -> _Matrix:
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    )


def _map_box(box: Box, matrix: _Matrix) -> Box:
    """The box round a box that a matrix moved; all of it from the lower left."""
    if matrix is _IDENTITY:
        return box
    a, b, c, d, e, f = matrix
    across = [a * x + c * y + e for x in (box[0], box[2]) for y in (box[1], box[3])]
    up = [b * x + d * y + f for x in (box[0], box[2]) for y in (box[1], box[3])]
    return min(across), min(up), max(across), max(up)


def _read_box(handle: Handle, matrix: _Matrix, frame: PageFrame) -> Box:
    left, bottom, right, top = c_float(), c_float(), c_float(), c_float()
    raw.FPDFPageObj_GetBounds(handle, byref(left), byref(bottom), byref(right), byref(top))
    return frame.place(*_map_box((left.value, bottom.value, right.value, top.value), matrix))


def _read_colour(handle: Handle) -> tuple[_Colour, int] | None:
    """The fill's red, green, blue, and how opaque it is, each of 255."""
    red, green, blue, alpha = c_uint(), c_uint(), c_uint(), c_uint()
    if not raw.FPDFPageObj_GetFillColor(
        handle, byref(red), byref(green), byref(blue), byref(alpha)
    ):
        return None
    return (red.value, green.value, blue.value), alpha.value


def _add_text(
    drawing: Drawing,
    handle: Handle,
    order: int,
    matrix: _Matrix,
    frame: PageFrame,
) -> None:
    size = c_float()
    raw.FPDFTextObj_GetFontSize(handle, byref(size))
    a, b, c, d, _, _ = _multiply(_read_matrix(handle), matrix)
    scale = max((c * c + d * d) ** 0.5, 0.0) or (a * a + b * b) ** 0.5
    mode = raw.FPDFTextObj_GetTextRenderMode(handle)
    fill = _read_colour(handle)
    is_filled = mode in {0, 2, 4, 6}
    key = addressof(handle.contents)
    drawing.handles[key] = handle
    drawing.texts.append(
        DrawnText(
            key=key,
            order=order,
            box=_read_box(handle, matrix, frame),
            size=abs(size.value) * scale,
            colour=fill[0] if fill is not None and is_filled else None,
            is_opaque=fill is None or fill[1] >= _FAINT,
            is_invisible=mode in {3, 7},
        )
    )


def _add_path(
    drawing: Drawing,
    handle: Handle,
    order: int,
    matrix: _Matrix,
    frame: PageFrame,
) -> None:
    drawing.has_shapes = True
    box = _read_box(handle, matrix, frame)
    mode, stroke = c_int(), c_int()
    raw.FPDFPath_GetDrawMode(handle, byref(mode), byref(stroke))
    width, height = box[2] - box[0], box[3] - box[1]
    if min(width, height) <= _THIN:
        if max(width, height) >= _MIN_LINE:
            drawing.lines.append(Line(*box))
        return
    count = raw.FPDFPath_CountSegments(handle)
    if mode.value and count <= 8:
        fill = _read_colour(handle)
        if fill is not None and fill[1] >= 250:
            drawing.grounds.append(Ground(order, box, fill[0]))
    if count <= 6:
        # A box: where it is only filled, its sides part cells as drawn ones do.
        left, top, right, bottom = box
        drawing.lines += [
            Line(left, top, right, top),
            Line(left, bottom, right, bottom),
            Line(left, top, left, bottom),
            Line(right, top, right, bottom),
        ]
    elif stroke.value and count <= _MAX_SEGMENTS:
        _add_segments(drawing, handle, count, matrix, frame)


def _add_segments(
    drawing: Drawing,
    handle: Handle,
    count: int,
    matrix: _Matrix,
    frame: PageFrame,
) -> None:
    """The level and upright lines of one path that draws many."""
    inner = _multiply(_read_matrix(handle), matrix)
    across, up = c_float(), c_float()
    before: tuple[float, float] | None = None
    for at in range(count):
        segment = raw.FPDFPath_GetPathSegment(handle, at)
        raw.FPDFPathSegment_GetPoint(segment, byref(across), byref(up))
        here = across.value, up.value
        if raw.FPDFPathSegment_GetType(segment) == raw.FPDF_SEGMENT_LINETO and before is not None:
            box = min(before[0], here[0]), min(before[1], here[1])
            placed = frame.place(
                *_map_box((*box, max(before[0], here[0]), max(before[1], here[1])), inner)
            )
            sides = placed[2] - placed[0], placed[3] - placed[1]
            if min(sides) <= _THIN / 2 and max(sides) >= _MIN_LINE:
                drawing.lines.append(Line(*placed))
        before = here
