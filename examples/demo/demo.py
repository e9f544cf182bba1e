"""Gridmill in a minute: a server of its own, tables with holes, and the tables without them.

Starts `gridmill serve` on an embedded PostgreSQL in a temporary folder, uploads data, hides known
answers, lets a task fill them again, and compares with the truth: first with the embedded learners
alone, then with a small language model on this machine, where its weights can be had. In between it
makes rows up that follow the table, reads documents, and finds places inside a boundary. Speaks
plain HTTP, as any client would. Run it with `make demo`.
"""

import tempfile
from pathlib import Path
from typing import Any

import httpx2 as httpx
from invoices import extract_invoices
from made_up import make_rows_up
from places import find_places
from server import console, fill, serve
from tables import Hidden, hide_answers, measure, show
from weights import prepare_model

HERE = Path(__file__).parent


def main() -> None:
    """The whole story, start to end."""
    with tempfile.TemporaryDirectory(prefix="gridmill-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as an ordinary user even when we are root
        console.rule("Gridmill demo: 344 real penguins, answers hidden and found again")
        console.print("Starting a server on an embedded PostgreSQL …")
        with serve(folder, models=folder / "no-models") as client:
            fill_penguins(client)
            console.rule("200 penguins more, made up")
            make_rows_up(client, HERE / "penguins.csv")
            console.rule("Three invoices to a table")
            extract_invoices(client, HERE / "invoices")
            console.rule("Cafés of central Helsinki")
            find_places(client, folder / "cafes.geojson")
        console.rule("45 short messages, some of them a matter of language")
        models = prepare_model(console)
        with serve(folder, models=models or folder / "no-models") as client:
            fill_messages(client)
        console.print("Server stopped. Next: README.md, five minutes with curl.")


def fill_penguins(client: httpx.Client) -> None:
    """Species and sex from measurements, by the learners; the demo fails when they do."""
    targets = ("species", "sex")
    hidden = hide_answers(HERE / "penguins.csv", targets)
    columns = (
        {"name": "species", "metadata": {"prompt": "Which species of penguin is this?"}},
        {"name": "sex", "dataType": "enum", "metadata": {"options": ["female", "male"]}},
    )
    task, data = fill(client, "Penguins", hidden.text, columns)
    shown = ("island", "bill_length_mm", "body_mass_g", *targets)
    show(console, data, hidden, shown, range(150, 162))
    answered = measure(console, data, hidden, targets)
    tell_end(task)
    if task["status"] != "completed" or not answered:
        raise SystemExit("The demo's task did not do its work.")


def fill_messages(client: httpx.Client) -> None:
    """Who wrote, and what about: by the learners where they can, the rest by the local model.

    Nothing tells a customer's number, so that column has to stay empty.
    """
    targets = ("sender", "topic")
    hidden = hide_answers(HERE / "messages.csv", targets, empty_is_known=True)
    columns = (
        {"name": "sender", "metadata": {"prompt": "The first name of the person who writes"}},
        {
            "name": "topic",
            "dataType": "enum",
            "metadata": {
                "prompt": "What is the message about?",
                "options": ["delivery", "payment", "damage", "praise"],
            },
        },
        {"name": "customer_no", "metadata": {"prompt": "The customer number of the sender"}},
    )
    task, data = fill(client, "Messages", hidden.text, columns)
    show(
        console,
        data,
        hidden,
        ("message", *targets, "customer_no"),
        choose_rows(data, hidden, "sender"),
    )
    measure(console, data, hidden, targets)
    count_layers(data, targets)
    tell_end(task)


def choose_rows(data: dict[str, Any], hidden: Hidden, name: str, most: int = 8) -> list[int]:
    """Rows where a task treated the column: those without an answer, then the model's."""
    place = [column["name"] for column in data["columns"]].index(name)
    rank: dict[int, tuple[bool, bool]] = {}
    for index, row in enumerate(data["data"]):
        metadata = row[place]["metadata"]
        if metadata:
            unnamed = hidden.truth.get((index, name)) == ""
            rank[index] = (not unnamed, metadata["provider"] != "local")
    return sorted(sorted(rank, key=lambda index: rank[index])[:most])


def count_layers(data: dict[str, Any], columns: tuple[str, ...]) -> None:
    """Say which layer answered how many cells of `columns`."""
    places = [i for i, column in enumerate(data["columns"]) if column["name"] in columns]
    cells = [row[place] for row in data["data"] for place in places]
    answered = [cell["metadata"] for cell in cells if cell["metadata"] and cell["value"]]
    local = sum(metadata["provider"] == "local" for metadata in answered)
    console.print(
        f"{local} cells by the language model, {len(answered) - local} by the learners. What is"
        " empty has its reason: a guess would look like knowledge.",
        soft_wrap=True,
    )


def tell_end(task: dict[str, Any]) -> None:
    """How the task ended, and what it did."""
    results = task["results"]
    console.print(
        f"Task {task['status']} in {task['durationMs'] / 1000:.1f} s: {results['cellsWritten']} cells "
        f"written, {results['cellsNeedingReview']} of them marked for review",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
