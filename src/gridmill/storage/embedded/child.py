"""Runs before PostgreSQL in its process: steps down from root and ties its life to the parent's.

Started as a script by an isolated interpreter, so it imports nothing but the standard library:
`child.py PARENT_PID UID GID FOLDER LIFELINE PROGRAM ARGUMENT…`. UID and GID -1 keep the user.
LIFELINE -1 asks Linux for SIGINT (PostgreSQL's fast shutdown) when the parent dies. Elsewhere it
is the reading end of a pipe: the script stays, waits for its end and then sends the signal.
"""

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_EXIT_CANNOT_RUN = 126


def run(arguments: list[str]) -> int:
    """Become the program, or watch over it; return its exit code in the second case."""
    parent, uid, gid, lifeline = (int(arguments[index]) for index in (0, 1, 2, 4))
    folder, program = arguments[3], arguments[5:]
    # Entered as root, so that a folder below another user's closed one can be used all the same.
    os.chdir(folder)
    os.umask(0o077)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if lifeline >= 0:
        return _watch_over(program, lifeline)
    # Last, because a change of user takes the request back.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        return 0  # The parent died before the request: there is nobody to serve.
    _become(program)
    return 0


def _become(program: list[str]) -> None:
    # Python ignores SIGPIPE; what is ignored stays ignored in the program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execv(program[0], program)  # noqa: S606 - the program is PostgreSQL, its arguments are ours


def _watch_over(program: list[str], lifeline: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            os.close(lifeline)
            _become(program)
        finally:
            os._exit(_EXIT_CANNOT_RUN)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    # Wakes the wait below when the child ends.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda _received, _frame: None)
    is_parent_alive = True
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) & 0xFF
        watched = [reader, lifeline] if is_parent_alive else [reader]
        ready, _, _ = select.select(watched, [], [])
        if reader in ready:
            os.read(reader, 64)
        if is_parent_alive and lifeline in ready and os.read(lifeline, 1) == b"":
            is_parent_alive = False
            os.kill(child, signal.SIGINT)


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1:]))
    except OSError as error:
        sys.stderr.write(f"cannot start {sys.argv[6]}: {error}\n")
        sys.exit(_EXIT_CANNOT_RUN)
