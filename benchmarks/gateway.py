"""The gateway alone: calls against the fake in a process of its own, compared with the ideal.

    python benchmarks/gateway.py [--calls 1000] [--latency 0.2] [--concurrency 64]

Prints the wall time over the ideal (calls / concurrency x latency) and the CPU of this process per
call, beside bare aiohttp against the same server, which is the limit that a client can reach here.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from uuid import uuid4

import aiohttp
import uvloop

from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import Access, Completion, Frame, Limits, ModelRef, ModelRequest

SCHEMA = {
    "type": "object",
    "properties": {"sector": {"type": "string", "enum": ["farming", "trade", "services"]}},
    "required": ["sector"],
    "additionalProperties": False,
}
FRAME = Frame("Fill the missing field of a row.", SCHEMA, max_tokens=50)


@dataclass(frozen=True)
class Figures:
    """Seconds of wall clock and of this process's CPU for all calls."""

    wall: float
    cpu: float


async def measure_gateway(url: str, calls: int, concurrency: int) -> Figures:
    access = Access("openai", api_key="key-of-no-use", base_url=url, limits=Limits(concurrency))
    requests = [
        ModelRequest(FRAME, f"row {number}: name: Company {number}") for number in range(calls)
    ]
    async with Gateway([access], default=ModelRef("openai", "fake")) as gateway:
        began, cpu = time.perf_counter(), time.process_time()
        results = await gateway.complete_many(requests, workspace_id=uuid4())
        figures = Figures(time.perf_counter() - began, time.process_time() - cpu)
    assert all(isinstance(result, Completion) for result in results)
    return figures


async def measure_aiohttp(url: str, calls: int, concurrency: int) -> Figures:
    body = b'{"model":"fake","messages":[{"role":"user","content":"row"}]}'
    left = iter(range(calls))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for _ in left:
                async with session.post(f"{url}/chat/completions", data=body) as response:
                    await response.read()

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        return Figures(time.perf_counter() - began, time.process_time() - cpu)


def show(name: str, got: Figures, ideal: float, calls: int) -> None:
    each = 1000 * got.cpu / calls
    print(
        f"{name}: wall {got.wall:.3f} s, {got.wall / ideal:.3f} x ideal, {each:.3f} ms CPU a call"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The gateway against a fake.")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "gridmill.providers.llm.fake",
        "--latency",
        str(options.latency),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fake:
        try:
            assert fake.stdout is not None
            url = fake.stdout.readline().strip()
            ideal = options.calls / options.concurrency * options.latency
            print(f"{options.calls} calls, {options.concurrency} at once, ideal {ideal:.3f} s")
            bare = uvloop.run(measure_aiohttp(url, options.calls, options.concurrency))
            show("aiohttp", bare, ideal, options.calls)
            got = uvloop.run(measure_gateway(url, options.calls, options.concurrency))
            show("gateway", got, ideal, options.calls)
            print(f"gateway / aiohttp: wall {got.wall / bare.wall:.3f}")
        finally:
            fake.terminate()


if __name__ == "__main__":
    main()
