"""Requests to addresses that a user named.

The check is on what is dialled, so a name that changes between a look and the dialling, or a
redirect, gains nothing.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    ThreadedResolver,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gridmill.kit.egress.addresses import AddressRules, check_url

TOTAL_SECONDS = 30.0
READ_BYTES = 64 * 1024
_CONNECTIONS = 100

UNREACHABLE = "The address could not be reached."
TOO_SLOW = f"There was no complete answer within {TOTAL_SECONDS:g} s."


class EgressFailed(Exception):
    """No reply; the message is for the user.

    It is the same for every cause that lies in the network: whoever reads it learns nothing of
    what is behind an address.
    """


class _Refused(OSError):
    """An address that may not be dialled."""


@dataclass(frozen=True, slots=True)
class EgressReply:
    """A reply: its status, the first 64 KiB of its body as sent, and its `Retry-After`."""

    status: int
    body: bytes
    retry_after: str | None


class GuardedResolver(AbstractResolver):
    """Refuses a name as a whole when any of its addresses may not be dialled."""

    def __init__(self, rules: AddressRules, inner: AbstractResolver) -> None:
        self._rules = rules
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See aiohttp. Raises `OSError` for a name that is refused."""
        found = await self._inner.resolve(host, port, family)
        if not found or not all(self._rules.admits(one["host"]) for one in found):
            raise _Refused("refused")
        return found

    async def close(self) -> None:
        """See aiohttp."""
        await self._inner.close()


class Egress:
    """The one client for such addresses; made inside a running event loop, ended by `close`.

    `resolver` replaces the system's in tests.
    """

    def __init__(
        self,
        rules: AddressRules,
        resolver: AbstractResolver | None = None,
        *,
        seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._rules = rules

        def dial(info: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, address = info
            if not rules.admits(str(address[0])):
                raise _Refused("refused")
            return socket.socket(family, kind, protocol)

        self._session = ClientSession(
            connector=TCPConnector(
                resolver=GuardedResolver(rules, resolver or ThreadedResolver()),
                socket_factory=dial,
                use_dns_cache=False,
                limit=_CONNECTIONS,
                force_close=True,
            ),
            timeout=ClientTimeout(total=seconds),
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Drop all connections."""
        await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> EgressReply:
        """Send `body` once; redirects are replies like others.

        Raises:
            EgressFailed: there was no reply in time; its message may be shown to the user.
        """
        fault = check_url(url, self._rules)
        if fault is not None:
            raise EgressFailed(fault)
        try:
            async with self._session.post(
                URL(url),
                data=body,
                headers=headers,
                allow_redirects=False,
                skip_auto_headers=("Accept-Encoding",),
            ) as response:
                said = bytearray()
                while len(said) < READ_BYTES:
                    chunk = await response.content.read(READ_BYTES - len(said))
                    if not chunk:
                        break
                    said += chunk
                retry_after = response.headers.get("Retry-After")
                return EgressReply(response.status, bytes(said), retry_after)
        except TimeoutError:
            raise EgressFailed(TOO_SLOW) from None
        except (ClientError, OSError, ValueError):
            raise EgressFailed(UNREACHABLE) from None
