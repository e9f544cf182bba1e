"""The rows of a task, in the order of its stream, and none that the dataset cannot take.

A synthesizer knows the rows that it was fitted on, which may be a sample; whether a drawn row, or a
value that may occur once, stands elsewhere in the dataset is asked of the dataset. What is left out
moves the following rows up, so a row's number in the task is not its place in the stream. Each
worker process walks from the task's first place to the rows that are ordered and keeps what it
found: the same rows, whoever walks.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from gridmill.operations.generation.drawing import Drawer, LoadGround
from gridmill.providers.synthesizer.model import Row

_MAX_STREAMS = 4
_CHUNK = 2_000
_LEAST_CHUNK = 100
_SPARE = 3
"""Places looked at for each row ordered, beyond `_SPARE_LEAST`, before the walk ends."""

_SPARE_LEAST = 2_000

FindTaken = Callable[[Sequence[Row], Sequence[int]], Awaitable[Collection[int]]]
"""Which rows, by place in the list, stand in the dataset already or repeat a value of these columns."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows `first` to `last` (from 1) of a task, whose stream begins after the place `after`.

    `is_reviewed` says that nobody asked for made-up rows: a person is to look at each.
    """

    seed: int
    after: int
    first: int
    last: int
    is_reviewed: bool = False

    @property
    def rows(self) -> int:
        """How many rows it names."""
        return self.last - self.first + 1

    def to_json(self) -> dict[str, Any]:
        """As a batch keeps it."""
        return {
            "seed": self.seed,
            "after": self.after,
            "first": self.first,
            "last": self.last,
            "review": self.is_reviewed,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What `to_json` made."""
        return cls(kept["seed"], kept["after"], kept["first"], kept["last"], kept["review"])


def plan_stretches(whole: Stretch, batch_rows: int) -> list[Stretch]:
    """The stretch in parts of up to `batch_rows` rows."""
    return [
        replace(whole, first=first, last=min(first + batch_rows - 1, whole.last))
        for first in range(whole.first, whole.last + 1, batch_rows)
    ]


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row and its place in the stream, from 1; `recombined` names columns put together anew."""

    place: int
    values: Row
    recombined: frozenset[str]


@dataclass(slots=True)
class _Stream:
    """How far a task's stream has been walked."""

    place: int
    rows: list[PlacedRow] = field(default_factory=list[PlacedRow])
    message: str | None = None
    is_dry: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Streams:
    """Walks streams, and keeps the rows of the tasks that were asked for last."""

    def __init__(self, drawer: Drawer) -> None:
        self._drawer = drawer
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

    async def take(
        self, key: str, stretch: Stretch, load: LoadGround, find_taken: FindTaken
    ) -> tuple[list[PlacedRow], str | None]:
        """The rows of the stretch; when they are fewer than it asks for, a sentence says why."""
        stream = self._streams.setdefault(key, _Stream(stretch.after))
        self._streams.move_to_end(key)
        if len(self._streams) > _MAX_STREAMS:
            self._streams.popitem(last=False)
        async with stream.lock:
            furthest = stretch.after + _SPARE * stretch.last + _SPARE_LEAST
            while len(stream.rows) < stretch.last and not stream.is_dry:
                if stream.place >= furthest:
                    stream.message = stream.message or _TOO_RARE
                    break
                await self._walk(key, stream, stretch, load, find_taken)
            rows = stream.rows[stretch.first - 1 : stretch.last]
        return rows, None if len(rows) == stretch.rows else stream.message or _TOO_RARE

    async def _walk(
        self,
        key: str,
        stream: _Stream,
        stretch: Stretch,
        load: LoadGround,
        find_taken: FindTaken,
    ) -> None:
        # A full batch has others after it: looking ahead asks the dataset less often.
        missing = stretch.last - len(stream.rows)
        count = _CHUNK if stretch.rows > _LEAST_CHUNK else max(_LEAST_CHUNK, missing)
        found = await self._drawer.draw(key, load, stream.place, count)
        drawn = found.drawn
        taken = await find_taken(drawn.rows, found.keys) if drawn.rows else ()
        stream.rows += [
            PlacedRow(stream.place + number + 1, row, drawn.recombined)
            for number, row in enumerate(drawn.rows)
            if number not in taken
        ]
        stream.place += count
        stream.message = drawn.message or stream.message
        stream.is_dry = not drawn.rows


_TOO_RARE = (
    "Hardly any further row differs from those that the dataset has, so fewer were made than asked "
    "for. Columns whose values must not repeat, or few possible combinations, are the reason."
)
