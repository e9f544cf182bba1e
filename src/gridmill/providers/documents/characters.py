"""Characters that no reader sees: they can carry text to a machine, or break words for it.

Ranges are those of Unicode's default ignorable code points (DerivedCoreProperties.txt); the
tag characters U+E0020 to U+E007E mirror ASCII.
"""

import re
from collections import Counter

_TAGS = 0xE0000
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_INVISIBLE = re.compile(
    # Joiners mean something between letters of many scripts and in emoji, never beside ASCII.
    "(?<![^\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\x7f])"
    # One selector picks a glyph; a row of them carries bytes.
    f"|(?<=[{_SELECTORS}])[{_SELECTORS}]+|(?<![^\x00-\x7f])[{_SELECTORS}]+"
    "|[\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]+"
)
_UNKEPT = re.compile("[\x00-\x08\x0e-\x1f\x7f\u00ad\ufffe\uffff\ud800-\udfff]")
_COMMON = frozenset("\ufeff\u200e\u200f\ufe0e\ufe0f")
"""Marks of encoding, direction and style: typography, whose loss is not worth telling."""


def strip_invisible(text: str) -> tuple[str, str]:
    """What a reader sees of `text`, and what stood between it: tags as ASCII, others by number.

    Control characters but white space, soft hyphens and what is no character vanish untold.
    """
    text = _UNKEPT.sub("", text)
    if text.isascii():
        return text, ""
    found: list[str] = []
    # A removed run may leave a joiner or selector beside a letter that it does not belong to.
    while (visible := _INVISIBLE.sub(lambda match: _take(match, found), text)) != text:
        text = visible
    return visible, _tell(found)


def _take(match: re.Match[str], found: list[str]) -> str:
    found.append(match[0])
    return ""


def _tell(found: list[str]) -> str:
    signs = "".join(found)
    tagged = "".join(chr(ord(sign) - _TAGS) for sign in signs if 0xE0020 <= ord(sign) <= 0xE007E)
    counts = Counter(
        sign for sign in signs if not 0xE0000 <= ord(sign) <= 0xE007F and sign not in _COMMON
    )
    told = [f"U+{ord(sign):04X} × {count}" for sign, count in sorted(counts.items())]
    return "\n".join(filter(None, [tagged, ", ".join(told)]))
