"""Files on their way to a client: streamed, named, never held in memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import StreamingResponse


@dataclass(frozen=True, slots=True)
class Download:
    """A file to send: `size` in bytes when it is known before the end."""

    file_name: str
    content_type: str
    chunks: AsyncIterator[bytes]
    size: int | None = None


def send_download(download: Download) -> StreamingResponse:
    """An attachment; browsers save it and never render it."""
    headers = {
        "Content-Disposition": _name(download.file_name),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    if download.size is not None:
        headers["Content-Length"] = str(download.size)
    return StreamingResponse(download.chunks, 200, headers, download.content_type)


def _name(file_name: str) -> str:
    """RFC 6266: a plain name for old clients, the true one beside it."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%;' else "_" for c in file_name)
    true = quote(file_name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{true}"
