"""The HTTP/1.1 protocol of the server: what is no HTTP is refused in the one shape of errors."""

from uuid import uuid4

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gridmill.api.errors import BadRequest
from gridmill.kit.http import to_json

HEAD_BYTES = 2**18
"""Of a request's line and headers: a filter of 10,000 characters takes up to 120,000 as a URL."""


class Protocol(H11Protocol):
    """uvicorn's, with our words for a request that cannot be read."""

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not read, and close."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            # The reply is under way; all that can be told is that it goes no further.
            self.transport.close()
            return
        body = to_json(BadRequest(msg).to_wire())
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", uuid4().hex.encode()),
            (b"connection", b"close"),
        ]
        events = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event))
        self.transport.close()
