"""Where a run keeps its work: a folder of its own, gone when it has finished."""

import shutil
import time
from pathlib import Path

from gridmill.cli.running import CommandFailed
from gridmill.storage.embedded.errors import DataFolderInUse
from gridmill.storage.embedded.folder import DataFolder, FolderLock

FOLDER = "runs"
_FORGET_SECONDS = 30 * 24 * 3600.0


def open_folder(data_dir: Path, key: str) -> Path:
    """The folder of the run `key`, made at need, readable by its owner alone.

    Folders of runs that nobody went on with for 30 days are removed. Raises `CommandFailed`.
    """
    runs = data_dir / FOLDER
    folder = runs / key
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_forgotten(runs, folder)
    except OSError as error:
        raise CommandFailed(
            f"Cannot keep the work in {folder}: {error.strerror}. Name another place with --data-dir."
        ) from None
    return folder


def remove_folder(folder: Path) -> None:
    """Forget a run that has ended."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_forgotten(runs: Path, own: Path) -> None:
    for folder in runs.iterdir():
        try:
            age = time.time() - folder.stat().st_mtime
            if folder == own or age < _FORGET_SECONDS:
                continue
            lock = FolderLock(DataFolder.at(folder))
            lock.take()
        except (DataFolderInUse, OSError):
            continue
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()
