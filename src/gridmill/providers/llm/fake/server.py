"""The fake's HTTP side: counts, records, fails as told, answers."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Self

import orjson

from gridmill.providers.llm.fake.answers import fill_schema
from gridmill.providers.llm.fake.behaviour import Behaviour, FakeRequest
from gridmill.providers.llm.fake.http import Call, HttpConnection, Reply
from gridmill.providers.llm.fake.reading import read_anthropic, read_openai, write_reply

Answerer = Callable[[FakeRequest], Mapping[str, Any] | str]
"""What to answer: a JSON object, or a text sent as it is."""

_RECORDED = 20_000


class FakeServer:
    """A model server on loopback. An async context manager.

    `behaviour` may be exchanged while it runs. `calls` counts every call received, `answered`
    those that got a 200, `peak` the most at once; `requests` are the last 20,000. `url` is a base
    URL for either provider. Beside the two APIs it serves `GET /fake` (the counts) and
    `POST /fake` (fields of `Behaviour` to change; `{"reset": true}` zeroes the counts).
    """

    def __init__(self, behaviour: Behaviour | None = None, answer: Answerer = fill_schema) -> None:
        self.behaviour = behaviour or Behaviour()
        self.answer = answer
        self.requests: deque[FakeRequest] = deque(maxlen=_RECORDED)
        self.calls = 0
        self.answered = 0
        self.in_flight = 0
        self.peak = 0
        self.starts: deque[float] = deque(maxlen=_RECORDED)
        self._random = random.Random(self.behaviour.seed)  # noqa: S311 - reproducible on purpose
        self._server: asyncio.Server | None = None
        self._connections: set[HttpConnection] = set()
        self._hung = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> str:
        """Listen on loopback (a free port for 0); the base URL."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: HttpConnection(self._handle, self._connections), "127.0.0.1", port, backlog=1024
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self.url

    async def stop(self) -> None:
        """Stop listening; calls that hang are let go."""
        self._hung.set()
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await self._server.wait_closed()

    def counts(self) -> dict[str, int]:
        """`calls`, `answered`, `in_flight`, `peak`, `distinct` (prompts)."""
        return {
            "calls": self.calls,
            "answered": self.answered,
            "in_flight": self.in_flight,
            "peak": self.peak,
            "distinct": len({request.prompt for request in self.requests}),
        }

    def reset(self) -> None:
        """Forget what was counted and recorded."""
        self.calls = self.answered = 0
        self.peak = self.in_flight
        self.requests.clear()
        self.starts.clear()

    async def _handle(self, call: Call) -> Reply | None:
        path = call.path
        if path == "/fake":
            return self._control(call)
        if call.method != "POST" or not path.endswith(("/chat/completions", "/messages")):
            return _fail(404, f"no route {path}")
        self.calls += 1
        self.starts.append(time.monotonic())
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            body = orjson.loads(call.body)
            read = read_openai if path.endswith("/chat/completions") else read_anthropic
            return await self._serve(call, read(body))
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError, AttributeError):
            return _fail(400, "malformed request")
        finally:
            self.in_flight -= 1

    async def _serve(self, call: Call, request: FakeRequest) -> Reply | None:
        behaviour = self.behaviour
        self.requests.append(request)
        if (fault := self._refuse(call, request)) is not None:
            return fault
        kind = self._draw()
        if behaviour.latency:
            await asyncio.sleep(call.arrived + behaviour.latency - time.monotonic())
        if kind == "hang":
            try:
                async with asyncio.timeout(behaviour.hang):
                    await self._hung.wait()
            except TimeoutError:
                pass
        if kind == "error":
            return _fail(500, "the fake fails")
        if kind == "limited":
            return self._limit()
        if kind == "drop":
            return None
        return self._answer(request, kind)

    def _draw(self) -> str:
        behaviour = self.behaviour
        draw = self._random.random()
        for kind, rate in (
            ("hang", behaviour.hanging),
            ("error", behaviour.errors),
            ("limited", behaviour.limited),
            ("drop", behaviour.dropped),
            ("broken", behaviour.broken),
            ("truncated", behaviour.truncated),
        ):
            if draw < rate:
                return kind
            draw -= rate
        return "good"

    def _answer(self, request: FakeRequest, kind: str) -> Reply:
        made = self.answer(request)
        text = made if isinstance(made, str) else orjson.dumps(made).decode()
        if self.behaviour.padding:
            text += " " * self.behaviour.padding
        if kind == "broken":
            text = text[:-1].replace('":', '"=', 1)
        elif kind == "truncated":
            text = text[: len(text) // 2]
        self.answered += 1
        body = write_reply(
            request, text, truncated=kind == "truncated", usage=self.behaviour.tells_usage
        )
        return Reply(200, body)

    def _refuse(self, call: Call, request: FakeRequest) -> Reply | None:
        """What a server says before it works: access, limits, parameters it does not know."""
        behaviour = self.behaviour
        key = call.headers.get("x-api-key") or call.headers.get("authorization", "")[7:]
        if behaviour.api_key is not None and key != behaviour.api_key:
            return _fail(401, f"Incorrect API key provided: {key}")
        if behaviour.refuse is not None:
            return _fail(behaviour.refuse, behaviour.refusal)
        if behaviour.max_concurrency is not None and self.in_flight > behaviour.max_concurrency:
            return self._limit()
        if behaviour.per_second is not None:
            since = time.monotonic() - 1.0
            if sum(1 for start in self.starts if start > since) > behaviour.per_second:
                return self._limit()
        if behaviour.wants_completion_limit and "max_tokens" in request.body:
            return _fail(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.")
        if not behaviour.takes_temperature and "temperature" in request.body:
            return _fail(400, "Unsupported value: 'temperature' does not support 0.0.")
        if request.shape != "text" and request.shape not in behaviour.supports:
            if behaviour.ignores_unsupported:
                return None
            return _fail(400, "unknown parameter in the request")
        return None

    def _limit(self) -> Reply:
        headers: dict[str, str] = {}
        if self.behaviour.retry_after is not None:
            headers["Retry-After"] = self.behaviour.retry_after
        return _fail(429, "rate limit reached", headers)

    def _control(self, call: Call) -> Reply:
        if call.method == "POST":
            change: dict[str, Any] = orjson.loads(call.body)
            if change.pop("reset", False):
                self.reset()
            if "supports" in change:
                change["supports"] = frozenset(change["supports"])
            self.behaviour = replace(self.behaviour, **change)
        shown = asdict(replace(self.behaviour, api_key=None))
        shown["supports"] = sorted(self.behaviour.supports)
        state = {**self.counts(), "behaviour": shown}
        return Reply(200, orjson.dumps(state))


def _fail(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    body = orjson.dumps({"error": {"message": message, "type": "fake_error", "code": None}})
    return Reply(status, body, headers or {})
