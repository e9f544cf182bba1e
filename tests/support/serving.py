"""A real `gridmill serve`, started as an operator starts it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_READY = re.compile(r"^Gridmill is ready on (http://\S+)$", re.MULTILINE)
_START_SECONDS = 60.0
_STOP_SECONDS = 35.0


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any setting of Gridmill's, and `more`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GRIDMILL_")}
    # A developer's own weights would change what tasks answer, and how fast.
    return {**kept, "GRIDMILL_MODELS_DIR": os.devnull + "/none", **(more or {})}


def command(*arguments: str) -> list[str]:
    """The command line of `gridmill` with these arguments."""
    return [sys.executable, "-m", "gridmill", *arguments]


def run_command(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; its output is text."""
    return subprocess.run(
        command(*arguments),
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@dataclass
class Served:
    """A server and where its output goes. `start` and `stop` may be called again and again."""

    data_dir: Path
    database_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    arguments: Sequence[str] = ()
    url: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def key(self) -> str:
        """The admin key of the first start."""
        return (self.data_dir / "api-key").read_text().strip()

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self.process is not None
        return self.process.pid

    def read_output(self) -> str:
        """What it said on standard output since it was last started."""
        return self._file("out").read_text()

    def read_log(self) -> str:
        """What it said on standard error since it was last started."""
        return self._file("err").read_text()

    def _file(self, name: str) -> Path:
        return self.data_dir.parent / f"{self.data_dir.name}.{name}"

    def launch(self, *, port: int = 0) -> None:
        """Start the process without waiting for it."""
        arguments = ["serve", "--port", str(port), "--data-dir", str(self.data_dir)]
        if self.database_url is not None:
            arguments += ["--database-url", self.database_url]
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self.process = subprocess.Popen(
                command(*arguments, *self.arguments),
                env=clean_environment(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def start(self, *, port: int = 0) -> None:
        """Start it and wait until it says that it is ready."""
        self.launch(port=port)
        process = self.process
        assert process is not None
        deadline = time.monotonic() + _START_SECONDS
        while (match := _READY.search(self.read_output())) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the server did not start: {self.read_log()}")
            time.sleep(0.05)
        self.url = match[1]

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop: {self.read_log()}") from None

    def kill(self) -> None:
        """SIGKILL to the server alone; what it started has to notice by itself."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    async def stop_async(self) -> int:
        """`stop` without blocking the event loop, so that open replies are still read."""
        return await asyncio.to_thread(self.stop)


def list_children(pid: int) -> list[int]:
    """The direct children of a process (Linux)."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in path.read_text().split()]


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie (Linux)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
