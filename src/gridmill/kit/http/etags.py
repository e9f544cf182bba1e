"""Entity tags and preconditions (RFC 9110, sections 8.8.3 and 13).

A tag is a hash of the JSON that it stands for, so it changes exactly when that does. An endpoint
that changes something tagged asks `has_precondition` first, takes its lock, reads what is there
*now*, and gives it to `check_match`: of two changes with one tag the second finds another.
"""

import hashlib
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from gridmill.kit.errors import PreconditionFailed
from gridmill.kit.http.replies import reply, to_json

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_LIST = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t]*(?:,[ \t,]*|$))+")


def make_etag(data: object) -> str:
    """The strong tag of what `reply(data)` sends: 128 bits of its SHA-256."""
    return f'"{hashlib.sha256(to_json(data)).hexdigest()[:32]}"'


def tagged_reply(
    request: Request, data: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON reply with its `ETag`; 304 to a GET whose `If-None-Match` names it."""
    made = reply(data, status, headers)
    tag = f'"{hashlib.sha256(made.body).hexdigest()[:32]}"'
    made.headers["ETag"] = tag
    if request.method == "GET" and _is_named(request, "if-none-match", tag, weak=True):
        return Response(status_code=304, headers={"ETag": tag})
    return made


def has_precondition(request: Request) -> bool:
    """Whether the call may go on only from a state that `If-Match` names."""
    return "if-match" in request.headers


def check_match(request: Request, current: object) -> None:
    """Hold the call's `If-Match` against what is there now; nothing happens without the header.

    Raises:
        PreconditionFailed: none of its tags is that of `current`; what is no list of strong tags
            matches nothing.
    """
    if not has_precondition(request):
        return
    tag = make_etag(current)
    if not _is_named(request, "if-match", tag, weak=False):
        raise PreconditionFailed(tag)


def _is_named(request: Request, header: str, tag: str, *, weak: bool) -> bool:
    values = request.headers.getlist(header)
    text = ", ".join(values).strip()
    if not values:
        return False
    if text == "*":
        return True
    if not _LIST.fullmatch(text):
        return False
    return any(found == tag and (weak or not mark) for mark, found in _TAG.findall(text))
