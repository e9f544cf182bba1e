"""Answers go to their store as they arrive, all that wait in one transaction."""

import asyncio
import logging
import time

from gridmill.kit.errors import Unavailable
from gridmill.providers.llm.ports import AnswerStore, NewAnswer

_GIVE_UP = 30.0
_LONGEST_WAIT = 2.0
_LARGEST_BATCH = 500

_log = logging.getLogger(__name__)


class AnswerWriter:
    """Group commit: while one transaction runs, the answers that arrive gather for the next."""

    def __init__(self, store: AnswerStore) -> None:
        self._store = store
        self._waiting: list[tuple[NewAnswer, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def save(self, answer: NewAnswer) -> None:
        """Return once `answer` is kept.

        A store that is away is tried again for 30 s (the calls keep their slots, so nothing more
        is paid for meanwhile); then its own error is raised. A caller that is cancelled does not
        take its answer back.
        """
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((answer, kept))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(), name="answer writer")
        await kept

    async def _drain(self) -> None:
        while self._waiting:
            batch = self._waiting[:_LARGEST_BATCH]
            del self._waiting[:_LARGEST_BATCH]
            # The last of two answers to one question is the one that stays.
            answers = {(a.workspace_id, a.key): a for a, _ in batch}
            try:
                await self._save(list(answers.values()))
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait
                for _, kept in batch:
                    if not kept.done():
                        kept.set_exception(error)
            else:
                for _, kept in batch:
                    if not kept.done():
                        kept.set_result(None)

    async def _save(self, answers: list[NewAnswer]) -> None:
        began = time.monotonic()
        pause = 0.1
        while True:
            try:
                await self._store.save(answers)
                return
            except Unavailable as error:
                if time.monotonic() - began > _GIVE_UP:
                    raise
                _log.warning("%d answers wait for their store: %s", len(answers), error.message)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_WAIT)

    async def close(self) -> None:
        """Wait until everything handed in is kept."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
