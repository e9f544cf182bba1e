"""One run of one job: call the handler, say what its end means for the job."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from secrets import SystemRandom
from typing import Any

import structlog

from gridmill.engine.claims import Claim, End, Outcome
from gridmill.engine.port import HandlerSpec, JobContext, Retry

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_random = SystemRandom()

_BACKOFF_CAP_SECONDS = 60.0
# A job that no handler of this version knows waits for a worker that does (a rolling deploy).
_UNKNOWN_DELAY_SECONDS = 15.0
_UNKNOWN_ATTEMPTS = 240
# How long a cancelled handler may clean up before it is cancelled again.
_CLEAN_UP_SECONDS = 2.0
# How often `on_exhausted` may fail before the job is left as failed.
_EXHAUSTED_ATTEMPTS = 20


class Stop(StrEnum):
    """Why a run is being ended from outside."""

    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    LOST = "lost"


class Run:
    """A claimed job while its handler works; `stop` may be called at any time."""

    def __init__(self, claim: Claim, spec: HandlerSpec | None) -> None:
        self.claim = claim
        self.stopped: Stop | None = None
        self._spec = spec
        self._handler: asyncio.Task[None] | None = None
        self._cancelled_at = 0.0
        attempt = claim.attempts + 1
        self._context = JobContext(
            job_id=claim.job_id,
            attempt=attempt,
            last_attempt=spec is not None and attempt >= spec.max_attempts,
        )

    def stop(self, reason: Stop) -> None:
        """Set the handler's `aborted` and cancel it; a lost run stays lost whatever comes after."""
        if reason is Stop.LOST or self.stopped is None:
            first, self.stopped = self.stopped is None, reason
            if first:
                self._context.aborted.set()
                self._cancel()

    def insist(self) -> None:
        """Cancel a stopped run again when it had its time to clean up and still works.

        Python 3.11's `wait_for`, which lies below psycopg and others, can swallow a cancellation.
        """
        if self.stopped is not None and time.monotonic() - self._cancelled_at > _CLEAN_UP_SECONDS:
            self._cancel()

    def _cancel(self) -> None:
        self._cancelled_at = time.monotonic()
        if self._handler is not None:
            self._handler.cancel()

    async def execute(self) -> Outcome:
        """Run the handler to its end; never raises what the handler raised."""
        spec = self._spec
        if spec is None:
            _log.error("no handler for this job", job=self.claim.name, job_id=self.claim.job_id)
            if self.claim.attempts >= _UNKNOWN_ATTEMPTS:
                return Outcome(End.FAILED)
            return Outcome(End.AGAIN, delay=_UNKNOWN_DELAY_SECONDS)
        if self.claim.attempts >= spec.max_attempts:
            return await self._exhaust(
                spec, f"The work was interrupted {self.claim.attempts} times and never finished."
            )
        error = await self._call(self._work(spec))
        if error is None:
            return Outcome(End.DONE)
        if self.stopped is not None:
            return _interpret_stop(self.stopped)
        if isinstance(error, Retry):
            return Outcome(End.AGAIN, delay=max(error.delay, 0.0), counted=False)
        return await self._fail(spec, error)

    async def _work(self, spec: HandlerSpec) -> None:
        await spec.run(self.claim.payload, self._context)

    async def _fail(self, spec: HandlerSpec, error: BaseException) -> Outcome:
        text = f"{type(error).__name__}: {error}"
        _log.warning(
            "job failed",
            job=self.claim.name,
            job_id=self.claim.job_id,
            attempt=self._context.attempt,
            of=spec.max_attempts,
            exc_info=error,
        )
        if self._context.last_attempt:
            return await self._exhaust(spec, text)
        return Outcome(End.AGAIN, delay=_choose_delay(spec, self._context.attempt))

    async def _exhaust(self, spec: HandlerSpec, text: str) -> Outcome:
        if spec.on_exhausted is None:
            return Outcome(End.FAILED)
        error = await self._call(_call_exhausted(spec, self.claim, text))
        if error is None:
            return Outcome(End.FAILED)
        if self.stopped is not None:
            return _interpret_stop(self.stopped)
        _log.error("job could not be given up", job=self.claim.name, exc_info=error)
        if self.claim.attempts >= spec.max_attempts + _EXHAUSTED_ATTEMPTS:
            return Outcome(End.FAILED)
        return Outcome(End.AGAIN, delay=_choose_delay(spec, self._context.attempt))

    async def _call(self, work: Coroutine[Any, Any, None]) -> BaseException | None:
        """Await `work` as a task of its own that `stop` may cancel; what it raised."""
        task = self._handler = asyncio.create_task(work)
        if self.stopped is not None:
            task.cancel()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            # The worker itself is being torn down.
            self.stop(Stop.SHUTDOWN)
            with suppress(BaseException):
                await task
            raise
        return asyncio.CancelledError() if task.cancelled() else task.exception()


async def _call_exhausted(spec: HandlerSpec, claim: Claim, text: str) -> None:
    if spec.on_exhausted is not None:
        await spec.on_exhausted(claim.payload, text)


def _interpret_stop(reason: Stop) -> Outcome:
    if reason is Stop.CANCELLED:
        return Outcome(End.ABORTED)
    # Handed back: the job did nothing wrong, so the run is not counted.
    return Outcome(End.AGAIN, counted=False)


def _choose_delay(spec: HandlerSpec, attempt: int) -> float:
    """Doubling from `spec.backoff` seconds, at most a minute, a fifth up or down by chance."""
    delay = min(spec.backoff * 2 ** (attempt - 1), _BACKOFF_CAP_SECONDS)
    return delay * _random.uniform(0.8, 1.2)
