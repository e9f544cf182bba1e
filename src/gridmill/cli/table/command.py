"""`gridmill run`: its options and help."""

from pathlib import Path
from typing import Annotated

import typer

from gridmill.cli.running import clear_failures, load, run, start_logs

_INTERRUPTED = 130

File = Annotated[str, typer.Argument(metavar="FILE", help="The table; - is standard input.")]
Prompts = Annotated[
    list[str],
    typer.Option(
        help='What a column should hold: "NAME=TEXT", repeatable. A column that is there has its'
        " empty cells filled, another one is added. {{other column}} in the text reads that"
        " column alone. Without NAME= the column is called answer."
    ),
]
Out = Annotated[str, typer.Option(help="The finished file, replaced whole; - is standard output.")]
Types = Annotated[
    list[str] | None,
    typer.Option(help="NAME=TYPE: text, integer, number, boolean, date, enum, url, ..."),
]
Options = Annotated[
    list[str] | None, typer.Option(help="NAME=A,B,C: the only values that there are.")
]
FileFormat = Annotated[
    str | None, typer.Option(help="Format of the result, when its ending does not say it.")
]
Metadata = Annotated[
    bool, typer.Option("--metadata", help="Add confidence and sources of every filled cell.")
]
Model = Annotated[str | None, typer.Option(help="provider/model instead of the set one.")]
MaxCost = Annotated[
    float | None, typer.Option(min=0, help="US dollars; stops cleanly when they are spent.")
]
Encoding = Annotated[str | None, typer.Option(help="Of a CSV, when the guess is wrong.")]
Delimiter = Annotated[str | None, typer.Option(help="Of a CSV: , ; | or tab.")]
Header = Annotated[bool | None, typer.Option("--header/--no-header", help="Whether a CSV has one.")]
Sheet = Annotated[str | None, typer.Option(help="Of a workbook, the one sheet to read.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
DataDir = Annotated[
    Path | None, typer.Option(help="Where gridmill.toml is, and unfinished runs are kept.")
]


def run_file(  # noqa: PLR0917 - an option a parameter, as typer has it
    file: File,
    prompt: Prompts,
    out: Out,
    type: Types = None,  # noqa: A002 - the option's name
    options: Options = None,
    format: FileFormat = None,  # noqa: A002 - the option's name
    metadata: Metadata = False,
    model: Model = None,
    max_cost: MaxCost = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    header: Header = None,
    sheet: Sheet = None,
    quiet: Quiet = False,
    data_dir: DataDir = None,
) -> None:
    """Fill columns of a table without a server: a file in, the finished file out.

    It learns from the filled cells, or asks the model that GRIDMILL_LLM_MODEL names, and leaves
    empty what it cannot know. Stopped or killed, the same command goes on where it was; calls that
    were paid for are not paid again.

    \b
    Examples:
      gridmill run penguins.csv --prompt "species=Which species is this?" --out done.csv
      gridmill run shops.csv --prompt "sector=The industry of {{name}}" \\
          --options "sector=food,fashion,other" --out shops.jsonl --metadata
      cat a.csv | gridmill run - --prompt "city=" --out - --format jsonl | head
    """  # noqa: D301 - click keeps the lines after a backspace
    with clear_failures():
        settings = load(data_dir=data_dir)
        start_logs(settings.model_copy(update={"log_level": "error"}))
        from gridmill.cli.table.order import Order, choose_target, read_columns, read_overrides
        from gridmill.cli.table.running import Interrupted, read_input, run_table
        from gridmill.cli.table.show import Show

        columns = read_columns(prompt, type or [], options or [])
        overrides = read_overrides(encoding, delimiter, header, sheet)
        target = choose_target(out, format)
        order = Order(columns, overrides, target, metadata, model, max_cost)
        with read_input(file) as source:
            try:
                run(run_table(settings, source, order, Show(quiet=quiet)))
            except Interrupted:
                typer.echo("gridmill: stopped; the same command goes on from here.", err=True)
                raise typer.Exit(_INTERRUPTED) from None
