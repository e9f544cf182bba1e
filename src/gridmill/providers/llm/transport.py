"""One HTTP session for every model call: kept connections, bounded replies, no redirects, no proxies."""

from dataclasses import dataclass

import aiohttp
from yarl import URL

from gridmill.providers.llm.errors import InvalidReply, ProviderTimeout, ProviderUnavailable
from gridmill.providers.llm.faults import read_retry_after

_LARGEST_REPLY = 8 * 2**20
_KEEPALIVE_SECONDS = 60
_CONNECT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole reply. `retry_after` is in seconds."""

    status: int
    body: bytes
    retry_after: float | None


class Transport:
    """Posts JSON. Opens its session at the first call, inside the running loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        # The lanes bound concurrency; a second bound here would only queue in the dark.
        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=0, keepalive_timeout=_KEEPALIVE_SECONDS, ttl_dns_cache=300
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "gridmill", "Accept-Encoding": "identity"},
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self, url: URL, headers: dict[str, str], body: bytes, seconds: float
    ) -> HttpReply:
        """One call within `seconds`, connecting and reading included.

        Raises `ProviderTimeout`, `ProviderUnavailable` when there is no connection or the reply
        breaks off, `InvalidReply` when it is over 8 MiB.
        """
        if self._session is None:
            self._session = self._open()
        limit = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                content = await _read_bounded(response)
                wait = response.headers.get("Retry-After")
                return HttpReply(response.status, content, read_retry_after(wait))
        except (aiohttp.ConnectionTimeoutError, aiohttp.ServerDisconnectedError) as error:
            raise ProviderUnavailable(
                "The provider closed or never opened the connection."
            ) from error
        except TimeoutError as error:
            raise ProviderTimeout(f"The provider did not answer within {seconds:.3g} s.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The words of these may hold the address with its user part; their kind is enough.
            kind = type(error).__name__
            raise ProviderUnavailable(f"The provider cannot be reached ({kind}).") from error


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.content_length is not None and response.content_length <= _LARGEST_REPLY:
        return await response.read()
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _LARGEST_REPLY:
            response.close()
            raise InvalidReply("The provider's reply is over 8 MiB.")
        chunks.append(chunk)
    return b"".join(chunks)
