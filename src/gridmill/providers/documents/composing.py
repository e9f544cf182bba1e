"""What was found on a printed page, text or scan, put together as a `Page`."""

from collections.abc import Sequence

from gridmill.providers.documents.columns import order_regions
from gridmill.providers.documents.model import Page
from gridmill.providers.documents.placing import PageText, Placed, group_lines, join_words
from gridmill.providers.documents.tables import Line, find_aligned_tables, find_drawn_tables

MAX_HIDDEN = 10_000
"""Characters of a page's hidden text that are kept: it is shown to people, never sent."""


def compose_page(
    number: int,
    words: Sequence[Placed],
    *,
    lines: Sequence[Line] = (),
    turned: Sequence[Placed] = (),
    hidden: str = "",
) -> Page:
    """A page of words in any order; `turned` ones, which stand upright at its edges, come last."""
    tables, rest = find_drawn_tables(lines, words)
    text = PageText()
    for region in order_regions([*join_words(rest), *tables]):
        text.add_region(find_aligned_tables(group_lines(region)))
    if turned:
        text.add_turned(turned)
    return text.make_page(number, hidden[:MAX_HIDDEN] or None)
