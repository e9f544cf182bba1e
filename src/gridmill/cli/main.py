"""`gridmill`: the commands and their help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import gridmill
from gridmill.cli import keys, models
from gridmill.cli.running import (
    clear_failures,
    end_on_signals,
    load,
    run,
    start_logs,
    tell_unknown_variables,
)
from gridmill.cli.table.command import run_file

if TYPE_CHECKING:
    from gridmill.settings import Settings

DataDir = Annotated[
    Path | None, typer.Option(help="Folder of the embedded database and gridmill.toml.")
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="PostgreSQL 15 or newer to use instead of the embedded one."),
]
_EPILOG = "Settings: `gridmill config` lists all of them, with what is in force and why."

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    epilog=_EPILOG,
)
app.add_typer(keys.app, name="keys")
app.add_typer(models.app, name="models")
app.command("run", epilog=_EPILOG)(run_file)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gridmill {gridmill.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
) -> None:
    """Gridmill runs AI tasks over your tables, on your own machine.

    \b
    Start here:
      gridmill serve                     the server; its first start prints an API key
      curl -H "Authorization: Bearer KEY" http://127.0.0.1:8000/api/v2/datasets
      http://127.0.0.1:8000/docs         every call there is
      gridmill run table.csv --prompt "sector=Which industry?" --out done.csv
                                         the main job without a server

    \b
    With a language model of your choice (OpenAI, Anthropic, Ollama, vLLM, ...):
      GRIDMILL_LLM_API_KEY=sk-... GRIDMILL_LLM_MODEL=gpt-5-mini gridmill serve
      GRIDMILL_LLM_BASE_URL=http://127.0.0.1:11434/v1 GRIDMILL_LLM_MODEL=qwen3 gridmill serve
    """  # noqa: D301 - click keeps the lines after a backspace
    del version


@app.command(epilog=_EPILOG)
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 picks a free one. [default: 8000]")
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Whether to run a worker, too.")
    ] = True,
) -> None:
    """Run the API and a worker.

    Without a database URL it runs a PostgreSQL of its own in the data folder. The first start
    writes an admin key to the file api-key there and prints it once.

    \b
    Examples:
      gridmill serve
      gridmill serve --port 9000 --data-dir ./data
      gridmill serve --database-url postgresql://user:password@host/db --no-worker
    """  # noqa: D301 - click keeps the lines after a backspace
    end_on_signals()
    from gridmill.cli.serve import serve as run_server

    with clear_failures():
        settings = load(host=host, port=port, data_dir=data_dir, database_url=database_url)
        start_logs(settings)
        tell_unknown_variables()
        run(run_server(settings, with_worker=worker))


@app.command(epilog=_EPILOG)
def worker(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    parent_pid: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run one more worker, on this or any other machine.

    It shares the work of all others on the same database. With a data folder instead of a URL it
    joins the server that runs there.

    \b
    Examples:
      gridmill worker --database-url postgresql://user:password@host/db
      gridmill worker --data-dir ./data
    """  # noqa: D301 - click keeps the lines after a backspace
    end_on_signals()
    from gridmill.cli.work import run_worker_command

    with clear_failures():
        settings = load(data_dir=data_dir, database_url=database_url)
        start_logs(settings)
        run(run_worker_command(settings, parent_pid))


@app.command()
def doctor(
    ask: Annotated[
        bool, typer.Option("--ask", help="Send the configured model one tiny request, too.")
    ] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Check everything that a server needs: a line each, and what to do. Exit 1 if any fails.

    \b
    Examples:
      gridmill doctor
      gridmill doctor --ask --data-dir ./data
    """  # noqa: D301 - click keeps the lines after a backspace
    from gridmill.cli.doctor import Mark, examine

    with clear_failures():
        settings = load(data_dir=data_dir, database_url=database_url)

        async def tell() -> bool:
            failed = False
            async for finding in examine(settings, ask=ask):
                typer.echo(f"{finding.mark.value:5} {finding.subject}: {finding.text}")
                failed = failed or finding.mark is Mark.FAIL
            return failed

        if run(tell()):
            raise typer.Exit(1)


def _describe_answerer(settings: "Settings") -> str:
    """Who answers with these settings, in one line."""
    from gridmill.providers.local.errors import WeightsMissing
    from gridmill.providers.local.weights import choose_installed

    if settings.llm_model is not None and settings.llm_provider != "local":
        return f"Answers come from {settings.llm_provider}/{settings.llm_model}."
    try:
        model = choose_installed(settings.models_dir, settings.llm_model)
    except WeightsMissing as error:
        return f"Answers come from the learners alone. {error}"
    return f"Answers come from the learners, then from local/{model.name}."


@app.command()
def config(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Print every setting: its value (secrets masked), where it came from, what it means.

    A flag wins over a GRIDMILL_ variable, that over gridmill.toml in the data folder.

    \b
    Examples:
      gridmill config
      GRIDMILL_LLM_MODEL=gpt-5-mini gridmill config --data-dir ./data
    """  # noqa: D301 - click keeps the lines after a backspace
    from gridmill.settings import describe_settings

    with clear_failures():
        settings = load(data_dir=data_dir, database_url=database_url)
        for line in describe_settings(settings):
            typer.echo(f"{line.name} = {line.value}")
            typer.echo(f"    {line.description}. From: {line.source}")
        typer.echo(_describe_answerer(settings))
        tell_unknown_variables()
