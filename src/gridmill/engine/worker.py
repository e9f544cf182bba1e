"""The worker: takes jobs, runs their handlers, and survives its database and its own end.

Loops of their own, each of which outlives an outage: one for the jobs of every queue, one for
notifications, one for signs of life (and what they reveal: requests to abort, jobs lost), one for
upkeep (the rescue of dead workers' jobs, so that it never waits for a free slot).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from procrastinate.jobs import Notification

from gridmill.engine.claims import OUTAGE, Claim, Claims, End
from gridmill.engine.port import HandlerSpec
from gridmill.engine.runs import Run, Stop
from gridmill.kit.traces import open_span

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_CLEAN_EVERY_SECONDS = 3600.0
_CHANNEL_PREFIX = "procrastinate_queue_v1#"


@dataclass(frozen=True, slots=True)
class Timings:
    """All in seconds, except `keep_ended_hours`.

    `heartbeat`: between two signs of life. `stalled_after`: without one, a worker's jobs are
    given to others, each counted as an attempt. `poll`: the wait for work that no notification
    announced (retries that fall due). `grace`: how long running jobs may finish after a stop;
    `hand_back`: how long handlers may take to end once cancelled, before the worker leaves.
    """

    heartbeat: float = 1.5
    stalled_after: float = 8.0
    rescue_every: float = 2.0
    poll: float = 1.0
    grace: float = 15.0
    hand_back: float = 5.0
    keep_ended_hours: int = 72


async def run_worker(
    url: str,
    handlers: Mapping[str, HandlerSpec],
    *,
    queues: Mapping[str, int],
    stop: asyncio.Event,
    timings: Timings | None = None,
) -> None:
    """Work until `stop` is set, then let running jobs finish or hand them back.

    `queues` maps each queue to the number of its jobs that run at once here: queues do not wait
    for one another. `url` must reach PostgreSQL directly (LISTEN does not pass a transaction
    pooler). An unreachable database, now or later, is waited for. Cancelling this call is a stop
    without grace.
    """
    worker = _Worker(Claims(url), handlers, queues, timings or Timings())
    await worker.run(stop)


@dataclass(slots=True)
class _Queue:
    name: str
    slots: int
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0


class _Worker:
    def __init__(
        self,
        claims: Claims,
        handlers: Mapping[str, HandlerSpec],
        queues: Mapping[str, int],
        timings: Timings,
    ) -> None:
        self._claims = claims
        self._handlers = handlers
        self._queues = {name: _Queue(name, slots) for name, slots in queues.items()}
        self._timings = timings
        self._worker_id = 0
        self._stopping = False
        self._runs: dict[int, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        # When this worker may judge others by their silence. After an outage everyone was
        # silent, so it waits until the others had the time to be heard.
        self._may_judge_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        await self._claims.open()
        try:
            if await self._register(stop):
                await self._work(stop)
        finally:
            await self._claims.close()

    async def _register(self, stop: asyncio.Event) -> bool:
        """Become a worker; False when stopped before the database could be reached."""
        pause = _FIRST_PAUSE_SECONDS
        while not stop.is_set():
            try:
                self._worker_id = await self._claims.register()
            except OUTAGE as error:
                _log.warning("database unreachable, waiting", error=str(error))
                await _wait_for(stop, pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                _log.info("worker started", worker_id=self._worker_id, queues=list(self._queues))
                return True
        return False

    async def _work(self, stop: asyncio.Event) -> None:
        takers = [asyncio.create_task(self._take(queue)) for queue in self._queues.values()]
        helpers = [
            asyncio.create_task(loop)
            for loop in (self._beat(stop), self._keep_listening(), self._keep_up())
        ]
        stopped = asyncio.create_task(stop.wait())
        grace = 0.0
        try:
            # None of the loops ends by itself: one that does has met a fault in this module.
            done, _ = await asyncio.wait(
                [stopped, *takers, *helpers], return_when=asyncio.FIRST_COMPLETED
            )
            grace = self._timings.grace if stopped in done else 0.0
            for task in done - {stopped}:
                task.result()
        finally:
            stopped.cancel()
            await self._shut_down(takers, grace)
            await _cancel_all(helpers)
            with suppress(*OUTAGE):
                async with asyncio.timeout(2.0):
                    await self._claims.unregister(self._worker_id)
            _log.info("worker stopped", worker_id=self._worker_id)

    async def _shut_down(self, takers: list[asyncio.Task[None]], grace: float) -> None:
        self._stopping = True
        for queue in self._queues.values():
            queue.wake.set()
        # A claim that is under way is let through, so that its job can be handed back.
        await asyncio.wait(takers, timeout=2.0)
        await _cancel_all(takers)
        if self._tasks and grace:
            _log.info("waiting for running jobs", jobs=len(self._tasks), seconds=grace)
            await asyncio.wait(self._tasks, timeout=grace)
        for run in self._runs.values():
            run.stop(Stop.SHUTDOWN)
        # Meanwhile the signs of life go on, and insist on cancellations that were not heard.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._timings.hand_back)
        # What is left ignores its cancellation, or cannot reach the database: the rescue has it.
        await _cancel_all(list(self._tasks), within=1.0)

    async def _take(self, queue: _Queue) -> None:
        """Start the jobs of one queue as slots come free."""
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping:
            # Cleared before the look, so that what is announced during it is not missed.
            queue.wake.clear()
            claim: Claim | None = None
            try:
                if queue.running < queue.slots:
                    claim = await self._claims.claim(queue.name, self._worker_id)
            except OUTAGE as error:
                _log.warning("could not take a job", queue=queue.name, error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            pause = _FIRST_PAUSE_SECONDS
            if claim is None:
                await _wait_for(queue.wake, self._timings.poll)
            else:
                self._start(queue, claim)

    def _start(self, queue: _Queue, claim: Claim) -> None:
        run = Run(claim, self._handlers.get(claim.name))
        self._runs[claim.job_id] = run
        queue.running += 1
        task = asyncio.create_task(self._complete(run), name=f"job {claim.name} {claim.job_id}")
        self._tasks.add(task)

        def forget(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if self._runs.get(claim.job_id) is run:
                del self._runs[claim.job_id]
            queue.running -= 1
            queue.wake.set()

        task.add_done_callback(forget)

    async def _complete(self, run: Run) -> None:
        """Run a job and write its end, however long the database is away."""
        context = {"job": run.claim.name, "job_id": run.claim.job_id}
        if "taskId" in run.claim.payload:
            context["task_id"] = str(run.claim.payload["taskId"])
        origin = run.claim.origin
        if origin.request_id is not None:
            context["request_id"] = origin.request_id
        with structlog.contextvars.bound_contextvars(**context):
            name = f"job {run.claim.name}"
            with open_span(name, "consumer", parent=origin.traceparent) as span:
                outcome = await run.execute()
                span.note({f"gridmill.{key}": value for key, value in context.items()})
                if outcome.end is not End.DONE:
                    span.fail(outcome.end.value)
            pause = _FIRST_PAUSE_SECONDS
            while run.stopped is not Stop.LOST:
                try:
                    if not await self._claims.settle(run.claim, outcome):
                        _log.info("this run's end no longer counts: the job was given away")
                except OUTAGE as error:
                    _log.warning("could not write a job's end", error=str(error))
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                else:
                    return

    async def _on_notification(self, *, channel: str, notification: Notification) -> None:
        if notification["type"] == "abort_job_requested":
            self._abort(notification["job_id"])
        else:
            queue = self._queues.get(channel.removeprefix(_CHANNEL_PREFIX))
            if queue is not None:
                queue.wake.set()

    def _abort(self, job_id: int) -> None:
        run = self._runs.get(job_id)
        if run is not None and run.stopped is None:
            _log.info("job is being aborted", job=run.claim.name, job_id=job_id)
            run.stop(Stop.CANCELLED)

    async def _keep_listening(self) -> None:
        async def listen() -> None:
            await self._claims.listen(self._queues, self._on_notification)

        await self._repeat(listen, every=_FIRST_PAUSE_SECONDS)

    async def _beat(self, stop: asyncio.Event) -> None:
        """Signs of life; their answers tell what to abort and what the table alone believes in."""
        strangers: frozenset[int] = frozenset()

        async def beat() -> None:
            nonlocal strangers
            held = await self._claims.beat(self._worker_id)
            if held is None:
                _log.warning("taken for dead: this worker's jobs were given to others")
                for run in list(self._runs.values()):
                    run.stop(Stop.LOST)
                await self._register(stop)
                return
            for job_id in held.aborted:
                self._abort(job_id)
            # Twice in a row: a claim's answer may be on its way.
            unknown = held.job_ids - self._runs.keys()
            if orphans := unknown & strangers:
                _log.warning("releasing jobs that never arrived", jobs=sorted(orphans))
                await self._claims.release(self._worker_id, orphans)
            strangers = unknown
            for run in list(self._runs.values()):
                run.insist()

        await self._repeat(beat, every=self._timings.heartbeat)

    async def _keep_up(self) -> None:
        cleaned_at = -_CLEAN_EVERY_SECONDS

        async def keep_up() -> None:
            nonlocal cleaned_at
            if self._loop.time() < self._may_judge_at:
                return
            if rescued := await self._claims.rescue(self._timings.stalled_after):
                _log.warning("rescued the jobs of a dead worker", jobs=rescued)
            if self._loop.time() - cleaned_at > _CLEAN_EVERY_SECONDS:
                cleaned_at = self._loop.time()
                await self._claims.delete_ended(self._timings.keep_ended_hours)

        await self._repeat(keep_up, every=self._timings.rescue_every)

    async def _repeat(self, step: Callable[[], Awaitable[None]], *, every: float) -> None:
        """Do `step` again and again, until cancelled; an outage only slows it down."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await step()
            except OUTAGE as error:
                self._may_judge_at = self._loop.time() + self._timings.stalled_after
                _log.warning("database away", error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                pause = _FIRST_PAUSE_SECONDS
                await asyncio.sleep(every)


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _cancel_all(tasks: Sequence[asyncio.Task[None]], *, within: float = 5.0) -> None:
    """Cancel until it is heard: Python 3.11's `wait_for`, below psycopg, can swallow one."""
    deadline = asyncio.get_running_loop().time() + within
    pending = {task for task in tasks if not task.done()}
    while pending and asyncio.get_running_loop().time() < deadline:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.25)
