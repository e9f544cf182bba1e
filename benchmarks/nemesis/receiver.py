"""The endpoint that webhooks are delivered to: remembers everything, and is not always well."""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from benchmarks.nemesis.relay import Relay, relaying


@dataclass
class Received:
    """Bodies by message id, each as often as it came, at `url`, which lies behind `relay`."""

    relay: Relay
    url: str
    messages: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )


@asynccontextmanager
async def receiving(seed: int, faulty_share: float = 0.1) -> AsyncGenerator[Received]:
    """A receiver on a free loopback port; `faulty_share` of what arrives is answered with 500."""
    dice = random.Random(seed)

    messages: dict[str, list[dict[str, Any]]] = {}

    async def receive(request: web.Request) -> web.Response:
        body = await request.json()
        messages.setdefault(request.headers["webhook-id"], []).append(body)
        return web.Response(status=500 if dice.random() < faulty_share else 204)

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        async with relaying(port) as relay:
            received = Received(relay, f"http://{host}:{relay.port}/", messages)
            yield received
    finally:
        await runner.cleanup()
