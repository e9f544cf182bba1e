"""A hard cap on what a task may spend: reserved before a call is sent, settled after."""

import asyncio
from dataclasses import dataclass

from gridmill.providers.llm.errors import BudgetReached
from gridmill.providers.llm.model import Usage


@dataclass(frozen=True, slots=True)
class Reservation:
    """The most that one call may cost."""

    tokens: int
    cost_usd: float


class Budget:
    """What is left to spend, shared by every call of a task that runs at once.

    A call reserves its estimated prompt and its whole `max_tokens`. One that does not fit waits
    for the calls in flight to settle and is refused when nothing in flight can make room, so the
    cap is only ever passed by the error of the prompt's estimate. `max_cost_usd` cannot be kept
    for a model without a price: such a call is refused.
    """

    def __init__(
        self,
        *,
        max_cost_usd: float | None = None,
        max_tokens: int | None = None,
        spent: Usage | None = None,
    ) -> None:
        self._cost_left = max_cost_usd
        self._tokens_left = max_tokens
        self._open = 0
        self._waiters: list[asyncio.Future[None]] = []
        self.reached = False
        if spent is not None:
            self._take(spent.prompt_tokens + spent.completion_tokens, spent.cost_usd)

    def _take(self, tokens: int, cost_usd: float) -> None:
        if self._tokens_left is not None:
            self._tokens_left -= tokens
        if self._cost_left is not None:
            self._cost_left -= cost_usd

    def _fits(self, tokens: int, cost_usd: float) -> bool:
        return (self._tokens_left is None or tokens <= self._tokens_left) and (
            self._cost_left is None or cost_usd <= self._cost_left
        )

    async def reserve(self, tokens: int, cost_usd: float | None) -> Reservation:
        """Set the most a call may cost aside; `cost_usd` `None` is an unknown price.

        Raises `BudgetReached`, and from then on `reached` is true.
        """
        if cost_usd is None and self._cost_left is not None:
            self.reached = True
            raise BudgetReached(
                "This model has no known price, so a cost limit cannot be kept; set its price."
            )
        cost = cost_usd or 0.0
        while not self._fits(tokens, cost):
            if not self._open:
                self.reached = True
                raise BudgetReached("The task's budget is used up.")
            settled = asyncio.get_running_loop().create_future()
            self._waiters.append(settled)
            await settled
        self._take(tokens, cost)
        self._open += 1
        return Reservation(tokens, cost)

    def settle(self, reservation: Reservation, spent: Usage) -> None:
        """Replace a reservation by what the call really took."""
        self._open -= 1
        self._take(
            spent.prompt_tokens + spent.completion_tokens - reservation.tokens,
            spent.cost_usd - reservation.cost_usd,
        )
        waiting, self._waiters = self._waiters, []
        for settled in waiting:
            if not settled.done():
                settled.set_result(None)
