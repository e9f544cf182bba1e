"""What every command shares: settings or a clear message, an event loop, the database to use."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import psycopg
import typer

from gridmill.kit.errors import Unavailable
from gridmill.settings import Settings, SettingsError, load_settings
from gridmill.storage.embedded.errors import EmbeddedPostgresError
from gridmill.storage.embedded.server import borrow_server
from gridmill.storage.migrate import MigrationError

T = TypeVar("T")


class CommandFailed(Exception):
    """The command cannot do its work; the message says why and what to do."""


@contextmanager
def clear_failures() -> Generator[None]:
    """Turn the failures that an operator can mend into a message on standard error and exit 1."""
    try:
        yield
    except (CommandFailed, SettingsError, EmbeddedPostgresError, MigrationError) as error:
        typer.echo(f"gridmill: {error}", err=True)
        raise typer.Exit(1) from None
    except psycopg.OperationalError as error:
        typer.echo(f"gridmill: the database cannot be used: {error}", err=True)
        raise typer.Exit(1) from None
    except Unavailable as error:
        typer.echo(f"gridmill: {error.message}", err=True)
        raise typer.Exit(1) from None


def load(**flags: object) -> Settings:
    """The settings in force, those given as flags first."""
    return load_settings(**flags)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop where there is one."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@asynccontextmanager
async def use_database(settings: Settings) -> AsyncGenerator[str]:
    """The URL of the configured database, or of the data folder's own, which is started if needed."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    async with borrow_server(settings.data_dir) as url:
        yield url
