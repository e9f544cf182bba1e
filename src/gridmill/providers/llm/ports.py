"""What the gateway needs kept for it, across workers and restarts. Shipped in memory beside; on PostgreSQL by the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gridmill.providers.llm.model import Answer, Limits


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """An answer to keep. `key` is `ModelRequest.key`, 32 bytes."""

    workspace_id: UUID
    key: bytes
    provider: str
    model: str
    data: Answer
    prompt_tokens: int
    completion_tokens: int


class AnswerStore(Protocol):
    """Answers that were paid for. No workspace ever sees another's."""

    async def find(
        self, workspace_id: UUID, keys: Sequence[bytes], *, since: datetime | None = None
    ) -> Mapping[bytes, Answer]:
        """The stored ones among `keys`, in one look-up; only those saved at or after `since`.

        The moment of saving is read from the store's own clock.
        """
        ...

    async def save(self, answers: Sequence[NewAnswer]) -> None:
        """Keep `answers` durably, all or none; a key already there takes the new answer."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """What one process needs of a provider's limits at this moment.

    `scope` names the provider's account, `holder` the process. `in_use` calls run and `wanted`
    could. `requests` and `tokens` are to be taken out of the minute's buckets for the calls to
    come; negative ones are given back.
    """

    scope: str
    holder: UUID
    limits: Limits
    in_use: int
    wanted: int
    requests: float = 0.0
    tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """What a process may do now.

    Up to `concurrency` calls at once for `ttl` seconds from the moment of asking (it may run more
    only while those that it already has drain); `requests` and `tokens` were taken out of the
    buckets for it. When less was to be had than asked, `retry_in` says in how many seconds asking
    again is worth while.
    """

    concurrency: int
    ttl: float
    requests: float = 0.0
    tokens: float = 0.0
    retry_in: float | None = None


class Limiter(Protocol):
    """Shares a provider's limits between processes.

    Strict for concurrency: the grants of live holders never add up to more than the limit, and a
    holder that stops renewing loses its grant within seconds.
    """

    async def renew(self, claim: Claim) -> Share:
        """Renew (or make) the holder's grant and take from the buckets."""
        ...

    async def release(self, claim: Claim) -> None:
        """Give the grant back, and what `claim` returns to the buckets."""
        ...
