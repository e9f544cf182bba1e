"""How fast the local model is on this machine, asked of itself."""

from dataclasses import dataclass

import aiohttp
import msgspec

from gridmill.providers.local.errors import ServerDown
from gridmill.providers.local.server import LocalServer

_TEXT = "The table has rows, the rows have cells, and some of the cells are empty. " * 8
_SECONDS = 120.0


class _Timings(msgspec.Struct):
    prompt_per_second: float
    predicted_per_second: float


class _Reply(msgspec.Struct):
    timings: _Timings


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second: read (of a prompt not seen before) and written."""

    read: float
    written: float


async def measure_speed(server: LocalServer) -> Speed:
    """Ask one question of some 150 tokens for 32. Raises what `LocalServer.reach` raises."""
    address = await server.reach()
    body = {
        "messages": [{"role": "user", "content": _TEXT}],
        "max_tokens": 32,
        "temperature": 0,
        "cache_prompt": False,
    }
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session,
            session.post(
                f"{address.url}/v1/chat/completions",
                json=body,
                headers={"Authorization": f"Bearer {address.key}"},
            ) as reply,
        ):
            timings = msgspec.json.decode(await reply.read(), type=_Reply).timings
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        server.forget(address)
        raise ServerDown(
            f"The local model did not answer ({type(error).__name__}).", 0.0
        ) from error
    return Speed(timings.prompt_per_second, timings.predicted_per_second)
