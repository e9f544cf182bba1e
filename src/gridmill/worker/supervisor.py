"""The worker that `gridmill serve` brings along: a child process, started again when it dies."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping

import structlog

_log = structlog.stdlib.get_logger("gridmill.worker")

_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_STABLE_SECONDS = 30.0


class WorkerSupervisor:
    """Keeps one `gridmill worker` running between `start` and `stop`.

    Everything it needs, secrets too, is in `environment`: a command line is seen by everyone.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The worker's process id, `None` between two lives."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self) -> None:
        """Start the worker, and again whenever it ends."""
        self._task = asyncio.create_task(self._keep_running(), name="worker supervisor")

    async def stop(self, *, patience: float) -> None:
        """SIGTERM, and SIGKILL after `patience` seconds."""
        self._stopping = True
        process, task = self._process, self._task
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(patience):
                    await process.wait()
            except TimeoutError:
                _log.warning("the worker does not end by itself; killing it", pid=process.pid)
                process.kill()
                await process.wait()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run_once(self) -> int | None:
        """The worker's exit code, `None` when it could not even be started."""
        command = [sys.executable, "-m", "gridmill", "worker", "--parent-pid", str(os.getpid())]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C in a terminal reaches us alone; we stop the worker before the database.
                start_new_session=True,
            )
        except OSError as error:
            _log.error("the worker could not be started", error=str(error))
            return None
        return await self._process.wait()

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        attempt = 0
        while not self._stopping:
            started = loop.time()
            code = await self._run_once()
            if self._stopping:
                return
            if loop.time() - started > _STABLE_SECONDS:
                attempt = 0
            pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
            attempt += 1
            _log.warning("the worker ended; starting it again", code=code, seconds=pause)
            await asyncio.sleep(pause)
