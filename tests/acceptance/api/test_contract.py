"""The running server against its own description, by a tool that knows nothing of Gridmill."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serving import Served, run_command

ROOT = Path(__file__).parents[3]
# Drawn calls an operation, on top of those that walk each schema's edges: `make contract`.
EXAMPLES = int(os.environ.get("GRIDMILL_CONTRACT_EXAMPLES", "0"))


@pytest.mark.timeout(max(300, EXAMPLES * 60))
def test_the_server_answers_every_call_as_its_description_says(server: Served) -> None:
    where = ["--data-dir", str(server.data_dir)]
    if server.database_url is not None:
        where += ["--database-url", server.database_url]
    # A workspace of its own: these calls delete what they find.
    made = run_command("keys", "create", "--name", "x", "--workspace", "contract", *where)
    assert made.returncode == 0, made.stderr
    phases = "coverage,fuzzing" if EXAMPLES else "coverage"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {made.stdout.strip()}"),
            *("--phases", phases, "--max-examples", str(max(1, EXAMPLES))),
            *("--workers", "4", "--no-color"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    tested = re.search(r"Selected: (\d+)/\1\s+Tested: \1\s", done.stdout)
    calls = re.search(r"(\d+) generated", done.stdout)
    assert tested is not None, done.stdout[-2_000:]
    assert calls is not None, done.stdout[-2_000:]
    assert int(calls[1]) > 40 * int(tested[1])
