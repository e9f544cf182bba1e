"""`gridmill keys`: keys without the API, for those who run the server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridmill.auth.model import DEFAULT_WORKSPACE, MAX_LABEL_LENGTH, Scope
from gridmill.cli.running import CommandFailed, clear_failures, load, run, use_database
from gridmill.kit.text import is_storable

if TYPE_CHECKING:
    from gridmill.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Make API keys from the command line, for the first key or when all are lost.",
)


@app.command("create")
def create(
    name: Annotated[str, typer.Option(help="What people call the key.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="Repeatable; write implies read, admin both. [default: admin]"),
    ] = None,
    workspace: Annotated[
        str, typer.Option(help="Made when there is none of that name.")
    ] = DEFAULT_WORKSPACE,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the server's data.")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="PostgreSQL that the server uses, if not its own.")
    ] = None,
) -> None:
    """Make an API key and print it, alone, on standard output.

    Works while the server runs and while it does not.

    \b
    Examples:
      gridmill keys create --name laptop
      gridmill keys create --name reports --scope read --workspace finance
      export GRIDMILL_KEY=$(gridmill keys create --name ci --data-dir ./data)
    """  # noqa: D301 - click keeps the lines after a backspace
    with clear_failures():
        _check_label("--name", name)
        _check_label("--workspace", workspace)
        settings = load(data_dir=data_dir, database_url=database_url)
        typer.echo(run(_create(settings, name, scope or [Scope.ADMIN], workspace)))


def _check_label(option: str, text: str) -> None:
    if not text.strip() or len(text) > MAX_LABEL_LENGTH:
        raise CommandFailed(f"{option} must have 1 to {MAX_LABEL_LENGTH} characters.")
    if not is_storable(text):
        raise CommandFailed(f"{option} must be valid UTF-8.")


async def _create(settings: "Settings", name: str, scopes: list[Scope], workspace: str) -> str:
    # Imported here, so that --help does not wait for the whole server's modules.
    from gridmill.auth import service as auth
    from gridmill.bootstrap.parts import open_database, prepare_database

    async with use_database(settings) as url:
        await prepare_database(url)
        async with open_database(url) as database, database.transaction() as tx:
            workspace_id = await auth.ensure_workspace(tx, workspace)
            _, key = await auth.create_key(tx, workspace_id, name, scopes)
            return key
