"""What a run tells on standard error while it works; standard output is for its result."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from gridmill.tasks.model import Task


class Show:
    """A bar on a terminal, plain lines elsewhere, nothing when `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._row: TaskID | None = None

    @contextmanager
    def working(self) -> Generator[None]:
        """Draw the bar for as long as the block takes."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, console=self._console, disable=not self._console.is_terminal, transient=True
        ) as bar:
            self._bar, self._row = bar, bar.add_task("starting", total=None)
            yield
        self._bar = None

    def step(self, text: str) -> None:
        """What is being done now, on the bar alone."""
        if self._bar is not None and self._row is not None:
            self._bar.update(self._row, description=text, total=None, completed=0)

    def progress(self, task: Task) -> None:
        """How far the task is."""
        if self._bar is not None and self._row is not None:
            self._bar.update(
                self._row,
                description="filling cells",
                total=task.total or None,
                completed=task.counts.done,
            )

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False)


def summarise(task: Task) -> str:
    """A finished task in one line."""
    counts, usage = task.cells, task.usage
    tried = counts.completed + counts.failed + counts.skipped
    parts = [f"{counts.completed} of {tried} empty cells filled"]
    if counts.needs_review:
        parts.append(f"{counts.needs_review} of them to be reviewed")
    if counts.skipped:
        parts.append(f"{counts.skipped} left empty (not known)")
    if counts.failed:
        parts.append(f"{counts.failed} failed")
    if usage.requests:
        tokens = usage.prompt_tokens + usage.completion_tokens
        cost = "cost not known" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
        parts.append(f"{usage.requests} requests, {tokens} tokens, {cost}")
    if task.stopped_by:
        parts.append(f"stopped by its {task.stopped_by}")
    return ", ".join(parts) + "."
