"""Which ends of a parser's process say something of the file that it read."""

import signal
from collections.abc import Generator
from contextlib import contextmanager

from gridmill.datasources.parsing.model import ParseFailure
from gridmill.kit.processes import ProcessDied, ProcessTimedOut

_PARSER_ENDS = {
    -end
    for end in (
        signal.SIGABRT,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        # How PDFium ends when it gets no memory.
        signal.SIGILL,
        signal.SIGTRAP,
    )
}
"""How a library ends a process over a file; SIGKILL comes from outside."""


@contextmanager
def blame_file(cpu_seconds: float) -> Generator[None]:
    """Tell a process that the file has ended, by its limits or a library's crash, from others.

    Raises:
        ParseFailure: it was the file.
        ProcessDied: it was something else, and may be tried again.
    """
    try:
        yield
    except ProcessTimedOut:
        raise _too_slow(cpu_seconds) from None
    except ProcessDied as death:
        if death.cpu_limit_reached:
            raise _too_slow(cpu_seconds) from None
        if death.returncode in _PARSER_ENDS:
            raise ParseFailure(
                "Reading the file needed more memory than is allowed, or it is damaged."
            ) from None
        raise


def _too_slow(cpu_seconds: float) -> ParseFailure:
    return ParseFailure(
        f"Reading the file took more than {cpu_seconds:g} s of processor time and was stopped."
    )
