"""Starts PostgreSQL's programs as the right user, tied to the life of this process."""

import asyncio
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gridmill.storage.embedded.account import Account
from gridmill.storage.embedded.binaries import Binaries
from gridmill.storage.embedded.errors import EmbeddedPostgresError
from gridmill.storage.embedded.folder import USER

_CHILD = Path(__file__).with_name("child.py")
# Where PostgreSQL finds its folder when it may not walk there from the root of the file system:
# it starts inside, and this name leads straight back.
_WORKING_FOLDER = "/proc/self/cwd"
_INITDB_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Launcher:
    """Everything that starting a program needs to know.

    `is_tied_by_pipe` replaces Linux's signal at the parent's death by a watcher on a pipe, which
    works everywhere.
    """

    binaries: Binaries
    account: Account
    is_tied_by_pipe: bool = not sys.platform.startswith("linux")

    async def make_cluster(self, folder: Path, password: str, *, is_synced: bool = True) -> None:
        """Run initdb in an empty `folder`; unless `is_synced`, a power cut may ruin the result.

        Raises `EmbeddedPostgresError` with its words.
        """
        with tempfile.TemporaryFile() as secret:
            secret.write(password.encode() + b"\n")
            secret.flush()
            secret.seek(0)
            if self.account.is_step_down:
                os.fchown(secret.fileno(), self.account.uid, self.account.gid)
            process, lifeline = await self._start(
                folder,
                [
                    str(self.binaries.find("initdb")),
                    f"--pgdata={self._name(folder)}",
                    f"--username={USER}",
                    "--pwfile=/dev/stdin",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    # Sorts and folds the same on every machine, and fast; no ICU in the wheel.
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--no-instructions",
                    *(() if is_synced else ("--no-sync",)),
                ],
                stdin=secret.fileno(),
                output=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(_INITDB_SECONDS):
                    output, _ = await process.communicate()
            finally:
                close_lifeline(lifeline)
                kill(process, signal.SIGKILL)
        if process.returncode != 0:
            said = output.decode(errors="replace").strip()
            raise EmbeddedPostgresError(f"Could not make a database in {folder.parent}: {said}")

    async def start_server(self, folder: Path, port: int, log: int) -> tuple[Process, int | None]:
        """Start the server of `folder` on a loopback port, its words going to descriptor `log`.

        Returns the process and the writing end of its lifeline, if it has one.
        """
        return await self._start(
            folder,
            [
                str(self.binaries.find("postgres")),
                *("-D", self._name(folder), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1"),
                # A socket's path is limited to 107 bytes, which a deep data folder exceeds.
                *("-c", "unix_socket_directories="),
            ],
            stdin=asyncio.subprocess.DEVNULL,
            output=log,
        )

    def _name(self, folder: Path) -> str:
        is_hidden = self.account.is_step_down and Path(_WORKING_FOLDER).exists()
        return _WORKING_FOLDER if is_hidden else str(folder)

    async def _start(
        self, folder: Path, program: list[str], *, stdin: int, output: int
    ) -> tuple[Process, int | None]:
        reader, writer = os.pipe() if self.is_tied_by_pipe else (-1, None)
        account = self.account
        step = (account.uid, account.gid) if account.is_step_down else (-1, -1)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                # Isolated and without site-packages: starts in 10 ms and runs none of our code
                # as root but the one file.
                *("-I", "-S", str(_CHILD)),
                *(str(os.getpid()), str(step[0]), str(step[1]), str(folder), str(reader)),
                *program,
                stdin=stdin,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(reader,) if reader >= 0 else (),
                # Ctrl-C in a terminal is for us; PostgreSQL is stopped after the work is.
                start_new_session=True,
                env=_make_environment(folder),
            )
        except BaseException:
            close_lifeline(writer)
            raise
        finally:
            if reader >= 0:
                os.close(reader)
        return process, writer


def kill(process: Process, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            process.send_signal(number)


def close_lifeline(lifeline: int | None) -> None:
    """Close the writing end; the watcher takes that for the parent's death."""
    if lifeline is not None:
        os.close(lifeline)


def _make_environment(folder: Path) -> dict[str, str]:
    # Nothing of ours: neither keys, nor PGDATA, nor a locale that is not installed.
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C",
        "TZ": "UTC",
        "PG_GRANDPARENT_PID": str(_find_namesake(folder / "postmaster.pid") or os.getppid()),
    }


def _find_namesake(pid_file: Path) -> int | None:
    """The process that only happens to have the number of a server that was killed here.

    After the restart of a container the numbers start anew, and PostgreSQL takes any process of
    its user under the number in a stale postmaster.pid for its twin; unless told, as this
    variable does, that it is an ancestor. The file itself is never touched: PostgreSQL's own
    check of the shared memory that it names guards the data.
    """
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0", 1)[0]
    except (OSError, ValueError):
        return None
    is_server = program.rsplit(b"/", 1)[-1].startswith(b"postgres")
    return None if is_server else pid
