"""Attempts of deliveries, with the real handlers, database and sockets, and a clock that is moved."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import stripe
import svix
import time_machine
from aiohttp import web
from razorpay.utility.utility import Utility
from standardwebhooks import Webhook as StandardWebhook

from gridmill.auth import service as auth
from gridmill.auth.model import Principal, Scope
from gridmill.engine.port import JobContext
from gridmill.engine.procrastinate_engine import ProcrastinateEngine
from gridmill.kit.egress import AddressRules, Egress
from gridmill.storage.database import Database
from gridmill.webhooks import jobs, service
from gridmill.webhooks.events import DELIVER_JOB, RELEASE_JOB
from gridmill.webhooks.model import (
    SCHEDULE,
    Delivery,
    DeliveryStatus,
    Event,
    SignatureFormat,
    Webhook,
    WebhookStatus,
)

SECRET = "a secret of some length"
START = datetime(2030, 1, 1, tzinfo=UTC)
RULES = AddressRules((ip_network("127.0.0.0/8"),), allow_http=True)


@dataclass
class Bench:
    """A workspace, the handlers of the room, and an endpoint whose replies are chosen."""

    database: Database
    egress: Egress
    principal: Principal
    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    got: list[tuple[dict[str, str], bytes]] = field(
        default_factory=list[tuple[dict[str, str], bytes]]
    )
    engine: ProcrastinateEngine = field(default_factory=ProcrastinateEngine)

    async def make(self, written: SignatureFormat = SignatureFormat.HEX) -> Webhook:
        fields = service.WebhookFields("hook", self.url, [], {}, SECRET, written)
        async with self.database.transaction() as tx:
            return await service.create_webhook(tx, RULES, self.principal, fields)

    async def tell(self, webhook: Webhook) -> UUID:
        async with self.database.transaction() as tx:
            return (await service.send_test(tx, self.engine, webhook)).delivery_id

    async def run(self, delivery_id: UUID, attempt: int, name: str = DELIVER_JOB) -> None:
        """What a worker does with the job of an attempt."""
        spec = jobs.handlers(self.database, self.engine, self.egress)[name]
        payload = {"deliveryId": str(delivery_id), "attempt": attempt}
        await spec.run(payload, JobContext(1, 1, last_attempt=False))

    async def read(self, webhook: Webhook, delivery_id: UUID) -> tuple[Webhook, Delivery]:
        async with self.database.transaction() as tx:
            found = await service.get_webhook(tx, self.principal, str(webhook.webhook_id))
            delivery = await service.repository.find_delivery(tx, delivery_id)
        assert delivery is not None
        return found, delivery

    async def count_jobs(self, name: str) -> int:
        async with self.database.transaction() as tx:
            cursor = await tx.execute(
                "SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s", (name,)
            )
            row = await cursor.fetchone()
        return row[0] if row else 0


@pytest.fixture
async def bench(database: Database) -> AsyncGenerator[Bench]:
    async with database.transaction() as tx:
        workspace_id = await auth.ensure_workspace(tx)
    principal = Principal(uuid4(), workspace_id, frozenset({Scope.ADMIN}))
    egress = Egress(RULES)
    made = Bench(database, egress, principal)
    try:
        async with _serving(made):
            yield made
    finally:
        await egress.close()


@asynccontextmanager
async def _serving(bench: Bench) -> AsyncGenerator[None]:
    async def receive(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        bench.got.append((headers, await request.read()))
        return web.Response(status=bench.status, headers=bench.headers)

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    bench.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield
    finally:
        await runner.cleanup()


def by_svix(headers: Mapping[str, str], body: bytes) -> None:
    svix.Webhook(SECRET.encode()).verify(body, dict(headers))


def by_standard(headers: Mapping[str, str], body: bytes) -> None:
    StandardWebhook(SECRET.encode()).verify(body, dict(headers))


def by_razorpay(headers: Mapping[str, str], body: bytes) -> None:
    verify = cast("Any", Utility()).verify_webhook_signature
    assert verify(body.decode(), headers["x-webhook-signature"], SECRET)


def by_stripe(headers: Mapping[str, str], body: bytes) -> None:
    verify = cast("Any", stripe.WebhookSignature).verify_header
    assert verify(body.decode(), headers["x-webhook-signature"], SECRET, tolerance=300)


@pytest.mark.parametrize(
    ("written", "verify"),
    [
        (SignatureFormat.HEX, by_svix),
        (SignatureFormat.HEX, by_standard),
        (SignatureFormat.HEX, by_razorpay),
        (SignatureFormat.TIMESTAMPED, by_stripe),
    ],
)
async def test_a_delivery_verifies_with_a_library_from_elsewhere_and_an_altered_one_does_not(
    bench: Bench, written: SignatureFormat, verify: Callable[[Mapping[str, str], bytes], None]
) -> None:
    webhook = await bench.make(written)
    await bench.run(await bench.tell(webhook), 1)
    ((headers, body),) = bench.got
    verify(headers, body)
    with pytest.raises(Exception, match=r"(?i)signature"):
        verify(headers, body.replace(b"test", b"tess"))


async def test_five_days_of_failure_disable_an_endpoint_with_the_reason(bench: Bench) -> None:
    webhook = await bench.make()
    bench.status = 500
    with time_machine.travel(START, tick=False) as clock:
        delivery_id = await bench.tell(webhook)
        await bench.run(delivery_id, 1)
        clock.shift(timedelta(days=5, seconds=-1))
        await bench.run(delivery_id, 2)
        found, delivery = await bench.read(webhook, delivery_id)
        assert (found.status, delivery.status) == (WebhookStatus.ACTIVE, DeliveryStatus.PENDING)
        clock.shift(timedelta(seconds=1))
        await bench.run(delivery_id, 3)
        found, delivery = await bench.read(webhook, delivery_id)
    assert found.status is WebhookStatus.DISABLED
    assert found.disabled_reason == "Every delivery failed for 5 days."
    assert (delivery.status, delivery.next_attempt_at) == (DeliveryStatus.FAILED, None)


async def test_one_success_within_five_days_begins_the_count_anew(bench: Bench) -> None:
    webhook = await bench.make()
    with time_machine.travel(START, tick=False) as clock:
        for status, days in ((500, 3), (204, 3), (500, 4)):
            bench.status = status
            delivery_id = await bench.tell(webhook)
            await bench.run(delivery_id, 1)
            clock.shift(timedelta(days=days))
        found, _ = await bench.read(webhook, delivery_id)
    assert found.status is WebhookStatus.ACTIVE
    assert found.failing_since == START + timedelta(days=6)


async def test_410_disables_at_once_and_gives_up_what_waits(bench: Bench) -> None:
    webhook = await bench.make()
    bench.status = 410
    first, waiting = await bench.tell(webhook), await bench.tell(webhook)
    await bench.run(first, 1)
    found, delivery = await bench.read(webhook, waiting)
    assert found.status is WebhookStatus.DISABLED
    assert found.disabled_reason == "The endpoint answered 410 Gone."
    assert delivery.status is DeliveryStatus.FAILED
    await bench.run(waiting, 1)
    assert len(bench.got) == 1


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("3600", 3_600), ("9999999", 86_400), ("Tue, 01 Jan 2030 02:00:00 GMT", 7_200)],
)
async def test_an_endpoint_that_asks_for_time_gets_it_up_to_a_day(
    bench: Bench, asked: str, seconds: int
) -> None:
    webhook = await bench.make()
    bench.status, bench.headers = 503, {"Retry-After": asked}
    with time_machine.travel(START, tick=False):
        delivery_id = await bench.tell(webhook)
        await bench.run(delivery_id, 1)
        _, delivery = await bench.read(webhook, delivery_id)
    assert delivery.next_attempt_at == START + timedelta(seconds=seconds)


async def test_attempts_follow_the_schedule_within_a_tenth_and_then_end(bench: Bench) -> None:
    assert [round(delay) for delay in SCHEDULE] == [
        *(5, 300, 1_800, 7_200, 18_000),
        *(36_000, 50_400, 72_000, 86_400),
    ]
    webhook = await bench.make()
    bench.status = 500
    with time_machine.travel(START, tick=False) as clock:
        delivery_id = await bench.tell(webhook)
        for attempt, delay in enumerate(SCHEDULE, start=1):
            moment = datetime.now(UTC)
            await bench.run(delivery_id, attempt)
            _, delivery = await bench.read(webhook, delivery_id)
            assert delivery.next_attempt_at is not None
            waited = (delivery.next_attempt_at - moment).total_seconds()
            assert delay * 0.9 <= waited <= delay * 1.1
            clock.move_to(delivery.next_attempt_at)
        assert await bench.count_jobs(RELEASE_JOB) == len(SCHEDULE)
        await bench.run(delivery_id, len(SCHEDULE) + 1)
        found, delivery = await bench.read(webhook, delivery_id)
    assert (delivery.status, delivery.attempt) == (DeliveryStatus.FAILED, 10)
    assert found.failing_since == START


async def test_an_attempt_that_is_run_twice_is_sent_and_recorded_once(bench: Bench) -> None:
    webhook = await bench.make()
    delivery_id = await bench.tell(webhook)
    await bench.run(delivery_id, 1)
    await bench.run(delivery_id, 1)
    await bench.run(delivery_id, 1, RELEASE_JOB)
    _, delivery = await bench.read(webhook, delivery_id)
    assert (len(bench.got), delivery.attempt) == (1, 1)
    assert delivery.event == Event.TEST
