"""The recorded examples of the description against what the server answers today."""

from typing import Any

import httpx2
import orjson

from gridmill.api.openapi_examples import FILE
from tests.support.serving import Served, run_command
from tools.examples import record


def _compare(old: Any, new: Any, place: str) -> list[str]:
    """Where two answers have other fields; a list or an object that one of them lacks is not told."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = [f"{place}.{name}" for name in sorted(old.keys() ^ new.keys())]
        for name in old.keys() & new.keys():
            found += _compare(old[name], new[name], f"{place}.{name}")
        return found
    if isinstance(old, list) and isinstance(new, list) and old and new:
        return _compare(old[0], new[0], f"{place}[]")
    return []


async def test_the_examples_have_the_fields_that_the_server_answers_with(server: Served) -> None:
    where = ["--data-dir", str(server.data_dir)]
    if server.database_url is not None:
        where += ["--database-url", server.database_url]
    made = run_command("keys", "create", "--name", "x", "--workspace", "examples", *where)
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
        found = await record(client)
    recorded = orjson.loads(FILE.read_bytes())
    assert found.keys() == recorded.keys(), "run: make examples"
    differing = [place for name in found for place in _compare(recorded[name], found[name], name)]
    assert differing == [], "run: make examples"
