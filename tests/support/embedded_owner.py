"""A process that owns an embedded PostgreSQL, for tests to kill.

Run as `python -m tests.support.embedded_owner FOLDER signal|pipe`. Prints the URL, or `ERROR` and
the message, on one line; stops cleanly at the end of its standard input.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from gridmill.storage.embedded.errors import EmbeddedPostgresError
from gridmill.storage.embedded.server import EmbeddedPostgres

# Small and fast; what these tests look at does not need the disk.
SETTINGS = {"shared_buffers": "16MB", "fsync": "off"}


async def own(folder: Path, *, is_tied_by_pipe: bool) -> None:
    server = EmbeddedPostgres(folder, settings=SETTINGS, is_tied_by_pipe=is_tied_by_pipe)
    try:
        print(await server.start(), flush=True)
    except EmbeddedPostgresError as error:
        print(f"ERROR {type(error).__name__}: {error}", flush=True)
        return
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    # The loop that `gridmill serve` runs on; the tests themselves use asyncio's own.
    uvloop.run(own(Path(sys.argv[1]), is_tied_by_pipe=sys.argv[2] == "pipe"))
