"""The one door to language models: answers once what is asked twice, and pays within the limits."""

import asyncio
import copy
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from uuid import UUID, uuid4

from yarl import URL

from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.caller import Caller
from gridmill.providers.llm.errors import ModelError, UnknownModel
from gridmill.providers.llm.lane import Lane
from gridmill.providers.llm.memory import MemoryAnswers, MemoryLimiter
from gridmill.providers.llm.model import (
    FROM_CACHE,
    NOTHING_SPENT,
    Access,
    Answer,
    Completion,
    ModelRef,
    ModelRequest,
    Usage,
)
from gridmill.providers.llm.ports import AnswerStore, Limiter, NewAnswer
from gridmill.providers.llm.prices import Price, PriceTable
from gridmill.providers.llm.registry import WIRES
from gridmill.providers.llm.transport import Transport
from gridmill.providers.llm.writer import AnswerWriter

_STARTED_AT_ONCE = 16

_Paid = tuple[Answer, Usage]


@dataclass(frozen=True, slots=True)
class _Terms:
    """What callers of the same answer agree on."""

    workspace_id: UUID
    ref: ModelRef
    read: bool
    keep: bool
    since: datetime | None
    budget: Budget | None


@dataclass(slots=True, eq=False)
class _Flight:
    """One question being answered, for all who asked it. Nobody waiting any more cancels it."""

    key: bytes
    terms: _Terms
    request: ModelRequest
    landed: asyncio.Future[_Paid]
    waiters: int = 0
    ticket: int = 0
    task: asyncio.Task[None] | None = field(default=None)


_Board = dict[tuple[_Terms, bytes], _Flight]


class Gateway:
    """Language models for a whole process.

    `accesses` are the providers that the operator configured, `default` the model asked when a
    request names none. Answers are kept in `store`, limits shared through `limiter`; both live in
    memory when left out. `prices` overrides and adds to the known ones, by `provider/model` or
    model name; `transports` are those of providers that need one of their own, and are closed with
    the gateway. Use it as an async context manager, or call `close`.
    """

    def __init__(
        self,
        accesses: Sequence[Access],
        *,
        default: ModelRef,
        store: AnswerStore | None = None,
        limiter: Limiter | None = None,
        prices: Mapping[str, Price] | None = None,
        transports: Mapping[str, Transport] | None = None,
    ) -> None:
        self.default = default
        self._store: AnswerStore = store if store is not None else MemoryAnswers()
        self._writer = AnswerWriter(self._store)
        self._prices = PriceTable(prices)
        self._transport = Transport()
        self._transports = dict(transports or {})
        self._models = {access.provider: access.models for access in accesses}
        self._lanes: list[Lane] = []
        self._callers: dict[str, Caller] = {}
        self._board: _Board = {}
        self._tasks: dict[asyncio.Task[None], Sequence[_Flight]] = {}
        holder, shared = uuid4(), limiter if limiter is not None else MemoryLimiter()
        for access in accesses:
            wire = WIRES[access.provider]()
            url = URL(wire.open_door(access).url).with_user(None)
            lane = Lane(f"{access.provider} {url}", access.limits, shared, holder)
            self._lanes.append(lane)
            self._callers[access.provider] = Caller(access, wire, self._choose(access), lane)
        if default.provider not in self._callers:
            raise UnknownModel(
                f"No access to the provider of the default model {default} is configured."
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel what is in flight, keep the answers that arrived, give the limits back."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._writer.close()
        await asyncio.gather(*(lane.close() for lane in self._lanes))
        await asyncio.gather(
            *(transport.close() for transport in (self._transport, *self._transports.values()))
        )

    def _choose(self, access: Access) -> Transport:
        return self._transports.get(access.provider, self._transport)

    def warm_up(self) -> None:
        """Make the default model's provider ready for requests that are about to come."""
        self._callers[self.default.provider].warm_up()

    def resolve(self, name: str | None) -> ModelRef:
        """The model that `provider/model` (or a bare model of the default provider) names.

        `None` is the default model. A first part that is no provider belongs to the model's name
        (`meta-llama/Llama-3.1-8B`). Raises `UnknownModel` for a provider that is not configured,
        and for a model that a provider with a list of its models does not have.
        """
        ref = self._read_name(name) if name else self.default
        models = self._models[ref.provider]
        if models is not None and ref.model not in models:
            there = ", ".join(f"{ref.provider}/{model}" for model in models)
            raise UnknownModel(f"The model {name} is not there; this server has {there}.")
        return ref

    def _read_name(self, name: str) -> ModelRef:
        provider, slash, model = name.partition("/")
        if slash and model and provider in self._callers:
            return ModelRef(provider, model)
        if slash and provider in WIRES:
            raise UnknownModel(f"The provider {provider} of the model {name} is not configured.")
        return ModelRef(self.default.provider, name)

    def price_of(self, ref: ModelRef) -> Price | None:
        """US dollars per million tokens; `None` when it is not known (usage then counts 0)."""
        return self._prices.find(ref.provider, ref.model)

    async def find_stored(
        self,
        requests: Sequence[ModelRequest],
        *,
        ref: ModelRef | None = None,
        workspace_id: UUID,
        fresh_after: datetime | None = None,
    ) -> list[bool]:
        """Which of `requests` are answered from the store, in one query; for estimates."""
        model = ref or self.default
        keys = [request.key(model) for request in requests]
        found = await self._store.find(workspace_id, list(dict.fromkeys(keys)), since=fresh_after)
        return [key in found for key in keys]

    async def complete(
        self,
        request: ModelRequest,
        *,
        ref: ModelRef | None = None,
        workspace_id: UUID,
        use_cache: bool = True,
        refresh: bool = False,
        fresh_after: datetime | None = None,
        budget: Budget | None = None,
    ) -> Completion:
        """Answer one request; see `complete_many`. Raises the `ModelError` itself."""
        results = await self.complete_many(
            [request],
            ref=ref,
            workspace_id=workspace_id,
            use_cache=use_cache,
            refresh=refresh,
            fresh_after=fresh_after,
            budget=budget,
        )
        result = results[0]
        if isinstance(result, ModelError):
            raise result
        return result

    async def complete_many(
        self,
        requests: Sequence[ModelRequest],
        *,
        ref: ModelRef | None = None,
        workspace_id: UUID,
        use_cache: bool = True,
        refresh: bool = False,
        fresh_after: datetime | None = None,
        budget: Budget | None = None,
    ) -> list[Completion | ModelError]:
        """Answer `requests`, each by a `Completion` or the `ModelError` it ended in, in order.

        Stored answers come from one query for all. Equal requests, here and in every other call
        that is under way in this process, are one request. `fresh_after` leaves out answers stored
        before that moment (a task that asks again passes its own creation time, so that it repeats
        nothing after a crash and asks equal rows once); `refresh` leaves out all stored answers.
        `use_cache=False` neither reads nor stores nor shares: every request is sent.

        After a `ProviderRefused` the rest is refused without being sent; those already answered
        keep their answers. A cancelled caller abandons the calls that nobody else waits for.
        Errors of the store itself (`kit.errors.Unavailable`) are raised.
        """
        model = ref or self.default
        if model.provider not in self._callers:
            raise UnknownModel(f"The provider of the model {model} is not configured.")
        terms = _Terms(
            workspace_id, model, use_cache and not refresh, use_cache, fresh_after, budget
        )
        flights, fresh = self._board_all(requests, terms)
        if fresh:
            self._run(self._launch(fresh, terms), fresh)
        own = {id(flight) for flight in fresh}
        results: list[Completion | ModelError] = []
        try:
            for request, flight in zip(requests, flights, strict=True):
                payer = id(flight) in own
                own.discard(id(flight))
                results.append(await self._collect(request, flight, payer=payer))
        finally:
            for flight in flights:
                self._leave(flight)
        return results

    def _board_all(
        self, requests: Sequence[ModelRequest], terms: _Terms
    ) -> tuple[list[_Flight], list[_Flight]]:
        """A flight for every request, and those among them that are new."""
        loop = asyncio.get_running_loop()
        flights: list[_Flight] = []
        fresh: list[_Flight] = []
        for request in requests:
            key = request.key(terms.ref)
            flight = self._board.get((terms, key)) if terms.keep else None
            if flight is None:
                flight = _Flight(key, terms, request, loop.create_future())
                fresh.append(flight)
                if terms.keep:
                    self._board[terms, key] = flight
            flight.waiters += 1
            flights.append(flight)
        return flights, fresh

    async def _launch(self, flights: Sequence[_Flight], terms: _Terms) -> None:
        """Land what the store answers, send the rest."""
        found: Mapping[bytes, Answer] = {}
        if terms.read:
            try:
                keys = [flight.key for flight in flights]
                found = await self._store.find(terms.workspace_id, keys, since=terms.since)
            except Exception as error:  # noqa: BLE001 - raised where the flights are awaited
                for flight in flights:
                    self._land(flight, error)
                return
        missing: list[_Flight] = []
        for flight in flights:
            answer = found.get(flight.key)
            if answer is not None and _fits(flight.request, answer):
                self._land(flight, (answer, FROM_CACHE))
            else:
                missing.append(flight)
        caller = self._callers[terms.ref.provider]
        ticket = caller.take_ticket()
        for number, flight in enumerate(missing, 1):
            if number % _STARTED_AT_ONCE == 0:
                await asyncio.sleep(0)
                await caller.wait_for_room(ticket)
            if flight.waiters:
                flight.ticket = ticket
                flight.task = self._run(self._fly(flight), [flight])

    def _run(
        self, work: Coroutine[None, None, None], flights: Sequence[_Flight]
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks[task] = flights
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        flights = self._tasks.pop(task)
        if task.cancelled():
            for flight in flights:
                self._land(flight, ModelError("The call was abandoned."))

    async def _fly(self, flight: _Flight) -> None:
        try:
            self._land(flight, await self._pay(flight.request, flight))
        except Exception as error:  # noqa: BLE001 - raised where the flight is awaited
            self._land(flight, error)

    async def _pay(self, request: ModelRequest, flight: _Flight) -> _Paid:
        key, terms = flight.key, flight.terms
        ref = terms.ref

        async def keep(answer: Answer, usage: Usage) -> None:
            await self._writer.save(
                NewAnswer(
                    terms.workspace_id,
                    key,
                    ref.provider,
                    ref.model,
                    answer,
                    usage.prompt_tokens,
                    usage.completion_tokens,
                )
            )

        return await self._callers[ref.provider].answer(
            ref.model,
            request,
            ticket=flight.ticket,
            price=self._prices.find(ref.provider, ref.model),
            budget=terms.budget,
            keep=keep if terms.keep else None,
        )

    def _land(self, flight: _Flight, result: _Paid | Exception) -> None:
        if self._board.get((flight.terms, flight.key)) is flight:
            del self._board[flight.terms, flight.key]
        if flight.landed.done():
            return
        if isinstance(result, Exception):
            flight.landed.set_exception(result)
            flight.landed.exception()  # seen: nobody may be waiting any more
        else:
            flight.landed.set_result(result)

    def _leave(self, flight: _Flight) -> None:
        flight.waiters -= 1
        if flight.waiters or flight.landed.done():
            return
        if self._board.get((flight.terms, flight.key)) is flight:
            del self._board[flight.terms, flight.key]
        if flight.task is not None:
            flight.task.cancel()

    async def _collect(
        self, request: ModelRequest, flight: _Flight, *, payer: bool
    ) -> Completion | ModelError:
        """What a flight brought, for one of those who asked; only the payer counts the cost."""
        ref = flight.terms.ref
        try:
            landed = flight.landed
            answer, usage = landed.result() if landed.done() else await asyncio.shield(landed)
            if not payer:
                usage = FROM_CACHE
                if not _fits(request, answer):
                    # Equal questions under unequal rules: this one is asked on its own.
                    answer, usage = await self._pay(request, flight)
        except ModelError as error:
            if payer:
                return error
            shared = copy.copy(error)
            shared.usage = NOTHING_SPENT
            return shared
        return Completion(answer, usage, usage is FROM_CACHE, ref.provider, ref.model)


def _fits(request: ModelRequest, answer: Answer) -> bool:
    return request.validate is None or not request.validate(answer)
