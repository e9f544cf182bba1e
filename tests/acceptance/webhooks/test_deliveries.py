"""Events reach a real receiver, signed, at least once, whoever is killed meanwhile."""

import hashlib
import hmac
import json
import os
import signal
from collections.abc import Callable, Generator

import pytest
from standardwebhooks import Webhook as StandardWebhook

from tests.acceptance.conftest import connect
from tests.acceptance.tasks.test_crashes import find_child
from tests.support.api import Json, ask, end_of, make_dataset, refuse, start_bulk, upload
from tests.support.receiver import Receiver
from tests.support.serving import Served, run_command
from tests.support.waiting import eventually

OPEN = {"GRIDMILL_EGRESS_ALLOW": "127.0.0.0/8", "GRIDMILL_WEBHOOK_ALLOW_HTTP": "true"}
SECRET = "a secret of some length"


@pytest.fixture
def receiver() -> Generator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def body(receiver: Receiver, path: str, *events: str) -> Json:
    url = receiver.url + path
    return {"name": path, "url": url, "events": list(events), "headers": {}, "secret": SECRET}


async def test_events_arrive_signed_past_a_slow_endpoint_and_a_killed_worker(
    make_server: Callable[..., Served], receiver: Receiver
) -> None:
    served = make_server(environment=OPEN)
    served.start()
    async with connect(served) as client:
        read = "datasource.processed"
        slow = await ask(client, "POST", "/webhooks", json=body(receiver, "/slow", read))
        gone = await ask(client, "POST", "/webhooks", json=body(receiver, "/gone", read))
        fast = await ask(client, "POST", "/webhooks", json=body(receiver, "/fast", read))
        for number in range(6):
            await upload(client, f"a\n{number}\n")
        await eventually(lambda: len(receiver.at("/fast")) >= 6, timeout=60)
        await eventually(lambda: len(receiver.at("/slow")) >= 1, timeout=60)
        headers, sent = receiver.at("/fast")[0]
        expected = hmac.new(SECRET.encode(), sent, hashlib.sha256).hexdigest()
        assert headers["x-webhook-signature"] == expected
        StandardWebhook(SECRET.encode()).verify(sent, headers)
        assert json.loads(sent)["id"] == headers["webhook-id"]
        assert json.loads(sent)["event"] == read

        async def is_disabled() -> bool:
            found = await ask(client, "GET", f"/webhooks/{gone['webhookId']}")
            return found["status"] == "disabled" and "410" in found["disabledReason"]

        await eventually(is_disabled, timeout=60)
        unfinished = {headers["webhook-id"] for headers, _ in receiver.at("/slow")}
        os.kill(find_child(served, "gridmill worker"), signal.SIGKILL)
        receiver.release.set()

        async def is_told() -> bool:
            found = await ask(client, "GET", f"/webhooks/{slow['webhookId']}")
            return found["statistics"]["delivered"] == 6

        await eventually(is_told, timeout=60)
        again = [headers["webhook-id"] for headers, _ in receiver.at("/slow")]
        assert len(set(again)) == 6
        assert all(again.count(one) >= 2 for one in unfinished)
        told = await ask(client, "GET", f"/webhooks/{fast['webhookId']}/deliveries")
        assert {one["status"] for one in told["deliveries"]} == {"succeeded"}
        made = await ask(client, "POST", f"/webhooks/{fast['webhookId']}/test")
        assert made["event"] == "webhook.test"
        await eventually(lambda: len(receiver.at("/fast")) >= 7, timeout=60)
        path = f"/webhooks/{gone['webhookId']}/test"
        await refuse(client, "POST", path, 422, "VALIDATION_ERROR")
        private = {**body(receiver, "/x", read), "url": "http://10.0.0.1/"}
        await refuse(client, "POST", "/webhooks", 422, "WEBHOOK_URL_INVALID", json=private)


def events_of(receiver: Receiver, path: str) -> list[tuple[str, Json]]:
    told = [json.loads(sent) for _, sent in receiver.at(path)]
    return [(one["event"], one["data"]) for one in told]


async def test_a_task_tells_its_start_and_its_end_once_to_each_endpoint(
    make_server: Callable[..., Served], receiver: Receiver
) -> None:
    served = make_server(environment=OPEN)
    served.start()
    all_events = ("dataset.created", "dataset.task.started", "dataset.task.completed")
    async with connect(served) as client:
        every = await ask(client, "POST", "/webhooks", json=body(receiver, "/every", *all_events))
        await ask(client, "POST", "/webhooks", json=body(receiver, "/named"))
        listed = (await ask(client, "GET", "/webhooks"))["webhooks"]
        named = next(one for one in listed if one["name"] == "/named")
        dataset = await make_dataset(client, "a,b\n1,x\n2,\n3,x\n")
        path = f"/datasets/{dataset['datasetId']}"
        # One that also subscribes to the end, and one that is only named by the task.
        for webhook in (every, named):
            task = await start_bulk(
                client, dataset, webhookId=webhook["webhookId"], processOnlyEmpty=False
            )
            assert task["webhookId"] == webhook["webhookId"]
            assert (await end_of(client, task))["status"] in {"completed", "failed"}
        assert (await ask(client, "GET", path))["locked"] is False

        def all_told() -> bool:
            return len(receiver.at("/every")) >= 5 and len(receiver.at("/named")) >= 1

        await eventually(all_told, timeout=60)
        told = events_of(receiver, "/every")
        assert [event for event, _ in told].count("dataset.created") == 1
        ends = [data for event, data in told if event == "dataset.task.completed"]
        assert len({data["taskId"] for data in ends}) == len(ends) == 2
        assert set(ends[0]) == {
            *("taskId", "datasetId", "type", "operation", "status"),
            *("results", "usage", "durationMs", "error"),
        }
        ((event, data),) = events_of(receiver, "/named")
        assert (event, data["taskId"]) == ("dataset.task.completed", task["taskId"])


@pytest.fixture
def open_server(make_server: Callable[..., Served]) -> Served:
    """A started server that may deliver to loopback."""
    served = make_server(environment=OPEN)
    served.start()
    return served


async def test_a_webhook_is_changed_only_from_the_state_that_was_read(
    open_server: Served, receiver: Receiver
) -> None:
    async with connect(open_server) as client:
        made = await client.post("/webhooks", json=body(receiver, "/one"))
        tag = made.headers["etag"]
        path = f"/webhooks/{made.json()['webhookId']}"
        assert SECRET not in made.text
        changed = await client.patch(path, json={"name": "two"}, headers={"If-Match": tag})
        assert (changed.status_code, changed.json()["name"]) == (200, "two")
        assert changed.headers["etag"] == (await client.get(path)).headers["etag"] != tag
        stale = {"If-Match": tag}
        await refuse(
            client, "PATCH", path, 412, "PRECONDITION_FAILED", json={"name": "x"}, headers=stale
        )
        await refuse(client, "DELETE", path, 412, "PRECONDITION_FAILED", headers=stale)


async def test_a_rotated_secret_signs_beside_the_old_one_and_a_retry_keeps_its_id(
    open_server: Served, receiver: Receiver
) -> None:
    async with connect(open_server) as client:
        made = await ask(client, "POST", "/webhooks", json=body(receiver, "/one"))
        path = f"/webhooks/{made['webhookId']}"
        key = {"Idempotency-Key": "r"}
        rotated = await ask(client, "POST", f"{path}/rotate-secret", headers=key)
        replayed = await client.post(f"{path}/rotate-secret", headers=key)
        assert replayed.headers["idempotent-replayed"] == "true"
        assert rotated["secret"] not in replayed.text
        await ask(client, "POST", f"{path}/test")
        await eventually(lambda: len(receiver.at("/one")) == 1, timeout=60)
        headers, sent = receiver.at("/one")[0]
        assert len(headers["webhook-signature"].split()) == 2
        for secret in (SECRET, rotated["secret"]):
            StandardWebhook(secret.encode()).verify(sent, headers)

        async def succeeded() -> Json | None:
            (one,) = (await ask(client, "GET", f"{path}/deliveries"))["deliveries"]
            return one if one["status"] == "succeeded" else None

        delivery = await eventually(succeeded, timeout=60)
        assert (delivery["attempt"], delivery["statusCode"]) == (1, 200)
        retry = f"{path}/deliveries/{delivery['deliveryId']}/retry"
        assert (await client.post(retry)).status_code == 202
        await eventually(lambda: len(receiver.at("/one")) == 2, timeout=60)
        assert receiver.at("/one")[1][0]["webhook-id"] == headers["webhook-id"]


async def test_a_webhook_is_not_there_for_another_workspace(
    open_server: Served, receiver: Receiver
) -> None:
    where = ["--data-dir", str(open_server.data_dir)]
    if open_server.database_url is not None:
        where += ["--database-url", open_server.database_url]
    other = run_command("keys", "create", "--name", "o", "--workspace", "other", *where)
    async with connect(open_server) as client:
        made = await ask(client, "POST", "/webhooks", json=body(receiver, "/one"))
    path, named = f"/webhooks/{made['webhookId']}", {"webhookId": made["webhookId"]}
    async with connect(open_server, other.stdout.strip()) as stranger:
        for method, target in (
            ("GET", path),
            ("PATCH", path),
            ("DELETE", path),
            ("POST", f"{path}/test"),
            ("POST", f"{path}/rotate-secret"),
            ("GET", f"{path}/deliveries"),
        ):
            await refuse(stranger, method, target, 404, "WEBHOOK_NOT_FOUND")
        assert (await ask(stranger, "GET", "/webhooks"))["webhooks"] == []
        theirs = await make_dataset(stranger, "a\n1\n")
        bulk = f"/datasets/{theirs['datasetId']}/tasks/bulk"
        await refuse(stranger, "POST", bulk, 404, "WEBHOOK_NOT_FOUND", json=named)


async def test_a_task_names_no_webhook_that_is_disabled_or_gone(
    open_server: Served, receiver: Receiver
) -> None:
    async with connect(open_server) as client:
        made = await ask(client, "POST", "/webhooks", json=body(receiver, "/one"))
        path, named = f"/webhooks/{made['webhookId']}", {"webhookId": made["webhookId"]}
        dataset = await make_dataset(client, "a\n1\n")
        bulk = f"/datasets/{dataset['datasetId']}/tasks/bulk"
        await ask(client, "PATCH", path, json={"status": "disabled"})
        await refuse(client, "POST", bulk, 422, "VALIDATION_ERROR", json=named)
        assert (await client.delete(path)).status_code == 204
        await refuse(client, "POST", bulk, 404, "WEBHOOK_NOT_FOUND", json=named)
