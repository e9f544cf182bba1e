"""Keeps one embedded PostgreSQL for all test processes of a run, and ends with the last of them.

Run as `python -m tests.support.cluster_keeper FOLDER`. Each test process holds a shared lock on
FOLDER/users; when the kernel grants the exclusive one, they are all gone, however they ended.
"""

import asyncio
import fcntl
import os
import shutil
import sys
from pathlib import Path

from gridmill.storage.embedded.server import EmbeddedPostgres

# Speed for a cluster whose data nobody will miss.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "256MB",
    "max_connections": "300",
    "autovacuum_naptime": "60s",
}


def wait_for_users(folder: Path) -> None:
    """Block until no test process is left."""
    descriptor = os.open(folder / "users", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)


async def keep(folder: Path) -> None:
    """Run the server, say where, wait, stop, clean up."""
    try:
        async with EmbeddedPostgres(folder / "data", settings=SETTINGS) as server:
            (folder / "url.new").write_text(server.url)
            (folder / "url.new").rename(folder / "url")
            await asyncio.to_thread(wait_for_users, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(keep(Path(sys.argv[1])))
