"""Bodies that nobody read: taken off the line before the connection is closed.

A refusal is often decided before the body is read. A connection that is closed with bytes still
unread is reset, and a client that writes its whole body before it reads loses the reply with it.
"""

import asyncio

from starlette.types import Message, Receive, Scope

_IDLE_SECONDS = 2.0
_SECONDS = 60.0
_BYTES = 512 * 2**20


class UnreadBody:
    """Passes a request's body on, and knows whether some of it is still to come."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.is_waiting = _announces_body(scope)

    async def receive(self) -> Message:
        """The next message of the request."""
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self.is_waiting = False
        return message

    async def discard(self) -> None:
        """Read the rest and drop it, until its end or for as long as anyone may expect."""
        left = _BYTES
        try:
            async with asyncio.timeout(_SECONDS):
                while self.is_waiting and left > 0:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        left -= len((await self.receive()).get("body", b""))
        except (TimeoutError, asyncio.CancelledError):
            # Cancelled: the server is stopping, and all of the reply is out already.
            return

    def abandon(self) -> None:
        """Wait for nothing more: the line may be cut."""
        self.is_waiting = False


def _announces_body(scope: Scope) -> bool:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if headers.get(b"expect", b"").lower() == b"100-continue":
        return False  # the client waits for our word before it sends anything
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
