"""What no store can keep: the NUL character and lone surrogates.

PostgreSQL's text has no NUL and UTF-8 has no surrogates, so a text with either is refused at
the door instead of being altered or failing later.
"""

import re
from typing import cast

from gridmill.kit.errors import InvalidText

_HOLDING_TEXT = frozenset({str, dict, list})
_BAD = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether `text` holds neither a NUL character nor a lone surrogate."""
    return _BAD.search(text) is None


def check_text(text: str, where: str = "") -> str:
    """`text` itself; `InvalidText` (422) naming `where` when it cannot be stored."""
    found = _BAD.search(text)
    if found is None:
        return text
    name = "the NUL character" if found[0] == "\x00" else "a lone surrogate"
    place = f"{where}: " if where else ""
    raise InvalidText(
        f"{place}The text holds {name} (at offset {found.start()}), which cannot be stored.",
        details={"field": where, "offset": found.start()},
    )


def check_tree(value: object) -> None:
    """Check every string and key of a parsed JSON value; raises `InvalidText` (422)."""
    todo: list[tuple[str, object]] = [("", value)]
    while todo:
        where, item = todo.pop()
        if isinstance(item, str):
            check_text(item, where)
        elif isinstance(item, dict):
            for key, child in cast("dict[str, object]", item).items():
                check_text(key, where)
                todo.append((f"{where}.{key}" if where else key, child))
        elif isinstance(item, list):
            children = enumerate(cast("list[object]", item))
            todo.extend(
                (f"{where}[{position}]", child)
                for position, child in children
                if type(child) in _HOLDING_TEXT
            )
