"""The account that PostgreSQL runs as: it refuses to be root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from gridmill.storage.embedded.errors import NoOrdinaryUser, UserUnknown

# The first that exists is taken: a name made for us, PostgreSQL's own, then the one that owns
# nothing by convention.
_CANDIDATES = ("gridmill", "postgres", "nobody", "daemon")


@dataclass(frozen=True, slots=True)
class Account:
    """A user: its ids, and whether this process has to step down to become it."""

    uid: int
    gid: int
    name: str
    is_step_down: bool


def choose_account(cluster: Path) -> Account:
    """The account for the cluster in folder `cluster`, which need not exist yet.

    An ordinary user runs PostgreSQL itself. Root steps down: to the owner of an existing
    cluster, else to the first ordinary account of a short list. Raises `UserUnknown` or
    `NoOrdinaryUser`.
    """
    uid = os.geteuid()
    if uid != 0:
        entry = _find_user(uid)
        if entry is None:
            raise UserUnknown(
                f"This process runs as user id {uid}, which has no entry in /etc/passwd, and the"
                " embedded PostgreSQL refuses to run without one. Add an entry, or use a"
                " PostgreSQL server of your own: set GRIDMILL_DATABASE_URL or --database-url."
            )
        return Account(uid, os.getegid(), entry.pw_name, is_step_down=False)
    owner = cluster.stat().st_uid if cluster.exists() else 0
    entry = _find_user(owner) if owner != 0 else _find_candidate()
    if entry is None:
        raise NoOrdinaryUser(
            "The embedded PostgreSQL refuses to run as root, and"
            + (
                f" user id {owner}, the owner of {cluster}, has no entry in /etc/passwd."
                if owner != 0
                else " /etc/passwd names no ordinary user."
            )
            + " Start Gridmill as an ordinary user, or use a PostgreSQL server of your own: set"
            " GRIDMILL_DATABASE_URL or --database-url."
        )
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, is_step_down=True)


def _find_user(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _find_candidate() -> pwd.struct_passwd | None:
    users = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    named = [users[name] for name in _CANDIDATES if name in users]
    return (named or sorted(users.values(), key=lambda entry: -entry.pw_uid) or [None])[0]
