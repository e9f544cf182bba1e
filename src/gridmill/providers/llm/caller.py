"""One provider account at work: a request's attempts, its rungs, its repair, its waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from yarl import URL

from gridmill.kit.meters import (
    MODEL_CALLS,
    MODEL_COST,
    MODEL_SECONDS,
    MODEL_TOKENS,
    UNPRICED_CALLS,
)
from gridmill.kit.traces import open_span
from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.errors import (
    InvalidReply,
    ModelError,
    ProviderLimited,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
    RequestRefused,
)
from gridmill.providers.llm.faults import choose_wait, describe_fault, read_fault, scrub
from gridmill.providers.llm.ladder import Ladder
from gridmill.providers.llm.lane import Lane, Signal
from gridmill.providers.llm.model import NOTHING_SPENT, Access, Answer, ModelRequest, Usage
from gridmill.providers.llm.prices import Price
from gridmill.providers.llm.replies import list_missing
from gridmill.providers.llm.tokens import estimate_tokens
from gridmill.providers.llm.transport import HttpReply, Transport
from gridmill.providers.llm.wire import Dialect, Repair, Unreadable, Wire, WireReply

_ATTEMPTS = 10
_REPAIR_TOKENS = 200
_LONGEST_REPLY = 16_384

Keep = Callable[[Answer, Usage], Awaitable[None]]
"""Stores an accepted answer; called while the call still holds its slot."""


@dataclass(slots=True)
class _Talk:
    """One request on its way: what was tried and spent."""

    request: ModelRequest
    model: str
    ladder: Ladder
    keep: Keep | None
    price: Price | None
    prompt_tokens: int
    max_tokens: int
    ticket: int
    own_dialect: Dialect | None = None
    repair: Repair | None = None
    data: Answer | None = None
    usage: Usage = NOTHING_SPENT
    spent: Usage = NOTHING_SPENT
    signal: Signal = Signal.NONE
    retry_after: float | None = None
    attempts: int = 0
    calls: int = 0
    pause: float = 0.0
    outcome: str | None = None
    give_up_at: float | None = field(default=None)


class Caller:
    """Calls one provider at one base URL. Shared by every request to it in this process."""

    def __init__(self, access: Access, wire: Wire, transport: Transport, lane: Lane) -> None:
        self._access = access
        self._wire = wire
        self._transport = transport
        self._lane = lane
        self._ladders: dict[str, Ladder] = {}
        door = wire.open_door(access)
        self._url = URL(door.url)
        self._headers = dict(door.headers)

    def warm_up(self) -> None:
        """Make ready for calls that are about to come."""
        self._lane.warm_up()

    def take_ticket(self) -> int:
        """A place in the order of `wait_for_room`, for one list of requests."""
        return self._lane.take_ticket()

    async def wait_for_room(self, ticket: int) -> None:
        """Return when another request would soon have its turn."""
        await self._lane.wait_for_room(ticket)

    async def answer(
        self,
        model: str,
        request: ModelRequest,
        *,
        ticket: int = 0,
        price: Price | None = None,
        budget: Budget | None = None,
        keep: Keep | None = None,
    ) -> tuple[Answer, Usage]:
        """An accepted answer and what it took. Raises a `ModelError` that carries its usage."""
        ladder = self._ladders.get(model)
        if ladder is None:
            ladder = self._ladders[model] = Ladder(self._wire.rungs)
        talk = _Talk(
            request,
            model,
            ladder,
            keep,
            price,
            request.tokens,
            request.frame.max_tokens,
            ticket,
        )
        try:
            while True:
                answer = await self._attempt(talk, budget)
                if answer is not None:
                    return answer, talk.usage
                if talk.pause:
                    await asyncio.sleep(talk.pause)
                    talk.pause = 0.0
        except ModelError as error:
            error.usage = talk.usage
            raise

    async def _attempt(self, talk: _Talk, budget: Budget | None) -> Answer | None:
        """One call in its slot; `None` when another should follow."""
        reservation = None
        if budget is not None:
            price = talk.price
            cost = None if price is None else price.cost(talk.prompt_tokens, talk.max_tokens)
            reservation = await budget.reserve(talk.prompt_tokens + talk.max_tokens, cost)
        expected = talk.prompt_tokens + min(talk.max_tokens, talk.ladder.expected_completion)
        talk.spent, talk.signal, talk.retry_after = NOTHING_SPENT, Signal.NONE, None
        talk.outcome = None
        entered = False
        began = 0.0
        try:
            await self._lane.enter(expected, ticket=talk.ticket, again=talk.calls > 0)
            entered = True
            began = time.monotonic()
            talk.calls += 1
            return await self._trace(talk)
        finally:
            spent = talk.spent
            if entered:
                unspent = expected - spent.prompt_tokens - spent.completion_tokens
                seconds = time.monotonic() - began
                self._lane.leave(
                    talk.signal, unspent, seconds=seconds, retry_after=talk.retry_after
                )
                _count_call(self._access.provider, talk, seconds)
            if reservation is not None and budget is not None:
                budget.settle(reservation, spent)

    async def _trace(self, talk: _Talk) -> Answer | None:
        with open_span("model call", "client") as span:
            try:
                return await self._call(talk)
            finally:
                # Names of OpenTelemetry's semantic conventions for generative AI.
                span.note(
                    {
                        "gen_ai.provider.name": self._access.provider,
                        "gen_ai.request.model": talk.model,
                        "gen_ai.usage.input_tokens": talk.spent.prompt_tokens,
                        "gen_ai.usage.output_tokens": talk.spent.completion_tokens,
                        "gridmill.outcome": talk.outcome,
                    }
                )
                if talk.outcome not in {None, "ok"}:
                    span.fail(str(talk.outcome))

    async def _call(self, talk: _Talk) -> Answer | None:
        if (refusal := talk.ladder.find_refusal()) is not None:
            raise ProviderRefused(refusal.message)
        now = time.monotonic()
        if talk.give_up_at is None:
            talk.give_up_at = now + self._access.deadline
        timeout = min(self._access.attempt_timeout, max(0.001, talk.give_up_at - now))
        dialect = talk.own_dialect or talk.ladder.choose(talk.request.frame)
        body = self._wire.encode(talk.model, talk.request, dialect, talk.repair)
        # What stays true when the call is cancelled or its reply cannot be taken.
        talk.outcome = "broken_off"
        try:
            reply = await self._transport.post(self._url, self._headers, body, timeout)
            talk.outcome = _name_outcome(reply.status)
            if reply.status == 200:
                return await self._judge(talk, self._read(talk, reply.body), dialect)
        except (ProviderUnavailable, ProviderTimeout) as error:
            talk.outcome = "timeout" if isinstance(error, ProviderTimeout) else "unavailable"
            self._put_off(talk, error)
            return None
        self._face(talk, reply, dialect)
        return None

    def _read(self, talk: _Talk, body: bytes) -> WireReply:
        try:
            read = self._wire.decode(body)
        except Unreadable as error:
            raise ProviderUnavailable("The provider's reply is not one of its API.") from error
        prompt, completion = read.prompt_tokens, read.completion_tokens
        if prompt is None:
            prompt = talk.prompt_tokens
        if completion is None:
            completion = estimate_tokens(read.text)
        cost = talk.price.cost(prompt, completion) if talk.price else None
        talk.spent = Usage(1, 0, prompt, completion, cost)
        talk.usage = talk.usage + talk.spent if talk.usage is not NOTHING_SPENT else talk.spent
        talk.signal = Signal.GOOD
        return read

    async def _judge(self, talk: _Talk, read: WireReply, used: Dialect) -> Answer | None:
        """Accept a reply, or set the one turn of repair up. Raises `InvalidReply`."""
        data = read.data
        if read.refused:
            words = scrub(read.text, self._access.api_key)
            raise RequestRefused(
                f"The model declined to answer: {words}"
                if words
                else "The model declined to answer."
            )
        problems = _find_problems(talk.request, read)
        if data is not None and not problems:
            talk.outcome = "ok"
            talk.ladder.confirm(used, talk.spent.completion_tokens)
            if talk.keep is not None:
                await talk.keep(data, talk.usage)
            return data
        if data is None:
            if not talk.ladder.proven:
                # It may not understand this rung: the repair says everything in words.
                talk.own_dialect = replace(used, rung=self._wire.rungs[-1])
            talk.ladder.note_miss(used)
        else:
            talk.data = data
        if talk.repair is not None:
            raise InvalidReply(
                "The model's reply does not fit, and did not when asked again: "
                + "; ".join(problems)[:300],
                problems=problems,
                data=talk.data,
            )
        if read.truncated:
            talk.max_tokens = max(talk.max_tokens, min(2 * talk.max_tokens, _LONGEST_REPLY))
        written = read.text
        talk.repair = Repair(written, problems, talk.max_tokens)
        talk.prompt_tokens += estimate_tokens(written[:8000]) + _REPAIR_TOKENS
        return None

    def _face(self, talk: _Talk, reply: HttpReply, used: Dialect) -> None:
        """A status other than 200: another rung, another time, or an error."""
        words = describe_fault(reply.body, self._access.api_key)
        fault = read_fault(reply.status, words, reply.retry_after)
        if reply.status == 404 or not isinstance(fault, ProviderRefused):
            dialect = talk.ladder.step_down(talk.request.frame, used, reply.status, words)
            if dialect is not None:
                talk.own_dialect = None
                return
        if isinstance(fault, ProviderUnavailable):
            self._put_off(talk, fault)
            return
        if isinstance(fault, ProviderRefused):
            talk.ladder.remember_refusal(fault)
        raise fault

    def _put_off(self, talk: _Talk, error: ProviderUnavailable | ProviderTimeout) -> None:
        """Set the wait before the next attempt, or raise `error` when there is none."""
        talk.signal = Signal.BAD
        talk.attempts += 1
        retry_after = error.retry_after if isinstance(error, ProviderUnavailable) else None
        talk.retry_after = retry_after
        pause = choose_wait(talk.attempts, retry_after)
        late = talk.give_up_at is not None and time.monotonic() + pause >= talk.give_up_at
        # 429 says "later", so only the deadline ends it.
        if late or (talk.attempts >= _ATTEMPTS and not isinstance(error, ProviderLimited)):
            raise error
        talk.pause = pause


def _name_outcome(status: int) -> str:
    """Of a reply that nobody has read yet: a 200 is `unfit` until it is accepted."""
    if status == HTTPStatus.OK:
        return "unfit"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "limited"
    return "unavailable" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"


def _count_call(provider: str, talk: _Talk, seconds: float) -> None:
    if talk.outcome is None:
        return
    MODEL_CALLS.labels(provider, talk.outcome).inc()
    MODEL_SECONDS.labels(provider).observe(seconds)
    MODEL_TOKENS.labels(provider, "prompt").inc(talk.spent.prompt_tokens)
    MODEL_TOKENS.labels(provider, "completion").inc(talk.spent.completion_tokens)
    if talk.price is None:
        UNPRICED_CALLS.labels(provider).inc()
    else:
        MODEL_COST.labels(provider).inc(talk.spent.cost_usd or 0.0)


def _find_problems(request: ModelRequest, read: WireReply) -> list[str]:
    if read.data is None:
        if read.truncated:
            return ["it was cut off before its end: be brief"]
        return ["it is not one valid JSON object"]
    if request.validate is not None:
        return list(request.validate(read.data))
    return list_missing(read.data, request.frame.schema)
