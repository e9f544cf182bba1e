"""Logs: one JSON object a line on standard error, ours and the libraries' alike."""

import logging
import sys

import orjson
import structlog

from gridmill.kit.secrets import mask_event


def configure_logs(level: str) -> None:
    """Send everything from `level` (`debug` to `error`) to standard error, with context and time.

    Secrets are masked at every depth, in the text of exceptions and their causes too
    (`kit.secrets`); context comes from structlog's context variables (request, job, task).
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # What these say at INFO is either said by us (requests) or of no use to an operator.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "procrastinate"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(logging.WARNING, root.level))


def _to_json(event: object, **_options: object) -> str:
    return orjson.dumps(event, default=repr).decode()
