"""What goes with a job from who asked for it to the worker: the request's id and its trace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from gridmill.kit.traces import write_traceparent

# Beside the payload's keys, which are camelCase words of the rooms.
_KEY = "_origin"


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that led to a job, and the span in which the job was enqueued (W3C)."""

    request_id: str | None = None
    traceparent: str | None = None


def find_origin() -> Origin:
    """That of a job enqueued here and now."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return Origin(None if request_id is None else str(request_id), write_traceparent())


def pack(payload: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """The payload with its origin, as the jobs table keeps it."""
    if origin == Origin():
        return dict(payload)
    return {**payload, _KEY: [origin.request_id, origin.traceparent]}


def unpack(packed: Mapping[str, Any]) -> tuple[dict[str, Any], Origin]:
    """The payload and its origin, empty for a job that has none."""
    payload = dict(packed)
    request_id, traceparent = payload.pop(_KEY, (None, None))
    return payload, Origin(request_id, traceparent)
