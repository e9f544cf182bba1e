"""Saves, streams and copies out a file, and prints by how many MiB its memory grew.

Run as `python -m tests.support.file_mover URL SOURCE TARGET`, since the peak of a process of its
own counts everything, the C library's buffers included.
"""

import asyncio
import resource
import sys
from pathlib import Path

from gridmill.storage.database import Database
from gridmill.storage.files.repository import copy_file_to, save_file, stream_file


def read_peak() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def move(url: str, source: Path, target: Path) -> None:
    database = await Database.open(url)
    before = read_peak()
    async with database.transaction() as tx:
        file_id = await save_file(tx, source)
    streamed = 0
    async for chunk in stream_file(database, file_id):
        streamed += len(chunk)
    async with database.transaction() as tx:
        copied = await copy_file_to(tx, file_id, target)
    grown = read_peak() - before
    await database.close()
    print(f"{streamed} {copied} {grown:.1f}")


if __name__ == "__main__":
    asyncio.run(move(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
