"""Holds what the endpoint received to what was committed, both ways."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import httpx2

from benchmarks.nemesis.clients import ENDED
from benchmarks.nemesis.reader import Reader, wait_for
from benchmarks.nemesis.receiver import Received
from benchmarks.nemesis.record import Json, Record

Fact: TypeAlias = tuple[str, str]
"""An event's name and the id of the object that it tells of."""

_DELIVERY_SECONDS = 120.0
# The schedule's second pause is five minutes: what waits for longer than this is sent at once.
_PATIENCE = timedelta(seconds=3)


@dataclass(frozen=True)
class EventChecker:
    """Compares messages with the delivery log, and what they say with the objects themselves."""

    reader: Reader
    record: Record
    received: Received
    webhook: Json

    async def check(self) -> list[str]:
        """What does not hold, once everything that was committed had its time to arrive."""
        committed = await self._list_committed()

        async def all_arrived() -> bool:
            missing = committed - self.received.messages.keys()
            if missing:
                await self._hurry(missing)
            return not missing

        faults: list[str] = []
        if not await wait_for(all_arrived, _DELIVERY_SECONDS):
            missing = committed - self.received.messages.keys()
            faults.append(f"committed and not received: {sorted(missing)}")
        # Read after the messages: what they tell was committed before they were sent.
        strange = self.received.messages.keys() - await self._list_committed()
        if strange:
            faults.append(f"received and not committed: {sorted(strange)}")
        return [
            *faults,
            *compare_facts(self._list_facts(), await self._list_truths()),
            *self._differ(),
        ]

    async def _list_deliveries(self) -> list[Json]:
        path = f"/webhooks/{self.webhook['webhookId']}/deliveries"
        return await self.reader.list_all(path, "deliveries")

    async def _list_committed(self) -> set[str]:
        return {one["messageId"] for one in await self._list_deliveries()}

    async def _hurry(self, messages: set[str]) -> None:
        """Send again what would be tried in minutes only."""
        soon = datetime.now(UTC) + _PATIENCE
        for one in await self._list_deliveries():
            due = one["nextAttemptAt"]
            is_waiting = due is not None and datetime.fromisoformat(due) > soon
            if one["messageId"] in messages and (is_waiting or one["status"] == "failed"):
                path = f"/webhooks/{self.webhook['webhookId']}/deliveries/{one['deliveryId']}"
                with suppress(httpx2.HTTPError):
                    await self.reader.client.post(f"{path}/retry")
        await asyncio.sleep(0.2)

    def _list_facts(self) -> Iterator[Fact]:
        for bodies in self.received.messages.values():
            event, data = bodies[0]["event"], bodies[0]["data"]
            name = event.split(".")[1 if event.startswith("dataset.task") else 0]
            yield event, data[f"{name}Id"]

    async def _list_truths(self) -> Iterable[Fact]:
        """What happened since the webhook is there."""
        since = self.webhook["createdAt"]
        truths: set[Fact] = {
            ("dataset.created", one.dataset_id)
            for one in self.record.datasets
            if one.dataset_id is not None
        }
        for one in await self.reader.list_all("/datasets", "datasets"):
            if one["createdAt"] >= since:
                truths.add(("dataset.created", one["datasetId"]))
        for one in await self.reader.list_all("/datasources", "dataSources"):
            if one["uploadedAt"] >= since:
                truths.add(("datasource.processed", one["datasourceId"]))
        for one in await self.reader.list_all("/tasks", "tasks"):
            if one["createdAt"] >= since:
                if one["startedAt"] is not None:
                    truths.add(("dataset.task.started", one["taskId"]))
                if one["status"] in ENDED:
                    truths.add((f"dataset.task.{one['status']}", one["taskId"]))
        return truths

    def _differ(self) -> Iterator[str]:
        for message, bodies in self.received.messages.items():
            if any(body != bodies[0] for body in bodies):
                yield f"{message} said different things when it was repeated"


def compare_facts(told: Iterable[Fact], truths: Iterable[Fact]) -> Iterator[str]:
    """A sentence for each fact told twice, each untold truth and each untruth."""
    counted = Counter(told)
    for fact, times in counted.items():
        if times > 1:
            yield f"{fact}: {times} messages"
    for fact in set(truths) - counted.keys():
        yield f"{fact} happened, and no message tells of it"
    for fact in counted.keys() - set(truths):
        yield f"{fact} was told, and did not happen"
