"""The ports in memory: for one process, for tests, and for runs without a server."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from gridmill.kit.clock import now as read_clock
from gridmill.providers.llm.model import Answer
from gridmill.providers.llm.ports import Claim, NewAnswer, Share
from gridmill.providers.llm.sharing import Buckets, Grant, return_unspent, share_out


class MemoryAnswers:
    """An `AnswerStore` that is gone with its process."""

    def __init__(self) -> None:
        self._answers: dict[tuple[UUID, bytes], tuple[datetime, Answer]] = {}

    async def find(
        self, workspace_id: UUID, keys: Sequence[bytes], *, since: datetime | None = None
    ) -> Mapping[bytes, Answer]:
        """See the port."""
        found: dict[bytes, Answer] = {}
        for key in keys:
            kept = self._answers.get((workspace_id, key))
            if kept is not None and (since is None or kept[0] >= since):
                found[key] = kept[1]
        return found

    async def save(self, answers: Sequence[NewAnswer]) -> None:
        """See the port."""
        moment = read_clock()
        for answer in answers:
            self._answers[answer.workspace_id, answer.key] = (moment, answer.data)


class MemoryLimiter:
    """A `Limiter` for the lanes of one process. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._grants: dict[str, dict[UUID, Grant]] = {}
        self._buckets: dict[str, Buckets] = {}

    async def renew(self, claim: Claim) -> Share:
        """See the port."""
        now = self._clock()
        grants = self._grants.setdefault(claim.scope, {})
        for holder in [h for h, grant in grants.items() if grant.expires_at <= now]:
            del grants[holder]
        others = {h: grant for h, grant in grants.items() if h != claim.holder}
        buckets = self._buckets.get(claim.scope) or Buckets(None, None, now)
        grants[claim.holder], self._buckets[claim.scope], share = share_out(
            claim, others, buckets, now
        )
        return share

    async def release(self, claim: Claim) -> None:
        """See the port."""
        now = self._clock()
        self._grants.get(claim.scope, {}).pop(claim.holder, None)
        buckets = self._buckets.get(claim.scope) or Buckets(None, None, now)
        self._buckets[claim.scope] = return_unspent(claim, buckets, now)
