"""Where a long text is cut into pages when nothing in it says so."""

from collections.abc import Iterator

PAGE_CHARACTERS = 4_000
"""The most characters of a page: about a printed one."""

_BREAKS = ("\n\n", "\n", " ")


def split_long(section: str) -> Iterator[str]:
    """A section in pages, each ending after a paragraph, a line or a word where it can."""
    start = 0
    while len(section) - start > PAGE_CHARACTERS:
        end = start + PAGE_CHARACTERS
        for separator in _BREAKS:
            found = section.rfind(separator, start + PAGE_CHARACTERS // 2, end)
            if found >= 0:
                end = found + len(separator)
                break
        yield section[start:end]
        start = end
    yield section[start:]
