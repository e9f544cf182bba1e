"""One seed: clients work while faults strike, then everything is healed and checked."""

import asyncio
import random
import time
from dataclasses import dataclass

from benchmarks.nemesis.checker import Checker
from benchmarks.nemesis.clients import Caller, DatasetMaker, NoteWriter, TaskRunner
from benchmarks.nemesis.cluster import Cluster
from benchmarks.nemesis.events import EventChecker
from benchmarks.nemesis.faults import Fault, draw_faults, strike
from benchmarks.nemesis.reader import Reader
from benchmarks.nemesis.receiver import Received, receiving
from benchmarks.nemesis.record import Record
from benchmarks.nemesis.setting import make, make_companies, make_webhook, open_client

# A server that answers nobody for so long has not healed.
_STUCK_SECONDS = 240.0


@dataclass(frozen=True)
class Size:
    """How much work and how many faults: `longest` is the most that one lasts, in seconds."""

    faults: int = 11
    longest: float = 10.0
    writers: int = 3
    runners: int = 2
    rows: int = 70


@dataclass(frozen=True)
class Outcome:
    """What was done in a run, and what did not hold."""

    struck: list[Fault]
    record: Record
    messages: int
    failed: list[str]


async def attack(cluster: Cluster, seed: int, size: Size) -> Outcome:
    """A run on a server that is up; it is up again afterwards."""
    async with receiving(seed) as received, open_client(cluster) as client:
        record = Record()
        caller = Caller(client, record)
        webhook = await make_webhook(client, received.url)
        columns = [{"name": "key"}, {"name": "value"}]
        body = {"type": "blank", "name": f"notes {seed}", "columns": columns}
        notes = await make(client, "/datasets", body)
        names = [f"{seed}-{number}" for number in range(size.runners)]
        worked = [await make_companies(client, name, size.rows) for name in names]
        dice = random.Random(seed)
        prefix = f"made {seed}-"
        clients = [DatasetMaker(prefix, caller, random.Random(dice.random())).run]
        clients += [
            NoteWriter(f"w{n}", caller, notes["datasetId"], random.Random(dice.random())).run
            for n in range(size.writers)
        ]
        clients += [
            TaskRunner(caller, one, webhook["webhookId"], random.Random(dice.random())).run
            for one in worked
        ]
        faults = draw_faults(seed, size.faults, size.longest)
        over = asyncio.Event()
        running = asyncio.gather(*(run(over) for run in clients))
        watching = asyncio.create_task(cluster.keep_up())
        try:
            await _strike_all(faults, cluster, received, record, running)
        finally:
            over.set()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await cluster.heal()
        await running
        reader = Reader(client)
        checker = Checker(reader, record)
        await checker.check_notes(notes["datasetId"])
        await checker.check_worked(worked)
        await checker.check_datasets(prefix)
        told = await EventChecker(reader, record, received, webhook).check()
        reply = await client.delete(f"/webhooks/{webhook['webhookId']}")
        assert reply.status_code == 204, reply.text
        return Outcome(faults, record, len(received.messages), [*checker.faults, *told])


async def _strike_all(
    faults: list[Fault],
    cluster: Cluster,
    received: Received,
    record: Record,
    running: "asyncio.Future[list[None]]",
) -> None:
    """One after the other, each once the clients were answered so many times more."""
    for fault in faults:
        wanted = record.answered + fault.answers
        deadline = time.monotonic() + _STUCK_SECONDS
        while record.answered < wanted:
            if running.done():
                await running
            if time.monotonic() > deadline:
                raise TimeoutError(f"before {fault}: nobody was answered any more")
            await asyncio.sleep(0.02)
        await strike(fault, cluster, received.relay)
