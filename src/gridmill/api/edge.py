"""The outermost layer: request id, HEAD, log line, metrics, and the last net for errors."""

import asyncio
import re
import time
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridmill.api.draining import UnreadBody
from gridmill.api.errors import internal_error, render_error
from gridmill.api.metrics import Metrics
from gridmill.api.rates import Window
from gridmill.api.routes import RouteTable
from gridmill.kit.errors import GridmillError, Unavailable
from gridmill.kit.traces import Span, open_span

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{1,128}", re.ASCII)
_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_CLOSED = 499
_log = structlog.stdlib.get_logger("gridmill.api")


class Edge:
    """Wraps the whole app; pure ASGI, so that bodies and streams pass untouched."""

    def __init__(self, app: ASGIApp, *, routes: RouteTable, metrics: Metrics) -> None:
        self._app = app
        self._routes = routes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _read_request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        body = UnreadBody(scope, receive)
        reply = _Reply(send, scope["state"], body, bodiless=scope["method"] == "HEAD")
        method = scope["method"]
        if method == "HEAD":
            scope["method"] = "GET"
        started = time.perf_counter()
        with open_span("request", "server", parent=_read_traceparent(scope)) as span:
            try:
                await self._serve(scope, body.receive, reply)
            finally:
                self._tell(scope, method, reply.status, time.perf_counter() - started, span)

    async def _serve(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        try:
            await self._app(scope, receive, reply.send)
        except _HeadAnswered:
            return
        except ClientDisconnect:
            reply.status = reply.status or _CLIENT_CLOSED
        except asyncio.CancelledError:
            # The server is stopping and has waited long enough.
            if reply.started and not reply.is_event_stream:
                raise
            await _send_farewell(scope, receive, reply)
        except GridmillError as error:
            if reply.started:
                raise
            await render_error(scope, error)(scope, receive, reply.send)
        except Exception:
            _log.exception("request failed", path=_path_of(scope))
            if reply.started:
                # The connection breaks, so the client cannot take half a reply for a whole one.
                raise
            error = internal_error(reply.request_id)
            await render_error(scope, error)(scope, receive, reply.send)

    def _tell(self, scope: Scope, method: str, status: int, seconds: float, span: Span) -> None:
        route = self._routes.template_of(scope.get("endpoint")) or "(none)"
        shown = method if method in _KNOWN_METHODS else "(other)"
        self._metrics.observe(shown, route, status, seconds)
        span.rename(f"{shown} {route}")
        span.note(
            {
                "http.request.method": shown,
                "http.route": route,
                "http.response.status_code": status,
                "gridmill.request_id": scope["state"]["request_id"],
            }
        )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.fail(str(status))
        caller = scope["state"].get("caller")
        level = "warning" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "info"
        getattr(_log, level)(
            "request",
            method=shown,
            route=route,
            path=_path_of(scope),
            status=status,
            ms=round(seconds * 1000, 1),
            key_id=str(getattr(caller, "key_id", "")) or None,
        )


class _HeadAnswered(OSError):
    """Ends a stream behind a HEAD request; Starlette takes an `OSError` for a client that left."""


class _Reply:
    """The sending side: adds the headers of every reply, notes the status, drops a HEAD's body."""

    def __init__(
        self, send: Send, state: dict[str, Any], body: UnreadBody, *, bodiless: bool
    ) -> None:
        self._send = send
        self._state = state
        self._body = body
        self._bodiless = bodiless
        self.request_id: str = state["request_id"]
        self.started = False
        self.is_event_stream = False
        self.status = 0

    def abandon_body(self) -> None:
        self._body.abandon()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = [*message.get("headers", []), (b"x-request-id", self.request_id.encode())]
            window: Window | None = self._state.get("window")
            if window is not None:
                headers += window.to_headers()
            self.is_event_stream = any(
                name == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in headers
            )
            await self._send({**message, "headers": headers})
        elif self._bodiless and message["type"] == "http.response.body":
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            if message.get("more_body"):
                raise _HeadAnswered
        elif message.get("more_body") or not self._body.is_waiting:
            await self._send(message)
        else:
            # All of the reply goes out, but the connection stays open until the client is done.
            await self._send({**message, "more_body": True})
            await self._body.discard()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_farewell(scope: Scope, receive: Receive, reply: _Reply) -> None:
    """End an event stream, which its client resumes elsewhere; else say that we are stopping."""
    reply.abandon_body()
    if reply.started:
        await reply.send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    error = Unavailable("The server is stopping; try again.", retry_after=5)
    await render_error(scope, error)(scope, receive, reply.send)


def _read_request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode()
    return uuid4().hex


def _read_traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            # What does not read as one starts a trace of its own.
            return value.decode("latin-1")
    return None


def _path_of(scope: Scope) -> str:
    """The path for the log, without the token of a signed link: whoever holds it can use it."""
    path: str = scope["path"]
    return "/downloads/…" if path.startswith("/downloads/") else path[:300]
