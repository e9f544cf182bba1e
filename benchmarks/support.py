"""A real server, a fake model server and process CPU for the benchmarks. Loopback only."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx

START_SECONDS = 120.0
TICKS = os.sysconf("SC_CLK_TCK")

T = TypeVar("T")


def wait_for(check: Callable[[], T | None], seconds: float, what: str, pause: float = 0.005) -> T:
    """What `check` gives once it is true; `TimeoutError` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(pause)
    raise TimeoutError(what)


def children_of(pid: int) -> list[int]:
    """Process ids of all descendants of `pid`, from /proc."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children_of(int(child))]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system seconds of `pid` so far, its dead children included."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(ticks) for ticks in parts[11:15]) / TICKS


def command_of(pid: int) -> str:
    """The command line of `pid`."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def peak_memory(pid: int) -> int:
    """Bytes of the largest resident set of `pid` since its start or the last `reset_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak(pid: int) -> None:
    """Begin to measure the peak of `pid` anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass
class Server:
    """`gridmill serve` in a temporary folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    client: httpx.Client | None = None
    url: str = ""

    def start(self) -> None:
        """Start it and wait until it is ready."""
        environment = {n: v for n, v in os.environ.items() if not n.startswith("GRIDMILL_")}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gridmill",
                "serve",
                "--port",
                "0",
                "--data-dir",
                str(self.folder),
            ],
            stdout=subprocess.PIPE,
            stderr=(self.folder.parent / "server.log").open("ab"),
            text=True,
            env=environment | self.environment,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "ready on http" in line:
                self.url = line.split("ready on ", 1)[1].split()[0].rstrip(".")
                break
        else:
            raise RuntimeError((self.folder.parent / "server.log").read_text()[-4000:])
        key = (self.folder / "api-key").read_text().strip()
        self.client = httpx.Client(
            base_url=f"{self.url}/api/v2", headers={"Authorization": f"Bearer {key}"}, timeout=120
        )

    def worker_pids(self) -> list[int]:
        """Process ids of its workers."""
        assert self.process is not None
        return [p for p in children_of(self.process.pid) if "gridmill worker" in command_of(p)]

    def call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - any JSON
        """One API call; raises on a refusal, with the server's words."""
        assert self.client is not None
        response = self.client.request(method, path, **options)
        if response.status_code >= 400:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None

    def make_dataset(
        self, table: str, columns: list[dict[str, Any]], name: str = "bench"
    ) -> dict[str, Any]:
        """A finished enrichment dataset of a CSV text."""
        source = self.call("POST", "/datasources", files={"file": ("table.csv", table.encode())})
        body = {
            "type": "data_enrichment",
            "name": name,
            "datasourceId": source["datasourceId"],
            "columns": columns,
        }
        dataset_id = self.call("POST", "/datasets", json=body)["datasetId"]

        def imported() -> dict[str, Any] | None:
            dataset = self.call("GET", f"/datasets/{dataset_id}")
            return None if dataset["status"] == "processing" else dataset

        return wait_for(imported, 120, "import")

    def wait_for_task(self, dataset_id: str, task_id: str, seconds: float = 300) -> dict[str, Any]:
        """The task once it has ended."""

        def ended() -> dict[str, Any] | None:
            task = self.call("GET", f"/datasets/{dataset_id}/tasks/{task_id}")
            return task if task["status"] in {"completed", "failed", "cancelled"} else None

        return wait_for(ended, seconds, "task", pause=0.1)

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(40)


@contextmanager
def running_server(**environment: str) -> Generator[Server]:
    """A started server; gone, with its folder, at the end."""
    with tempfile.TemporaryDirectory(prefix="gridmill-bench-") as name:
        Path(name).chmod(0o755)
        folder = Path(name, "data")
        server = Server(folder, environment)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class FakeModel:
    """A fake model server in a process of its own."""

    url: str
    process: subprocess.Popen[str]

    def stats(self) -> dict[str, Any]:
        """What it counted."""
        return json.loads(httpx.get(self.url.removesuffix("/v1") + "/fake").text)


@contextmanager
def running_model(*options: str) -> Generator[FakeModel]:
    """`python -m gridmill.providers.llm.fake` with `options`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gridmill.providers.llm.fake", "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield FakeModel(process.stdout.readline().strip().split()[-1], process)
    finally:
        process.terminate()
        process.wait(10)
