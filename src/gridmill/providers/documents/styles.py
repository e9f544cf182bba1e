"""Which styles of HTML hide a text from its reader."""

import re
from collections.abc import Mapping

TINY_POINTS = 2.0
"""Text smaller than this is read by machines only; print begins at about 4 points."""

_HIDING = re.compile(
    r"(?:^|[;{\s])(?:"
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0?\.?0*(?![\d.])"
    r"|(?:left|right|top|bottom|text-indent|margin-left|margin-top)\s*:\s*-\d{4,}"
    r"|clip\s*:\s*rect\(\s*0[^)]*\)|clip-path\s*:\s*inset\(\s*(?:50|100)%"
    r"|(?<!-)color\s*:\s*transparent)",
    re.IGNORECASE,
)
_SIZE = re.compile(
    r"font-size\s*:\s*(\d{0,6}(?:\.\d{1,6})?)\s*(px|pt|em|rem|%|mm|cm|in)?", re.IGNORECASE
)
_POINTS = {"px": 0.75, "pt": 1, "em": 12, "rem": 12, "%": 0.12, "mm": 2.83, "cm": 28.3, "in": 72}
_COLOUR = re.compile(
    r"(?:^|[;{\s])(background(?:-color)?|color)\s*:\s*([^;}!]{1,60})", re.IGNORECASE
)
_CHANNELS = re.compile(r"rgba?\(([^)]{1,40})\)")
_RULE = re.compile(r"([^{}]{1,500})\{([^{}]{0,2000})\}")
_SELECTOR = re.compile(r"([a-zA-Z][\w-]*)?((?:[.#][\w-]+)?)")
_WHITE = 245
"""A channel of 255 from which a colour cannot be told from white paper."""


def hides(style: str) -> bool:
    """Whether declarations (`name: value; …`) hide the text under them.

    White text hides where its own rule gives no background; what lies behind an element by other
    rules is not known here.
    """
    if _HIDING.search(style):
        return True
    size = _SIZE.search(style)
    if size is not None and size[1]:
        points = float(size[1]) * _POINTS.get((size[2] or "px").lower(), 1)
        if points < TINY_POINTS:
            return True
    colours = {match[1].lower()[:5]: match[2] for match in _COLOUR.finditer(style)}
    return is_white(colours.get("color", "")) and is_white(colours.get("backg", "white"))


def is_white(colour: str) -> bool:
    """Whether a CSS or Word colour is white, or nearly."""
    colour = colour.strip().lower()
    if colour in {"white", "snow", "ivory", "ghostwhite", "floralwhite", "whitesmoke"}:
        return True
    found = _CHANNELS.match(colour)
    if found is not None:
        channels = re.findall(r"\d+", found[1])[:3]
        return len(channels) == 3 and all(int(channel) >= _WHITE for channel in channels)
    digits = colour.removeprefix("#")
    if not re.fullmatch(r"[0-9a-f]{3}|[0-9a-f]{6}", digits):
        return False
    step = len(digits) // 3
    parts = [digits[at : at + step] * (3 - step) for at in range(0, len(digits), step)]
    return all(int(part, 16) >= _WHITE for part in parts)


def read_hiding_rules(sheet: str) -> Mapping[str, frozenset[str]]:
    """Of a style sheet's simple selectors those that hide: by kind (`tag`, `.`, `#`) their names.

    Rules that combine selectors, and those for other media than a screen, are left out.
    """
    found: dict[str, set[str]] = {"tag": set(), ".": set(), "#": set()}
    for rule in _RULE.finditer(re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)):
        if not hides(rule[2]):
            continue
        for selector in rule[1].split(","):
            match = _SELECTOR.fullmatch(selector.strip())
            if match is not None and match[2]:
                found[match[2][0]].add(match[2][1:])
            elif match is not None and match[1]:
                found["tag"].add(match[1].lower())
    return {kind: frozenset(names) for kind, names in found.items()}
