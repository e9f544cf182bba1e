"""What can keep the embedded PostgreSQL from running; each message says what to do."""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run here; the message is for the operator."""


class DataFolderInUse(EmbeddedPostgresError):
    """Another process owns the data folder; `pid` is that process, or `None` when unknown."""

    def __init__(self, folder: str, pid: int | None) -> None:
        owner = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"The data folder {folder} is in use by {owner}. Stop that one first, or name"
            " another folder with --data-dir."
        )
        self.pid = pid


class NoOrdinaryUser(EmbeddedPostgresError):
    """PostgreSQL refuses to run as root, and there is no other account to run it as."""


class UserUnknown(EmbeddedPostgresError):
    """The user id of this process has no entry in the list of users."""


class PortTaken(EmbeddedPostgresError):
    """The port was given to someone else between its choice and its use; try another."""


class NotReadyToStart(EmbeddedPostgresError):
    """Something of the server before this one is still there; try again in a moment."""
