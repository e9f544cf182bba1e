"""How far this machine's clock is from the database's, and how far away the database is."""

from time import perf_counter, time

from gridmill.storage.database import Tx

_LOOKS = 5


async def ask_time(tx: Tx) -> tuple[float, float]:
    """(seconds that our clock is ahead, seconds of the fastest of five round trips).

    Of the fastest trip the answer was made half-way (Cristian's algorithm), so the first figure
    is right within half of the second.
    """
    ahead, best = 0.0, float("inf")
    for _ in range(_LOOKS):
        began = perf_counter()
        cursor = await tx.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        row = await cursor.fetchone()
        here, took = time(), perf_counter() - began
        if row is not None and took < best:
            ahead, best = here - took / 2 - float(row[0]), took
    return ahead, best
