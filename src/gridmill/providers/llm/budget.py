"""A cap on what a task may spend: set aside before a call is sent, settled after."""

import asyncio
from dataclasses import dataclass

from gridmill.providers.llm.errors import BudgetReached, PriceMissing
from gridmill.providers.llm.model import NOTHING_SPENT, Usage

_MARGIN = 1.25
# Free is free, whatever the sum of many floats says.
_DUST_USD = 1e-12


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is set aside for one call."""

    tokens: float
    cost_usd: float


class Budget:
    """What is left to spend, shared by every call of a task that runs at once.

    A task's first call goes alone, since nothing is known of its size: it alone may pass a cap
    that is smaller than one call. After it a call sets aside what the dearest one took, at least a
    quarter more than the average and at most what is possible (its prompt and its whole
    `max_tokens`), so the cap is passed only by what a call takes beyond all before it. A call that
    does not fit waits for those in flight to settle, and is refused when nothing in flight can
    make room. `max_cost_usd` cannot be kept for a model without a price: such a call is refused.
    """

    def __init__(
        self,
        *,
        max_cost_usd: float | None = None,
        max_tokens: int | None = None,
        spent: Usage | None = None,
    ) -> None:
        self._max_cost = max_cost_usd
        self._max_tokens = max_tokens
        self._spent = spent or NOTHING_SPENT
        self._dearest = Reservation(0.0, 0.0)
        self._aside = Reservation(0.0, 0.0)
        self._open = 0
        self._waiters: list[asyncio.Future[None]] = []
        self.reached = False

    async def reserve(self, tokens: int, cost_usd: float | None) -> Reservation:
        """Set something aside for a call that takes at most `tokens` and `cost_usd`.

        A cost of `None` is an unknown price. Raises `BudgetReached`, and from then on `reached`
        is true.
        """
        if cost_usd is None and self._max_cost is not None:
            self.reached = True
            raise PriceMissing(
                "This model has no known price, so a cost limit cannot be kept; set its price."
            )
        most = Reservation(tokens, cost_usd or 0.0)
        while (aside := self._find_room(most)) is None:
            if not self._open:
                self.reached = True
                raise BudgetReached("The task's budget is used up.")
            settled = asyncio.get_running_loop().create_future()
            self._waiters.append(settled)
            await settled
        self._aside = Reservation(
            self._aside.tokens + aside.tokens, self._aside.cost_usd + aside.cost_usd
        )
        self._open += 1
        return aside

    def _find_room(self, most: Reservation) -> Reservation | None:
        """What to set aside for a call, or `None` when there is no room for it now."""
        spent = self._spent
        tokens_left = cost_left = float("inf")
        if self._max_tokens is not None:
            used = spent.prompt_tokens + spent.completion_tokens + self._aside.tokens
            tokens_left = self._max_tokens - used
        if self._max_cost is not None:
            cost_left = self._max_cost - (spent.cost_usd or 0.0) - self._aside.cost_usd
        if not spent.requests:
            is_first = not self._open and tokens_left > 0 and cost_left > -_DUST_USD
            return most if is_first else None
        aside = self._expect(most)
        fits = aside.tokens <= tokens_left and aside.cost_usd <= cost_left + _DUST_USD
        return aside if fits else None

    def _expect(self, most: Reservation) -> Reservation:
        spent = self._spent
        tokens = (spent.prompt_tokens + spent.completion_tokens) / spent.requests
        cost = (spent.cost_usd or 0.0) / spent.requests
        return Reservation(
            min(most.tokens, max(_MARGIN * tokens, self._dearest.tokens)),
            min(most.cost_usd, max(_MARGIN * cost, self._dearest.cost_usd)),
        )

    def settle(self, reservation: Reservation, spent: Usage) -> None:
        """Replace what was set aside by what the call really took."""
        self._open -= 1
        self._aside = Reservation(
            self._aside.tokens - reservation.tokens, self._aside.cost_usd - reservation.cost_usd
        )
        self._spent = self._spent + spent
        if spent.requests:
            self._dearest = Reservation(
                max(self._dearest.tokens, spent.prompt_tokens + spent.completion_tokens),
                max(self._dearest.cost_usd, spent.cost_usd or 0.0),
            )
        waiting, self._waiters = self._waiters, []
        for settled in waiting:
            if not settled.done():
                settled.set_result(None)
