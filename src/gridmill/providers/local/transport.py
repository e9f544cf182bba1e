"""Calls to the local model: the address is looked up for each, and the child started when needed."""

from yarl import URL

from gridmill.providers.llm.errors import InvalidReply, ProviderRefused, ProviderUnavailable
from gridmill.providers.llm.transport import HttpReply, Transport
from gridmill.providers.local.errors import LocalModelError, ServerDown
from gridmill.providers.local.server import Address, LocalServer

_CUT_OFF = b"does not match the expected"
"""How llama.cpp answers when the reply to a schema ends before its JSON does."""


class LocalTransport(Transport):
    """Posts to the child of `server`, whatever host the URL names. Owns `server`: closes it."""

    def __init__(self, server: LocalServer) -> None:
        super().__init__()
        self._server = server

    async def post(
        self, url: URL, headers: dict[str, str], body: bytes, seconds: float
    ) -> HttpReply:
        """One call; loading the weights first does not count towards its `seconds`.

        Raises `ProviderRefused` when the model cannot run here, `ProviderUnavailable` when its
        child went away and may come back, `InvalidReply` when the reply is cut off, and what `Transport.post` raises.
        """
        address = await self._reach()
        own = URL(address.url).with_path(url.path)
        try:
            reply = await super().post(
                own, {**headers, "Authorization": f"Bearer {address.key}"}, body, seconds
            )
        except ProviderUnavailable:
            self._server.forget(address)
            raise
        if reply.status == 401:
            # Another program took the port of a child that is gone.
            self._server.forget(address)
            raise ProviderUnavailable("The local model was started again meanwhile.")
        if reply.status == 500 and _CUT_OFF in reply.body:
            raise InvalidReply("The local model's reply was cut off by its token limit.")
        return reply

    async def _reach(self) -> Address:
        try:
            return await self._server.reach()
        except ServerDown as error:
            raise ProviderUnavailable(str(error), retry_after=error.wait) from error
        except (LocalModelError, OSError) as error:
            raise ProviderRefused(str(error)) from error

    async def close(self) -> None:
        """Close every connection and end the child."""
        await super().close()
        await self._server.close()
