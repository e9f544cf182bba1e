"""A worker's own page of metrics: it has no API that could show them."""

from collections.abc import Generator
from contextlib import contextmanager

import structlog
from prometheus_client import start_http_server

from gridmill.kit.meters import METERS

_log = structlog.stdlib.get_logger("gridmill.worker")


@contextmanager
def show_metrics(host: str, port: int | None) -> Generator[None]:
    """Answer `GET /metrics` on `host` and `port` (0: a free one, logged; `None`: not at all).

    A port that is taken is logged, and the work goes on unseen: watching must not stop it.
    """
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, host, METERS)
    except OSError as error:
        _log.error("metrics cannot be shown", host=host, port=port, error=str(error))
        yield
        return
    _log.info("metrics are shown", host=host, port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
