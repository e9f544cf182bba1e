"""What an operator scrapes of a real server and its worker after real work."""

import json
import re
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from gridmill.storage.database import SESSIONS_ROLE
from tests.acceptance.conftest import connect
from tests.support.api import Json, ask, end_of, make_dataset, refuse, start_bulk
from tests.support.fake_model import FakeModel
from tests.support.receiver import Receiver
from tests.support.serving import Served
from tests.support.waiting import eventually

OPERATING = Path(__file__).parents[3] / "docs" / "operating.md"
ROWS = 30
# Neither a key of an API nor a password: nothing like it may be told to anyone.
PLANTED = "planted-0f3a-never-to-be-seen"


@dataclass(frozen=True)
class Watched:
    """A server with a model and a receiver of webhooks; its worker shows its metrics at `worker`."""

    client: httpx2.AsyncClient
    api: str
    worker: str
    read_log: Callable[[], str]


@pytest.fixture
def receiver() -> Generator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest_asyncio.fixture
async def watched(
    make_server: Callable[..., Served], make_model: Callable[..., FakeModel]
) -> AsyncGenerator[tuple[Watched, FakeModel]]:
    model = make_model()
    served = make_server(
        environment={
            **model.environment,
            "GRIDMILL_LLM_API_KEY": PLANTED,
            "GRIDMILL_LLM_PRICES": json.dumps(
                {"openai/fake-model": {"prompt": 1.0, "completion": 2.0}}
            ),
            "GRIDMILL_EGRESS_ALLOW": "127.0.0.0/8",
            "GRIDMILL_WEBHOOK_ALLOW_HTTP": "true",
            "GRIDMILL_QUOTA_ROWS": str(ROWS),
            "GRIDMILL_WORKER_METRICS_PORT": "0",
        }
    )
    served.start()

    async def find_port() -> str | None:
        lines = [line for line in served.read_log().splitlines() if "metrics are shown" in line]
        return json.loads(lines[0])["port"] if lines else None

    port = await eventually(find_port, timeout=30)
    async with connect(served) as client:
        found = Watched(
            client, f"{served.url}/metrics", f"http://127.0.0.1:{port}/metrics", served.read_log
        )
        yield found, model


async def scrape(url: str) -> dict[str, float]:
    """Samples by name and labels, as `name{label=value}`."""
    async with httpx2.AsyncClient() as plain:
        text = (await plain.get(url)).raise_for_status().text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def listen(client: httpx2.AsyncClient, url: str) -> None:
    await ask(
        client,
        "POST",
        "/webhooks",
        json={
            "name": "watching",
            "url": url,
            "events": ["dataset.task.completed", "dataset.task.failed"],
            "headers": {"X-Planted": PLANTED},
            "secret": PLANTED,
        },
    )


async def fill(client: httpx2.AsyncClient) -> Json:
    """A dataset of as many rows as are allowed, and its task, ended."""
    content = "company\n" + "".join(f"Company {number}\n" for number in range(ROWS))
    sector = {"name": "sector", "metadata": {"prompt": "The sector of {{company}}"}}
    dataset = await make_dataset(client, content, [sector])
    return {**dataset, "task": await end_of(client, await start_bulk(client, dataset))}


async def test_a_task_shows_in_the_figures_of_the_worker_that_ran_it_and_of_the_api(
    watched: tuple[Watched, FakeModel], receiver: Receiver
) -> None:
    found, _ = watched
    await listen(found.client, f"{receiver.url}/hook")
    before = await scrape(found.worker)
    dataset = await fill(found.client)
    usage = dataset["task"]["usage"]
    await refuse(
        found.client,
        "POST",
        f"/datasets/{dataset['datasetId']}/rows",
        429,
        "QUOTA_EXCEEDED",
        json={"rows": [{"company": "one too many"}]},
    )

    async def delivered() -> dict[str, float] | None:
        seen = await scrape(found.worker)
        return seen if seen.get("gridmill_webhook_attempts_total{outcome=succeeded}") else None

    worker = await eventually(delivered, timeout=30)
    assert "gridmill_tasks_ended_total{status=completed}" not in before
    assert worker["gridmill_tasks_ended_total{status=completed}"] == 1
    outcomes = ("ok", "needs_review", "failed", "skipped")
    cells = {name: worker[f"gridmill_cells_total{{outcome={name}}}"] for name in outcomes}
    results = dataset["task"]["results"]
    assert cells["ok"] + cells["needs_review"] == results["cellsWritten"] == ROWS
    assert cells["needs_review"] == results["cellsNeedingReview"]
    assert cells["failed"] == cells["skipped"] == 0
    calls = "gridmill_model_calls_total{outcome=ok,provider=openai}"
    assert worker[calls] == usage["requests"] > 0
    assert worker["gridmill_model_call_seconds_count{provider=openai}"] >= usage["requests"]
    tokens = "gridmill_model_tokens_total{{kind={},provider=openai}}"
    assert worker[tokens.format("prompt")] == usage["promptTokens"] > 0
    assert worker[tokens.format("completion")] == usage["completionTokens"] > 0
    cost = worker["gridmill_model_cost_usd_total{provider=openai}"]
    assert cost == pytest.approx(usage["costUsd"])
    assert cost > 0
    assert worker["gridmill_webhook_attempt_seconds_count"] == 1
    api = await scrape(found.api)
    assert api["gridmill_refusals_total{limit=rows}"] == 1
    for sample in (api, worker):
        states = ("in_use", "idle", "waiting")
        pool = {name: sample[f"gridmill_database_connections{{state={name}}}"] for name in states}
        assert pool["in_use"] + pool["idle"] >= 1
        assert pool["waiting"] == 0
    assert api["gridmill_workers_alive"] == 1


async def test_faults_of_a_model_are_told_apart_and_every_metric_of_the_guide_is_shown(
    watched: tuple[Watched, FakeModel],
) -> None:
    found, model = watched
    model.behave(errors=0.1, limited=0.1, broken=0.1)
    await fill(found.client)
    worker = await scrape(found.worker)
    calls = {
        name: count
        for name, count in worker.items()
        if name.startswith("gridmill_model_calls_total")
    }
    kinds = {name.partition("outcome=")[2].partition(",")[0] for name in calls}
    assert "ok" in kinds
    assert kinds & {"limited", "unavailable", "unfit"}
    assert kinds <= {"ok", "limited", "unavailable", "unfit", "refused", "timeout", "broken_off"}
    assert sum(calls.values()) == worker["gridmill_model_call_seconds_count{provider=openai}"]
    async with httpx2.AsyncClient() as plain:
        text = (await plain.get(found.api)).text + (await plain.get(found.worker)).text
    shown = set(re.findall(r"^# TYPE (gridmill_\w+) ", text, re.MULTILINE))
    told = {
        name.removesuffix("_bucket")
        for name in re.findall(r"\bgridmill_[a-z_]+", OPERATING.read_text())
    }
    assert told - {SESSIONS_ROLE} == {name for name in shown if not name.endswith("_created")}


async def test_a_key_that_a_provider_repeats_reaches_no_reply_webhook_metric_or_log(
    watched: tuple[Watched, FakeModel], receiver: Receiver
) -> None:
    found, model = watched
    await listen(found.client, f"{receiver.url}/hook")
    model.behave(refuse=401, refusal=f"Incorrect API key provided: {PLANTED}. Mind {PLANTED}!")
    dataset = await fill(found.client)
    assert dataset["task"]["status"] == "failed"
    assert "Incorrect API key" in dataset["task"]["error"]["message"]

    async def told() -> bytes | None:
        return receiver.got[0][2] if receiver.got else None

    body = await eventually(told, timeout=30)
    assert b"Incorrect API key" in body
    replies = [
        await found.client.get(path)
        for path in ("/webhooks", "/tasks", f"/datasets/{dataset['datasetId']}/data", "/nothing")
    ]
    replies.append(
        await found.client.post("/webhooks", json={"secret": PLANTED, "name": 1, "url": "ftp://x"})
    )
    async with httpx2.AsyncClient() as plain:
        replies += [await plain.get(found.api), await plain.get(found.worker)]
    for text in (body.decode(), found.read_log(), *(reply.text for reply in replies)):
        assert PLANTED not in text
