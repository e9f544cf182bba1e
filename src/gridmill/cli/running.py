"""What every command shares: settings or a clear message, an event loop, the database to use.

Imports are inside the functions: --help does not wait for them, and a signal that comes during
the slow ones finds `end_on_signals` in place.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from gridmill.settings import Settings

T = TypeVar("T")


class CommandFailed(Exception):
    """The command cannot do its work; the message says why and what to do."""


def end_on_signals() -> None:
    """Exit with 0 on SIGTERM and SIGINT from now on: nothing has been started that would mind.

    The event loop's own handlers take over later.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))


@contextmanager
def clear_failures() -> Generator[None]:
    """Turn the failures that an operator can mend into a message on standard error and exit 1."""
    import psycopg

    from gridmill.kit.errors import GridmillError
    from gridmill.settings import SettingsError
    from gridmill.storage.embedded.errors import EmbeddedPostgresError
    from gridmill.storage.migrate import MigrationError

    try:
        yield
    except (CommandFailed, SettingsError, EmbeddedPostgresError, MigrationError) as error:
        typer.echo(f"gridmill: {error}", err=True)
        raise typer.Exit(1) from None
    except psycopg.OperationalError as error:
        typer.echo(f"gridmill: the database cannot be used: {error}", err=True)
        raise typer.Exit(1) from None
    except GridmillError as error:
        typer.echo(f"gridmill: {error.message}", err=True)
        raise typer.Exit(1) from None


def load(**flags: object) -> "Settings":
    """The settings in force, those given as flags first."""
    from gridmill.settings import load_settings

    return load_settings(**flags)


def start_logs(settings: "Settings") -> None:
    """Send the log to standard error."""
    from gridmill.kit.logs import configure_logs

    configure_logs(settings.log_level)


def tell_unknown_variables() -> None:
    """Point out environment variables that look like settings and are none."""
    from gridmill.settings import find_unknown_variables

    for name in find_unknown_variables():
        typer.echo(f"gridmill: {name} is no setting that Gridmill knows", err=True)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop where there is one."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@asynccontextmanager
async def use_database(settings: "Settings") -> AsyncGenerator[str]:
    """The URL of the configured database, or of the data folder's own, which is started if needed."""
    from gridmill.storage.embedded.server import borrow_server

    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    async with borrow_server(settings.data_dir) as url:
        yield url
