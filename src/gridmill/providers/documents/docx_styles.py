"""What Word's styles say of a paragraph: is it in a list, does a page end, is its text hidden."""

from gridmill.providers.documents.elements import Element
from gridmill.providers.documents.styles import TINY_POINTS, is_white

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_OFF = frozenset({"0", "false", "off", "none"})
_MOST_BASES = 20
_MAX_SPAN = 100


def w(name: str) -> str:
    """The qualified name of one of WordprocessingML's elements or attributes."""
    return _W + name


class Styles:
    """The styles and numberings of one document; counts its numbered lists as it is walked."""

    def __init__(self, styles: Element | None, numbering: Element | None) -> None:
        self._styles: dict[str, Element] = {}
        if styles is not None:
            self._styles = {style.get(w("styleId"), ""): style for style in styles.iter(w("style"))}
        self._formats = {} if numbering is None else _read_formats(numbering)
        self._counts: dict[tuple[str, str], int] = {}

    def next_mark(self, paragraph: Element) -> str:
        """`- ` or the next number of a list's entry; empty for what is no entry."""
        found = self._find(paragraph, "numPr")
        number = None if found is None else found.find(w("numId"))
        key = "0" if number is None else number.get(w("val"), "0")
        if found is None or key == "0":
            return ""
        level = found.find(w("ilvl"))
        place = key, "0" if level is None else level.get(w("val"), "0")
        if self._formats.get(place, "decimal") in {"bullet", "none"}:
            return "- "
        self._counts[place] = self._counts.get(place, 0) + 1
        for deeper in [other for other in self._counts if other[0] == key and other[1] > place[1]]:
            del self._counts[deeper]
        return f"{self._counts[place]}. "

    def breaks_before(self, paragraph: Element) -> bool:
        """Whether the paragraph begins a page."""
        return _is_on(self._find(paragraph, "pageBreakBefore"))

    def ends_section(self, paragraph: Element) -> bool:
        """Whether the paragraph is the last one of a section behind which a page begins."""
        section = paragraph.find(f"{w('pPr')}/{w('sectPr')}")
        if section is None:
            return False
        kind = section.find(w("type"))
        return kind is None or kind.get(w("val")) not in {"continuous", "nextColumn"}

    def hides_run(self, run: Element, paragraph: Element, *, shaded: bool) -> bool:
        """Whether a run's text is not seen: hidden, tiny, or white on what is not `shaded`."""
        own = run.find(w("rPr"))
        outer = paragraph.find(w("pPr"))
        layers = [] if own is None else [own, *self._list_bases(own.find(w("rStyle")), "rPr")]
        if outer is not None:
            layers += self._list_bases(outer.find(w("pStyle")), "rPr")
            shaded = shaded or outer.find(w("shd")) is not None
        # The nearest property wins over those of the styles behind it.
        return (
            _is_on(_find_nearest(layers, "vanish"))
            or _is_tiny(_find_nearest(layers, "sz"))
            or (
                not shaded
                and is_white(_read(_find_nearest(layers, "color")))
                and _find_nearest(layers, "shd") is None
                and _find_nearest(layers, "highlight") is None
            )
        )

    @staticmethod
    def is_shaded(cell: Element) -> bool:
        """Whether a table's cell may have a ground on which white text is seen."""
        if cell.find(f"{w('tcPr')}/{w('shd')}") is not None:
            return True
        table = next(cell.iterancestors(w("tbl")), None)
        style = None if table is None else table.find(f"{w('tblPr')}/{w('tblStyle')}")
        return _read(style) not in {"", "TableGrid", "TableNormal"}

    @staticmethod
    def read_span(cell: Element) -> int:
        """The grid columns that a table's cell takes."""
        span = cell.find(f"{w('tcPr')}/{w('gridSpan')}")
        text = "1" if span is None else span.get(w("val"), "1")
        return max(1, min(int(text), _MAX_SPAN)) if text.isascii() and text.isdigit() else 1

    def _find(self, paragraph: Element, name: str) -> Element | None:
        properties = paragraph.find(w("pPr"))
        if properties is None:
            return None
        own = properties.find(w(name))
        if own is not None:
            return own
        for base in self._list_bases(properties.find(w("pStyle")), "pPr"):
            found = base.find(w(name))
            if found is not None:
                return found
        return None

    def _list_bases(self, style: Element | None, kind: str) -> list[Element]:
        """The properties of a style and of those that it is based on, nearest first."""
        found: list[Element] = []
        name = "" if style is None else style.get(w("val"), "")
        for _ in range(_MOST_BASES):
            known = self._styles.get(name)
            if known is None:
                break
            properties = known.find(w(kind))
            if properties is not None:
                found.append(properties)
            base = known.find(w("basedOn"))
            name = "" if base is None else base.get(w("val"), "")
        return found


def _is_on(element: Element | None) -> bool:
    return element is not None and element.get(w("val"), "1").lower() not in _OFF


def _read(element: Element | None) -> str:
    return "" if element is None else element.get(w("val"), "")


def _find_nearest(layers: list[Element], name: str) -> Element | None:
    return next((one for layer in layers if (one := layer.find(w(name))) is not None), None)


def _is_tiny(size: Element | None) -> bool:
    # Word counts in half points.
    text = _read(size)[:6]
    return text.isascii() and text.isdigit() and int(text) < 2 * TINY_POINTS


def _read_formats(numbering: Element) -> dict[tuple[str, str], str]:
    """By number and level of a list how its entries are numbered."""
    abstract = {one.get(w("abstractNumId"), ""): one for one in numbering.iter(w("abstractNum"))}
    found: dict[tuple[str, str], str] = {}
    for number in numbering.iter(w("num")):
        link = number.find(w("abstractNumId"))
        levels = abstract.get("" if link is None else link.get(w("val"), ""))
        for level in [] if levels is None else levels.iter(w("lvl")):
            kind = level.find(w("numFmt"))
            place = number.get(w("numId"), ""), level.get(w("ilvl"), "0")
            found[place] = "decimal" if kind is None else kind.get(w("val"), "decimal")
    return found
