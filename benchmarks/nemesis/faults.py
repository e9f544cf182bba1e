"""What the nemesis does: faults drawn from a seed, each after so many answers of the server."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from benchmarks.nemesis.cluster import Cluster
from benchmarks.nemesis.relay import Relay

Strike: TypeAlias = Callable[[float], Awaitable[None]]

KINDS = (
    "kill worker",
    "kill API",
    "kill database",
    "drop sessions",
    "pause worker",
    "pause API",
    "pause database",
    "cut database",
    "stall database",
    "cut receiver",
    "stall receiver",
)
_LEAST_ANSWERS, _MOST_ANSWERS = 3, 20
_SHORTEST_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Fault:
    """One of `KINDS`, once `answers` more calls were answered; one that lasts does so `seconds`."""

    kind: str
    answers: int
    seconds: float

    def __str__(self) -> str:
        is_short = self.kind.startswith(("kill", "drop"))
        return self.kind if is_short else f"{self.kind} {self.seconds:.1f} s"


def draw_faults(seed: int, count: int, longest: float) -> list[Fault]:
    """`count` faults of at most `longest` seconds: every kind once before any comes again."""
    dice = random.Random(seed)
    kinds: list[str] = []
    while len(kinds) < count:
        kinds += dice.sample(KINDS, len(KINDS))
    return [
        Fault(
            kind,
            dice.randint(_LEAST_ANSWERS, _MOST_ANSWERS),
            dice.uniform(_SHORTEST_SECONDS, longest),
        )
        for kind in kinds[:count]
    ]


async def strike(fault: Fault, cluster: Cluster, to_receiver: Relay) -> None:
    """Have it happen, to its end."""
    at_once: dict[str, Callable[[], Awaitable[None]]] = {
        "kill worker": cluster.kill_worker,
        "kill API": cluster.kill_api,
        "kill database": cluster.kill_database,
        "drop sessions": cluster.drop_sessions,
    }
    for_long: dict[str, Strike] = {
        "pause worker": cluster.pause_worker,
        "pause API": cluster.pause_api,
        "pause database": cluster.pause_database,
        "cut database": cluster.to_database.refuse,
        "stall database": cluster.to_database.stall,
        "cut receiver": to_receiver.refuse,
        "stall receiver": to_receiver.stall,
    }
    if fault.kind in at_once:
        await at_once[fault.kind]()
    else:
        await for_long[fault.kind](fault.seconds)
