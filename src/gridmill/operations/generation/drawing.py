"""Asking the child processes that hold synthesizers; they are given rows only when they need them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple

from gridmill.kit.processes import ProcessDied, ProcessPool, ProcessTimedOut
from gridmill.operations.errors import TooMuchToLearn
from gridmill.operations.generation import memory
from gridmill.operations.generation.memory import Ground, Rows
from gridmill.providers.synthesizer.model import ColumnShape, Drawn, Row

MAX_SECONDS = 900.0
"""Wall time of one call: a fit and a batch drawn, or a report."""

MAX_CPU_SECONDS = 300.0
"""Processor time of the same."""

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
LoadGround = Callable[[], Awaitable[Ground]]


class Drawer:
    """Draws rows and cells in child processes. `key` names what is drawn from, for one task."""

    def __init__(self, processes: ProcessPool) -> None:
        self._processes = processes

    async def draw(self, key: str, load: LoadGround, first: int, count: int) -> Rows:
        """Rows `first` (from 0) and following of a stream. Raises `TooMuchToLearn`."""
        rows = await self._call(key, memory.draw, key, None, first, count)
        if rows is None:
            rows = await self._call(key, memory.draw, key, await load(), first, count)
        return rows or Rows(Drawn(()))

    async def complete(
        self,
        key: str,
        load: LoadGround,
        places: Sequence[int],
        rows: Sequence[Row],
        wanted: Sequence[Sequence[int]],
    ) -> Drawn:
        """The rows, the columns `wanted` of each drawn anew. Raises `TooMuchToLearn`.

        `places` are numbers that tell rows apart: the same ones get the same values.
        """
        drawn = await self._call(key, memory.complete, key, None, places, rows, wanted)
        if drawn is None:
            ground = await load()
            drawn = await self._call(key, memory.complete, key, ground, places, rows, wanted)
        return drawn or Drawn(rows)

    async def measure(
        self, shapes: Sequence[ColumnShape], real: Sequence[Row], made: Sequence[Row]
    ) -> Mapping[str, Any]:
        """How alike real and made rows are. Raises `TooMuchToLearn`."""
        return await self._call("", memory.measure, shapes, real, made)

    async def _call(
        self, key: str, function: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        try:
            return await self._processes.run(
                function,
                *arguments,
                seconds=MAX_SECONDS,
                cpu_seconds=MAX_CPU_SECONDS,
                key=key or None,
            )
        except (ProcessTimedOut, ProcessDied, MemoryError) as error:
            if isinstance(error, ProcessDied) and not error.cpu_limit_reached:
                raise  # Killed by someone else: the job's next attempt may be luckier.
            raise TooMuchToLearn from None
