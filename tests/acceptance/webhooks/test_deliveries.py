"""Events reach a real receiver, signed, at least once, whoever is killed meanwhile."""

import hashlib
import hmac
import json
import os
import signal
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook as StandardWebhook

from tests.acceptance.conftest import connect
from tests.acceptance.tasks.test_crashes import find_child
from tests.support.api import Json, ask, refuse, upload
from tests.support.serving import Served
from tests.support.waiting import eventually

OPEN = {"GRIDMILL_EGRESS_ALLOW": "127.0.0.0/8", "GRIDMILL_WEBHOOK_ALLOW_HTTP": "true"}
SECRET = "a secret of some length"


class Receiver:
    """Keeps what it gets; `/slow` answers when `release` is set, `/gone` with 410."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.got.append((self.path, headers, body))
                if self.path == "/slow":
                    outer.release.wait(60)
                self.send_response(410 if self.path == "/gone" else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its base names it)
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def at(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for where, headers, body in self.got if where == path]


@pytest.fixture
def receiver() -> Generator[Receiver]:
    made = Receiver()
    yield made
    made.release.set()
    made.server.shutdown()
    made.server.server_close()


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
