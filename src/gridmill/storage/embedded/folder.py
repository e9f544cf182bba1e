"""The data folder: who owns it, where the cluster, the password and the log are."""

import fcntl
import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from gridmill.storage.embedded.account import Account
from gridmill.storage.embedded.errors import DataFolderInUse, EmbeddedPostgresError

DATABASE = "gridmill"
USER = "gridmill"
HOST = "127.0.0.1"
_LOG_BYTES = 10 * 2**20


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths below one data folder; files are of mode 0600, the cluster is PostgreSQL's."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> Self:
        """The folder that `path` names now, whatever the working folder becomes."""
        return cls(path.absolute())

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own folder; owned by the account that it runs as."""
        return self.root / "postgres"

    @property
    def unfinished(self) -> Path:
        """A cluster in the making; becomes `cluster` in one step once it is whole."""
        return self.root / "postgres.new"

    @property
    def lock(self) -> Path:
        """Held with flock by the owner, whose process id it says."""
        return self.root / "postgres.lock"

    @property
    def password(self) -> Path:
        """The database password, made together with the cluster."""
        return self.root / "postgres.password"

    @property
    def address(self) -> Path:
        """Where the running server listens, for other processes on this machine."""
        return self.root / "postgres.json"

    @property
    def log(self) -> Path:
        """What PostgreSQL says; the run before it, when long, is `postgres.log.1`."""
        return self.root / "postgres.log"

    def make(self) -> None:
        """Make the folder for its owner alone; an existing one is left as it is."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"Cannot make the data folder {self.root}: {error.strerror}. Name another one"
                " with --data-dir."
            ) from error

    def read_password(self) -> str:
        """The password, made at first need. Raises `EmbeddedPostgresError` when it was lost."""
        with suppress(FileNotFoundError):
            return self.password.read_text().strip()
        if self.cluster.exists():
            raise EmbeddedPostgresError(
                f"{self.password} is missing, so the database in {self.cluster} cannot be opened."
                " Restore that file from the backup of this folder."
            )
        password = secrets.token_hex(24)
        _write_private(self.password, password + "\n")
        return password

    def write_address(self, port: int) -> None:
        """Tell other processes where the server listens."""
        _write_private(self.address, json.dumps({"port": port}) + "\n")

    def read_address(self) -> str | None:
        """The URL of the server that ran last; it may be gone."""
        try:
            port = int(json.loads(self.address.read_text())["port"])
            password = self.password.read_text().strip()
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return format_url(port, password)

    def forget_address(self) -> None:
        """Say that no server listens any more."""
        self.address.unlink(missing_ok=True)

    def open_log(self) -> int:
        """A descriptor that appends to the log; a long log is put aside first."""
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))
        return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def start_cluster(self, account: Account) -> None:
        """An empty folder for initdb; what a killed initdb left is removed."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self.unfinished.mkdir(mode=0o700)
        give(self.unfinished, account)

    def finish_cluster(self) -> None:
        """Put the whole cluster in its place."""
        self.unfinished.rename(self.cluster)


class FolderLock:
    """One owner per data folder, as long as its process lives: the kernel lets go of the lock."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises `DataFolderInUse` with the owner's process id."""
        path = self._folder.lock
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"Cannot use the data folder {self._folder.root}: {error.strerror}. It belongs to"
                " another user; start as that user, or name another folder with --data-dir."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise DataFolderInUse(str(self._folder.root), _read_pid(path)) from error
        except OSError as error:
            os.close(descriptor)
            raise EmbeddedPostgresError(
                f"The file system of {self._folder.root} cannot lock files ({error.strerror}), so"
                " two owners could ruin the data. Name a local folder with --data-dir."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next owner in; the file stays, since removing it would race with them."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def format_url(port: int, password: str, database: str = DATABASE) -> str:
    """The address for psycopg.

    TLS and GSS are off: it is loopback, and asking costs a trip. No other proof than SCRAM is
    given, so that whoever listens on the port of a server that is gone learns nothing.
    """
    return (
        f"postgresql://{USER}:{quote(password, safe='')}@{HOST}:{port}/{database}"
        "?sslmode=disable&gssencmode=disable&require_auth=scram-sha-256"
    )


def give(path: Path, account: Account) -> None:
    """Make a file or folder the account's, when that is another user."""
    if account.is_step_down:
        try:
            os.chown(path, account.uid, account.gid)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"PostgreSQL refuses to run as root, and {path} cannot be given to user"
                f" {account.name}: {error.strerror}. Start Gridmill as an ordinary user, or use a"
                " PostgreSQL server of your own: set GRIDMILL_DATABASE_URL or --database-url."
            ) from error


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner alone from the first moment."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
