"""Reading a JSON body under the contract's rules."""

from email.message import Message

from starlette.requests import ClientDisconnect, Request

from gridmill.kit.errors import InvalidJson, PayloadTooLarge, UnsupportedMediaType

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of a JSON body; uploads have limits of their own."""

_JSON = "application/json"


async def read_body(request: Request, limit: int = BODY_LIMIT) -> bytes:
    """The whole body, streamed against `limit` bytes.

    Raises:
        PayloadTooLarge: by its `Content-Length`, or as soon as more than `limit` bytes came.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        # Nobody reads the reply; the request ends without an effect.
        raise InvalidJson("The body ended before it was complete.") from None
    return bytes(body)


def check_json_type(request: Request) -> None:
    """Raise `UnsupportedMediaType` unless the body says that it is JSON in UTF-8."""
    declared = request.headers.get("content-type")
    if declared is None:
        raise UnsupportedMediaType(f"Send the body as JSON, with Content-Type: {_JSON}.")
    header = Message()
    header["content-type"] = declared
    charset = header.get_content_charset("utf-8")
    if header.get_content_type() != _JSON or charset not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType(
            f"This route reads {_JSON} in UTF-8, not {declared[:100]!r}.",
            details={"supported": [_JSON]},
        )


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {limit} bytes.", details={"limitBytes": limit})
