"""The fake as a process of its own: prints its base URL, ends with its parent or its lifetime."""

import argparse
import asyncio
import os
import signal
import sys

import uvloop

from gridmill.providers.llm.fake.behaviour import ALL_SHAPES, Behaviour
from gridmill.providers.llm.fake.server import FakeServer

_LOOK_SECONDS = 0.5


def read_arguments() -> argparse.Namespace:
    """The options; `--help` tells them."""
    parser = argparse.ArgumentParser(
        prog="python -m gridmill.providers.llm.fake",
        description="A model server that is no model, on loopback: OpenAI's and Anthropic's API.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--lifetime", type=float, default=900.0, help="seconds until it ends")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a reply takes")
    for name in ("errors", "limited", "broken", "truncated", "dropped", "hanging"):
        parser.add_argument(f"--{name}", type=float, default=0.0, help="share of calls, 0 to 1")
    parser.add_argument("--retry-after", help="the header that comes with 429")
    parser.add_argument("--refuse", type=int, help="answer every call with this status")
    parser.add_argument("--max-concurrency", type=int, help="429 above so many calls at once")
    parser.add_argument("--api-key", help="the only key that is accepted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--supports",
        nargs="*",
        choices=sorted(ALL_SHAPES),
        default=sorted(ALL_SHAPES),
        help="the structured outputs that are understood",
    )
    return parser.parse_args()


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT, the parent's end, or the end of the lifetime."""
    fields = dict(vars(options))
    port, lifetime = fields.pop("port"), fields.pop("lifetime")
    fields["supports"] = frozenset(fields["supports"])
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    parent = os.getppid()
    server = FakeServer(Behaviour(**fields))
    await server.start(port)
    try:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + lifetime
        while not ended.is_set() and os.getppid() == parent and loop.time() < ends_at:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await ended.wait()
            except TimeoutError:
                continue
    finally:
        await server.stop()


if __name__ == "__main__":
    uvloop.run(run(read_arguments()))
