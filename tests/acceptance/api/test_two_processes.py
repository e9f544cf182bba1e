"""Several API processes on one database: killed, and with the database away for a while."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2

from gridmill.storage.embedded.server import EmbeddedPostgres
from tests.acceptance.conftest import connect
from tests.support.api import Json, ask, read_grid
from tests.support.embedded_owner import SETTINGS
from tests.support.postgres import Server
from tests.support.relay import open_relay
from tests.support.serving import Served
from tests.support.waiting import eventually

CALLS = 60
KILLED_AFTER = 15


async def _add_row(client: httpx2.AsyncClient, dataset: Json, key: str) -> httpx2.Response | None:
    """One row under an idempotency key, named after it; `None` when the connection broke."""
    try:
        return await client.post(
            f"/datasets/{dataset['datasetId']}/rows",
            json={"rows": [{"name": key}]},
            headers={"Idempotency-Key": key},
        )
    except httpx2.TransportError:
        return None


async def test_a_killed_process_leaves_each_call_one_effect_and_no_key_stuck(
    make_server: Callable[..., Served], postgres: Server
) -> None:
    url = postgres.make_database(is_empty=True)
    one = make_server("one", database_url=url, arguments=("--no-worker",))
    one.start()
    other = make_server("other", database_url=url, arguments=("--no-worker",))
    other.start()
    async with connect(one) as first, connect(other, one.key) as second:
        dataset = await ask(
            first,
            "POST",
            "/datasets",
            json={"type": "blank", "name": "x", "columns": [{"name": "name"}]},
        )
        keys = [str(uuid4()) for _ in range(CALLS)]
        done: list[str] = []

        async def call(key: str) -> None:
            replies = await asyncio.gather(
                _add_row(first, dataset, key), _add_row(second, dataset, key)
            )
            codes = {reply.status_code for reply in replies if reply is not None}
            assert codes <= {201, 409}, [r.text for r in replies if r is not None]
            done.append(key)
            if len(done) == KILLED_AFTER:
                one.kill()

        await asyncio.gather(*(call(key) for key in keys))

        async def repeat(key: str) -> bool:
            reply = await _add_row(second, dataset, key)
            return reply is not None and reply.status_code == 201

        for key in keys:
            await eventually(lambda key=key: repeat(key), timeout=60)
        last = await _add_row(second, dataset, keys[0])
        assert last is not None
        assert last.headers["idempotent-replayed"] == "true"
        grid = await read_grid(second, dataset, cells="values")
    assert sorted(row[0] for row in grid["data"]) == sorted(keys)


async def test_without_its_database_every_route_says_so_and_comes_back_with_it(
    make_server: Callable[..., Served], tmp_path: Path
) -> None:
    database = EmbeddedPostgres(tmp_path / "pg", settings=SETTINGS)
    async with open_relay() as relay:
        url = await database.start()
        place = urlsplit(url)
        relay.target = place.port
        address = url.replace(f":{place.port}/", f":{relay.port}/")
        served = make_server(database_url=address, arguments=("--no-worker",))
        await asyncio.to_thread(served.start)
        try:
            async with connect(served) as client:
                document = (await client.get(f"{served.url}/openapi.json")).json()
                relay.target = None
                await database.stop(patience=1)
                await _check_outage(served, client, document)
                # PostgreSQL itself goes and comes, with its data; only its address stays.
                relay.target = urlsplit(await database.start()).port

                async def is_back() -> bool:
                    return (await client.get("/keys")).status_code == 200

                await eventually(is_back, timeout=10)
                assert (await client.get(f"{served.url}/readyz")).status_code == 200
        finally:
            await asyncio.to_thread(served.stop)
            await database.stop()


async def _check_outage(served: Served, client: httpx2.AsyncClient, document: Json) -> None:
    routes = [
        (method, path.replace("{", "").replace("}", ""))
        for path, methods in document["paths"].items()
        if path.startswith("/api/v2/")
        for method in methods
    ]
    assert len(routes) > 30
    replies = await asyncio.gather(
        *(client.request(method.upper(), f"{served.url}{path}") for method, path in routes)
    )
    for route, reply in zip(routes, replies, strict=True):
        assert (reply.status_code, reply.json()["code"]) == (503, "SERVICE_UNAVAILABLE"), route
        assert int(reply.headers["retry-after"]) >= 1
        assert "x-ratelimit-limit" in reply.headers
        assert reply.headers["x-request-id"]
    assert (await client.get(f"{served.url}/healthz")).status_code == 200
    ready = await client.get(f"{served.url}/readyz")
    assert (ready.status_code, "retry-after" in ready.headers) == (503, True)
