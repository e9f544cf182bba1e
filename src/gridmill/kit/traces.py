"""Spans for a collector that speaks OTLP over HTTP; nothing at all without one.

OpenTelemetry is imported only when an endpoint is set: it is an optional extra, and takes a tenth
of a second. Spans carry ids, counts and fixed words. Neither texts of errors nor addresses of
receivers go into them, for both may hold a tenant's values.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal, TypeAlias

import structlog

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

Kind: TypeAlias = Literal["server", "client", "consumer"]
_TRACEPARENT = "traceparent"
# All attempts at one export: a collector that is away must not hold up the end of a process.
_EXPORT_SECONDS = 3.0
_log = structlog.stdlib.get_logger("gridmill.traces")


class Span:
    """A piece of work while it is done; without a collector it forgets what it is told."""

    def __init__(self, span: "OtelSpan | None" = None) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        """Give it the name that was not known at its start."""
        if self._span is not None:
            self._span.update_name(name)

    def note(self, attributes: Mapping[str, str | int | float | None]) -> None:
        """Add what became known; `None` is left out."""
        if self._span is not None:
            for name, value in attributes.items():
                if value is not None:
                    self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        """Mark it as gone wrong, in one fixed word."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, kind))


class _Collector:
    """The tracer of this process, if it has one."""

    tracer: "Tracer | None" = None


_OFF: AbstractContextManager[Span] = nullcontext(Span())


def open_span(name: str, kind: Kind, *, parent: str | None = None) -> AbstractContextManager[Span]:
    """A span around a block, below `parent` (a W3C `traceparent`), else below the present one."""
    return _OFF if _Collector.tracer is None else _record(_Collector.tracer, name, kind, parent)


def write_traceparent() -> str | None:
    """The present span as a W3C `traceparent`; `None` outside of any, or without a collector."""
    if _Collector.tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_TRACEPARENT)


@contextmanager
def _record(tracer: "Tracer", name: str, kind: Kind, parent: str | None) -> Generator[Span]:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )

    above = None
    if parent is not None:
        above = TraceContextTextMapPropagator().extract({_TRACEPARENT: parent})
    with tracer.start_as_current_span(
        name,
        above,
        SpanKind[kind.upper()],
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        span = Span(made)
        try:
            yield span
        except BaseException as error:
            span.fail(type(error).__name__)
            raise


@asynccontextmanager
async def export_traces(endpoint: str | None, service: str) -> AsyncGenerator[None]:
    """Send this process's spans to `endpoint` (an OTLP/HTTP base URL) meanwhile; `None`: nowhere.

    What cannot be sent is dropped: a collector that is away never slows the work.
    """
    if endpoint is None:
        yield
        return
    try:
        provider = _make_provider(endpoint, service)
    except ImportError as error:
        _log.warning("no traces: install gridmill[otel]", error=str(error))
        yield
        return
    _Collector.tracer = provider.get_tracer("gridmill")
    try:
        yield
    finally:
        _Collector.tracer = None
        await asyncio.to_thread(provider.shutdown)


def _make_provider(endpoint: str, service: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=Resource.create({"service.name": service}), shutdown_on_exit=False
    )
    address = f"{endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(address, timeout=_EXPORT_SECONDS))
    )
    return provider
