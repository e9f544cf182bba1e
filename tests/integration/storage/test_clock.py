"""The clock of this machine against the database's."""

import time_machine

from gridmill.storage.clock import ask_time
from gridmill.storage.database import Database


async def test_a_clock_that_is_ahead_is_found_out(module_database_url: str) -> None:
    database = await Database.open(module_database_url)
    try:
        async with database.transaction(read_only=True) as tx:
            true, trip = await ask_time(tx)
            cursor = await tx.execute("SELECT extract(epoch FROM clock_timestamp())::float8 + 600")
            row = await cursor.fetchone()
            assert row is not None
            with time_machine.travel(float(row[0]), tick=True):
                ahead, _ = await ask_time(tx)
    finally:
        await database.close()
    assert abs(true) <= 60  # the same machine, or one that keeps the time
    assert trip > 0
    assert 540 <= ahead <= 601
