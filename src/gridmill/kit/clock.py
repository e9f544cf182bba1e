"""Time as the API tells it."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present, timezone-aware, in UTC."""
    return datetime.now(UTC)


def to_wire(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and `Z`; `None` (not yet) stays `None`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
