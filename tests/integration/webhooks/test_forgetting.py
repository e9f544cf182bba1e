"""What is kept of webhooks and for how long, and how many a workspace may have."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import time_machine

from gridmill.auth import service as auth
from gridmill.auth.model import Principal, Scope
from gridmill.engine.procrastinate_engine import ProcrastinateEngine
from gridmill.kit.egress import AddressRules
from gridmill.kit.errors import QuotaExceeded
from gridmill.storage.database import Database
from gridmill.webhooks import jobs, service
from gridmill.webhooks.events import send
from gridmill.webhooks.model import KEPT_FOR, MAX_WEBHOOKS, Event, Outcome, Webhook

pytestmark = pytest.mark.integration

START = datetime(2030, 1, 1, tzinfo=UTC)
ENGINE = ProcrastinateEngine()


async def make_principal(database: Database) -> Principal:
    async with database.transaction() as tx:
        workspace_id = await auth.ensure_workspace(tx)
    return Principal(uuid4(), workspace_id, frozenset({Scope.ADMIN}))


async def make(database: Database, principal: Principal) -> Webhook:
    fields = service.WebhookFields("hook", "https://example.com/", [], {}, "a secret of 16 or more")
    async with database.transaction() as tx:
        return await service.create_webhook(tx, AddressRules(), principal, fields)


async def tell(database: Database, *webhooks: Webhook) -> list[UUID]:
    targets = [(webhook.webhook_id, False) for webhook in webhooks]
    async with database.transaction() as tx:
        return await send(tx, ENGINE, webhooks[0].workspace_id, Event.TEST, {}, targets)


async def attempt(database: Database, delivery_id: UUID, number: int, status: int) -> None:
    """Record a reply, as a worker does."""
    outcome = Outcome(datetime.now(UTC), 5, status)
    async with database.transaction() as tx:
        await jobs.record(tx, ENGINE, delivery_id, number, outcome)


async def count(database: Database, table: str) -> int:
    async with database.transaction() as tx:
        cursor = await tx.execute(f"SELECT count(*) FROM {table}".encode())
        row = await cursor.fetchone()
    return row[0] if row else 0


async def count_all(database: Database) -> list[int]:
    names = ("webhook_messages", "webhook_deliveries", "webhook_attempts")
    return [await count(database, name) for name in names]


async def test_ended_deliveries_are_forgotten_30_days_after_their_last_attempt(
    database: Database,
) -> None:
    webhook = await make(database, await make_principal(database))
    with time_machine.travel(START, tick=False) as clock:
        made = [(await tell(database, webhook))[0] for _ in range(5)]
        for delivery_id in made[:4]:
            await attempt(database, delivery_id, 1, 204)
        await attempt(database, made[4], 1, 500)  # waits for its second attempt
        clock.shift(timedelta(days=20))
        async with database.transaction() as tx:
            again = await service.retry_delivery(tx, ENGINE, webhook, str(made[0]))
        await attempt(database, again.delivery_id, 2, 204)
        clock.move_to(START + KEPT_FOR)
        await jobs.forget_old(database, rows=2)
        assert await count_all(database) == [5, 5, 6]
        clock.shift(timedelta(seconds=1))
        await jobs.forget_old(database, rows=2)
        assert await count_all(database) == [2, 2, 3]
        async with database.transaction() as tx:
            kept, _ = await service.list_deliveries(tx, webhook, service.PageQuery(1, 10))
        assert {delivery.delivery_id for delivery in kept} == {made[0], made[4]}


async def test_a_message_goes_with_the_last_webhook_that_was_told(database: Database) -> None:
    principal = await make_principal(database)
    one, other = await make(database, principal), await make(database, principal)
    await tell(database, one)
    await tell(database, one, other)
    for webhook, left in ((one, [1, 1, 0]), (other, [0, 0, 0])):
        async with database.transaction() as tx:
            await service.delete_webhook(tx, webhook)
        assert await count_all(database) == left


async def test_a_workspace_has_a_hundred_webhooks_and_no_more(database: Database) -> None:
    principal = await make_principal(database)
    first = await make(database, principal)
    for _ in range(MAX_WEBHOOKS - 2):
        await make(database, principal)
    tries = await asyncio.gather(
        *(make(database, principal) for _ in range(4)), return_exceptions=True
    )
    refused = [found for found in tries if isinstance(found, QuotaExceeded)]
    assert len(refused) == 3
    assert refused[0].details == {"quota": "webhooks", "limit": MAX_WEBHOOKS}
    assert await count(database, "webhooks") == MAX_WEBHOOKS
    async with database.transaction() as tx:
        await service.delete_webhook(tx, first)
    await make(database, principal)
