"""A process that asks 400 rows through a gateway on PostgreSQL, to be killed by a test.

Arguments: the fake's URL, the database's URL, the concurrency.
"""

import asyncio
import sys

from gridmill.engine.answers import PostgresAnswers
from gridmill.engine.limits import PostgresLimiter
from gridmill.storage.database import Database
from tests.support.models import WORKSPACE, ask_rows, open_gateway


async def main(url: str, database_url: str, concurrency: int) -> None:
    database = await Database.open(database_url)
    gateway = open_gateway(
        url,
        concurrency=concurrency,
        store=PostgresAnswers(database),
        limiter=PostgresLimiter(database),
    )
    async with gateway:
        await gateway.complete_many(ask_rows(400), workspace_id=WORKSPACE)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
