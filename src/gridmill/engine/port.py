"""What rooms know of the engine: jobs go in with the data they concern, handlers come out.

The implementation is exchangeable; nothing above this floor names it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from gridmill.storage.database import Tx


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of background work.

    `name` picks the handler, `payload` is JSON. Among waiting jobs of a queue a higher `priority`
    goes first; two jobs with the same `lock` never run at once; `run_at` holds one back.
    """

    name: str
    payload: Mapping[str, Any]
    queue: str = "default"
    priority: int = 0
    lock: str | None = None
    run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a handler may know of its run: the attempt counts from 1, `aborted` is set on cancel."""

    job_id: int
    attempt: int
    last_attempt: bool
    aborted: asyncio.Event = field(default_factory=asyncio.Event)


class Retry(Exception):
    """Raised by a handler: not now, run me again in `delay` seconds."""

    def __init__(self, delay: float) -> None:
        super().__init__(f"again in {delay:g} s")
        self.delay = delay


Handler = Callable[[Mapping[str, Any], JobContext], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """A handler and what the engine does around it.

    An exception runs it again after `backoff` seconds, then twice that and so on up to a minute,
    until it ran `max_attempts` times; then `on_exhausted` is called with the payload and the last
    error's text, so that the data is never left waiting. A worker's death counts as an attempt;
    `Retry` and a worker's orderly stop do not.
    """

    run: Handler
    max_attempts: int = 5
    backoff: float = 1.0
    on_exhausted: Callable[[Mapping[str, Any], str], Awaitable[None]] | None = None


class Engine(Protocol):
    """Durable jobs on PostgreSQL."""

    async def enqueue(self, tx: Tx, jobs: Sequence[Job]) -> list[int]:
        """Insert `jobs` in the caller's transaction; their ids, in order."""
        ...

    async def cancel(self, tx: Tx, job_ids: Sequence[int]) -> None:
        """In the caller's transaction: waiting jobs will not run, running ones are aborted."""
        ...

    async def find_lost(self, tx: Tx, job_ids: Sequence[int]) -> frozenset[int]:
        """Those of `job_ids` that neither wait nor run: they ended, or were lost."""
        ...
