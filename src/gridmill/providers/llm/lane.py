"""The gate in front of a provider: how many calls may run, and how fast, from this process now."""

import asyncio
import logging
import math
import time
from bisect import bisect_right, insort
from dataclasses import dataclass
from enum import Enum
from itertools import count
from uuid import UUID

from gridmill.providers.llm.model import Limits
from gridmill.providers.llm.pace import Pace
from gridmill.providers.llm.ports import Claim, Limiter, Share
from gridmill.providers.llm.sharing import find_burst

_HEARTBEAT = 1.0
_DRAINING = 0.2
_LINGER = 3.0
_SHORTEST_WAIT = 0.02
_AFTER_FAULT = 1.0
_LONGEST_HOLD = 2.0
_CHUNK_SECONDS = 0.5
# So many callers of one list stand ready for the next free slots; the rest is told to come later.
_STAND_READY = 32
# A grant is used up to this long before its end: the call's way to the provider takes time too.
_MARGIN = 0.5

_log = logging.getLogger(__name__)


class Signal(Enum):
    """What a call says about the provider's load."""

    GOOD = "good"
    BAD = "bad"
    NONE = "none"


# Before every ticket.
_AGAIN = -1


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A call that waits for a slot; a lower `rank` goes first."""

    rank: int
    slot: asyncio.Future[None]
    tokens: float


class Lane:
    """First come, first served, within the pace, the grant and the minute's buckets.

    `enter` and `leave` touch no store: a keeper task renews the grant each second while calls run
    or wait, takes requests and tokens out of the shared buckets in chunks, and gives everything
    back after three idle seconds.
    """

    def __init__(self, scope: str, limits: Limits, limiter: Limiter, holder: UUID) -> None:
        self._scope = scope
        self._limits = limits
        self._limiter = limiter
        self._holder = holder
        self._pace = Pace(limits.max_concurrency)
        self._waiters: list[_Waiter] = []
        self._in_use = 0
        self._usual = 0.0
        self._peak = 0
        self._granted = 0
        self._asked_for = 0
        self._patience = _SHORTEST_WAIT
        self._valid_until = 0.0
        self._requests = math.inf if limits.requests_per_minute is None else 0.0
        self._tokens = math.inf if limits.tokens_per_minute is None else 0.0
        tokens = limits.tokens_per_minute
        self._token_burst = 0.0 if tokens is None else find_burst(tokens)
        self._started = 0
        self._spent_tokens = 0.0
        self._keeper: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self._wake: asyncio.TimerHandle | None = None
        self._tickets = count()
        self._shut_out: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def in_use(self) -> int:
        """Calls that run."""
        return self._in_use

    @property
    def has_grant(self) -> bool:
        """Whether calls may start now without asking the limiter."""
        return self._granted > 0 and time.monotonic() < self._valid_until

    def warm_up(self) -> None:
        """Ask for a grant now, so that calls which come within three seconds need not wait for it."""
        if self._keeper is None or self._keeper.done():
            self._nudge.clear()
            self._keeper = asyncio.create_task(self._keep(), name=f"lane {self._scope}")

    def take_ticket(self) -> int:
        """A place in the order of `wait_for_room`, for one list of calls."""
        return next(self._tickets)

    async def wait_for_room(self, ticket: int) -> None:
        """Return when the queue is short, so that a long list is not made ready all at once.

        Older tickets go first: lists end one after another, and what follows on each (a batch's
        write) is not left for the end of all.
        """
        while self._count_ahead(ticket) >= _STAND_READY:
            room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            insort(self._shut_out, (ticket, room), key=_by_ticket)
            await room

    def _count_ahead(self, ticket: int) -> int:
        return bisect_right(self._waiters, ticket, key=_by_rank)

    async def enter(self, tokens: float, *, ticket: int = 0, again: bool = False) -> None:
        """Wait for a slot for a call of about `tokens` tokens; every `enter` is ended by `leave`.

        One that was here before goes `again` before those that wait for their first call; these
        go in the order of their tickets.
        """
        if (again or not self._waiters) and self._may_start(tokens):
            self._start(tokens)
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if again:
            self._waiters.insert(0, _Waiter(_AGAIN, slot, tokens))
        else:
            insort(self._waiters, _Waiter(ticket, slot, tokens), key=_by_rank)
        self._arrange()
        try:
            await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled():
                self.leave(Signal.NONE, tokens)
            else:
                slot.cancel()
                self._pump()
            raise

    def leave(
        self,
        signal: Signal,
        unspent: float = 0.0,
        *,
        seconds: float = 0.0,
        retry_after: float | None = None,
    ) -> None:
        """Give the slot back.

        `unspent` is what the call took less (or, negative, more) than said, `seconds` how long it
        ran. A slot whose call failed sooner than a good one takes stays taken for the rest of that
        time: else a provider that refuses at once would be asked all the faster for it.
        """
        self._tokens += unspent
        self._spent_tokens -= unspent
        if signal is Signal.GOOD:
            self._pace.note_good()
            self._usual += 0.1 * (seconds - self._usual) if self._usual else seconds
        elif signal is Signal.BAD:
            self._pace.note_bad(retry_after)
            if seconds < self._usual:
                rest = min(self._usual - seconds, _LONGEST_HOLD)
                asyncio.get_running_loop().call_later(rest, self._free)
                return
        self._free()

    def _free(self) -> None:
        self._in_use -= 1
        if self._waiters:
            self._pump()

    def _may_start(self, tokens: float) -> bool:
        if self._in_use >= self._granted or self._in_use >= self._pace.limit:
            return False
        return (
            self.has_grant
            and time.monotonic() >= self._pace.paused_until
            and self._requests >= 1.0
            and self._tokens >= min(tokens, self._token_burst)
        )

    def _start(self, tokens: float) -> None:
        self._in_use += 1
        self._peak = max(self._peak, self._in_use)
        self._requests -= 1.0
        self._tokens -= tokens
        self._started += 1
        self._spent_tokens += tokens

    def _pump(self) -> None:
        waiters = self._waiters
        while waiters:
            first = waiters[0]
            if first.slot.done():
                del waiters[0]
            elif self._may_start(first.tokens):
                del waiters[0]
                self._start(first.tokens)
                first.slot.set_result(None)
            else:
                self._arrange()
                break
        if self._shut_out:
            self._let_in()

    def _let_in(self) -> None:
        left: list[tuple[int, asyncio.Future[None]]] = []
        for ticket, room in self._shut_out:
            if self._count_ahead(ticket) >= _STAND_READY:
                left.append((ticket, room))
            elif not room.done():
                room.set_result(None)
        self._shut_out = left

    def _arrange(self) -> None:
        """See that what the first waiter lacks will come."""
        if self._keeper is None or self._keeper.done():
            self.warm_up()
            return
        if self._in_use >= self._pace.limit:
            return  # a call that ends makes room
        now = time.monotonic()
        if now < self._pace.paused_until:
            if self._wake is None:
                loop = asyncio.get_running_loop()
                self._wake = loop.call_later(self._pace.paused_until - now + 0.001, self._resume)
            return
        short = self._requests < 1.0 or self._tokens < min(
            self._waiters[0].tokens, self._token_burst
        )
        wanted = min(self._in_use + len(self._waiters), self._limits.max_concurrency)
        untold = self._in_use >= self._granted and wanted > self._asked_for
        if short or untold or now >= self._valid_until:
            self._nudge.set()

    def _resume(self) -> None:
        self._wake = None
        self._pump()

    async def _keep(self) -> None:
        idle_since: float | None = None
        while True:
            asked = time.monotonic()
            delay = await self._renew(asked)
            self._pump()
            if self._in_use or self._waiters:
                idle_since = None
            elif idle_since is None:
                idle_since = asked
            elif asked - idle_since >= _LINGER:
                await self._give_back()
                if not self._waiters:
                    return
                continue
            self._nudge.clear()
            if self._waiters:
                self._arrange()
            try:
                async with asyncio.timeout(delay):
                    await self._nudge.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(max(0.0, asked + self._patience - time.monotonic()))

    async def _renew(self, asked: float) -> float:
        """Ask the limiter once; the seconds to wait before asking again."""
        claim = self._claim()
        try:
            share = await self._limiter.renew(claim)
        except Exception as error:  # noqa: BLE001 - a store that is away must not end the lane
            _log.warning(
                "the limits of %s cannot be renewed: %s", self._scope, type(error).__name__
            )
            return _AFTER_FAULT
        return self._apply(share, asked, claim)

    def _claim(self) -> Claim:
        waiting = len(self._waiters)
        wanted = max(self._peak, min(self._in_use + waiting, self._limits.max_concurrency))
        self._peak = self._in_use
        self._asked_for = wanted
        requests = tokens = 0.0
        if self._limits.requests_per_minute is not None:
            ahead = self._limits.requests_per_minute / 60 * _CHUNK_SECONDS
            requests = max(waiting, self._started, ahead) - self._requests
        if self._limits.tokens_per_minute is not None:
            ahead = self._limits.tokens_per_minute / 60 * _CHUNK_SECONDS
            head = self._waiters[0].tokens if waiting else 0.0
            each = self._spent_tokens / self._started if self._started else head
            tokens = max(head, each * waiting, self._spent_tokens, ahead) - self._tokens
        self._started = 0
        self._spent_tokens = 0.0
        # What goes back is gone from now on, whatever starts while the store answers.
        self._requests += min(0.0, requests)
        self._tokens += min(0.0, tokens)
        return Claim(
            self._scope, self._holder, self._limits, self._in_use, wanted, requests, tokens
        )

    def _apply(self, share: Share, asked: float, claim: Claim) -> float:
        self._granted = share.concurrency
        self._valid_until = asked + share.ttl - _MARGIN
        self._requests += share.requests
        self._tokens += share.tokens
        delay = _DRAINING if self._in_use > self._granted else _HEARTBEAT
        self._patience = _SHORTEST_WAIT
        if share.retry_in is not None:
            self._patience = min(delay, max(_SHORTEST_WAIT, share.retry_in))
            if self._waiters or claim.wanted > claim.in_use:
                delay = self._patience
        return delay

    async def _give_back(self) -> None:
        requests = tokens = 0.0
        if self._limits.requests_per_minute is not None:
            requests, self._requests = -self._requests, 0.0
        if self._limits.tokens_per_minute is not None:
            tokens, self._tokens = -self._tokens, 0.0
        self._granted = 0
        self._asked_for = 0
        self._valid_until = 0.0
        claim = Claim(self._scope, self._holder, self._limits, 0, 0, requests, tokens)
        try:
            await self._limiter.release(claim)
        except Exception as error:  # noqa: BLE001 - the grant runs out by itself
            _log.warning(
                "the limits of %s cannot be released: %s", self._scope, type(error).__name__
            )

    async def close(self) -> None:
        """Stop the keeper and give the grant back. Waiters are cancelled."""
        if self._wake is not None:
            self._wake.cancel()
        for _, room in self._shut_out:
            room.cancel()
        while self._waiters:
            self._waiters.pop().slot.cancel()
        if self._keeper is None:
            return
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        self._keeper = None
        await self._give_back()


def _by_ticket(waiting: tuple[int, asyncio.Future[None]]) -> int:
    return waiting[0]


def _by_rank(waiter: _Waiter) -> int:
    return waiter.rank
