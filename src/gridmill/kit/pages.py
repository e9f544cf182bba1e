"""Lists: pages by number, and cursors for large data."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from gridmill.kit.errors import ValidationFailed
from gridmill.kit.ids import parse_uuid

_CURSOR_LIMIT = 512
_ItemT = TypeVar("_ItemT")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which part of a list is asked for: a 1-based page of `limit` items, or what follows `cursor`."""

    page: int = 1
    limit: int = 20
    cursor: str | None = None

    @property
    def offset(self) -> int:
        """Items before this page."""
        return (self.page - 1) * self.limit


@dataclass(frozen=True, slots=True)
class Pagination:
    """What a list says of itself beside its items."""

    page: int
    limit: int
    total: int
    next_cursor: str | None = None

    def to_wire(self) -> dict[str, object]:
        """The contract's `pagination` object."""
        return {
            "page": self.page,
            "limit": self.limit,
            "total": self.total,
            "totalPages": -(-self.total // self.limit),
            "nextCursor": self.next_cursor,
        }


def encode_cursor(*parts: object) -> str:
    """An opaque cursor over `parts`, none of which may hold a `|`."""
    return base64.urlsafe_b64encode("|".join(map(str, parts)).encode()).decode().rstrip("=")


def decode_cursor(text: str, parts: int) -> tuple[str, ...]:
    """The `parts` of a cursor; `ValidationFailed` when it is not one that we made."""
    try:
        if len(text) > _CURSOR_LIMIT:
            raise ValueError
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = tuple(raw.decode().split("|"))
        if len(found) != parts:
            raise ValueError
    except (ValueError, binascii.Error):
        raise unknown_cursor() from None
    return found


def unknown_cursor() -> ValidationFailed:
    """422 for a cursor that is none of ours."""
    return ValidationFailed.of("cursor", "This cursor is not one that a reply gave.")


def find_place(query: PageQuery) -> tuple[UUID | None, int]:
    """Where a page of a list by id, newest first, begins: before which item, and how many to skip.

    Raises:
        ValidationFailed: a cursor that no reply gave.
    """
    if query.cursor is None:
        return None, query.offset
    before = parse_uuid(decode_cursor(query.cursor, 1)[0])
    if before is None:
        raise unknown_cursor()
    return before, 0


def cut_page(
    query: PageQuery, found: Sequence[_ItemT], total: int, id_of: Callable[[_ItemT], UUID]
) -> tuple[list[_ItemT], Pagination]:
    """The page of such a list; `found` begins at its place and goes one item beyond it, if it can."""
    page = list(found[: query.limit])
    following = encode_cursor(id_of(page[-1])) if len(found) > query.limit else None
    return page, Pagination(query.page, query.limit, total, following)
