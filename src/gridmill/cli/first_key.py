"""The admin key that a fresh installation starts with."""

import os
from pathlib import Path

from gridmill.auth import service as auth
from gridmill.auth.model import Scope
from gridmill.storage.database import Database

FILE_NAME = "api-key"


async def ensure_first_key(database: Database, data_dir: Path) -> str | None:
    """Make an admin key when the installation has never had a key; the key, else `None`.

    It is written to `data_dir/api-key`, readable by its owner only, before it comes into force:
    whatever breaks in between, the next start makes another one.
    """
    async with database.transaction() as tx:
        if await auth.has_keys(tx):
            return None
        workspace_id = await auth.ensure_workspace(tx)
        _, key = await auth.create_key(tx, workspace_id, "first admin key", [Scope.ADMIN])
        _write_private(data_dir / FILE_NAME, f"{key}\n")
        return key


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
