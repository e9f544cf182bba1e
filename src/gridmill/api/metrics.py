"""What Prometheus is told: of this process's HTTP door, and of the whole installation's work."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gridmill.kit.errors import Unavailable
from gridmill.kit.meters import METERS
from gridmill.tasks.gauges import Gauges

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Several scrapers at once cost the database one look.
_FRESH_SECONDS = 5.0
_PATIENCE_SECONDS = 3.0


class Metrics:
    """Requests by method, route and status; their durations in seconds; this process's meters."""

    def __init__(self, read_gauges: Callable[[], Awaitable[Gauges]]) -> None:
        self._registry = CollectorRegistry()
        self._read_gauges = read_gauges
        self._work = _Work()
        self._looked_at = -_FRESH_SECONDS
        self._looking = asyncio.Lock()
        self._registry.register(self._work)
        self._requests = Counter(
            "gridmill_http_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "gridmill_http_request_seconds",
            "Time until the reply was sent",
            ("method", "route"),
            registry=self._registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def render(self) -> bytes:
        """The exposition text; figures of the database are at most 5 s old, absent while it is away."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= _FRESH_SECONDS:
                try:
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        self._work.gauges = await self._read_gauges()
                except (Unavailable, TimeoutError):
                    self._work.gauges = None
                self._looked_at = time.monotonic()
        return generate_latest(self._registry) + generate_latest(METERS)


class _Work(Collector):
    """Jobs, tasks and workers as the database last told; nothing made up while it is away."""

    def __init__(self) -> None:
        self.gauges: Gauges | None = None

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        gauges = self.gauges
        up = "Whether the database answered at the last look"
        yield GaugeMetricFamily("gridmill_database_up", up, value=float(gauges is not None))
        if gauges is None:
            return
        waiting = GaugeMetricFamily("gridmill_jobs_waiting", "Due jobs by queue", labels=("queue",))
        running = GaugeMetricFamily("gridmill_jobs_running", "Running jobs", labels=("queue",))
        oldest = GaugeMetricFamily(
            "gridmill_oldest_job_seconds", "Age of the oldest due job", labels=("queue",)
        )
        for name, queue in gauges.queues.items():
            waiting.add_metric((name,), queue.waiting)
            running.add_metric((name,), queue.running)
            oldest.add_metric((name,), queue.oldest_seconds)
        tasks = GaugeMetricFamily("gridmill_open_tasks", "Open tasks", labels=("status",))
        for status, count in gauges.open_tasks.items():
            tasks.add_metric((status,), count)
        yield from (waiting, running, oldest, tasks)
        yield GaugeMetricFamily(
            "gridmill_webhook_undelivered_seconds",
            "Age of the oldest webhook message that is not delivered and still tried",
            value=gauges.undelivered_seconds,
        )
        alive = "Workers with a sign of life in the last 10 s"
        yield GaugeMetricFamily("gridmill_workers_alive", alive, value=gauges.workers)
