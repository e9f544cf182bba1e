"""Two workspaces and every operation: an id of one's is, for the other, an id of nothing."""

import asyncio
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx2
import pytest

from tests.acceptance.conftest import connect
from tests.acceptance.webhooks.test_deliveries import OPEN, Receiver
from tests.support.api import Json
from tests.support.described import Operation, Parameter, list_operations, resolve
from tests.support.postgres import Server
from tests.support.serving import Served, run_command
from tests.support.workspaces import SECRET, Inhabitants, inhabit, vacate

# The kind of object that a parameter names.
IDS = {
    **dict.fromkeys(("datasource_id", "datasourceId", "datasourceIds", "knowledge"), "source"),
    **dict.fromkeys(("dataset_id", "datasetIds"), "dataset"),
    **dict.fromkeys(("column_id", "columnIds", "sort"), "column"),
    **dict.fromkeys(("task_id", "taskId"), "task"),
    **dict.fromkeys(("webhook_id", "webhookId"), "webhook"),
    "row_id": "row",
    "rowIds": "other row",
    "cell_id": "cell",
    "cellIds": "other cell",
    "delivery_id": "delivery",
    "key_id": "key",
}
# What a body needs beside an id.
PLAIN: dict[str, object] = {
    "action": "approve",
    "events": [],
    "format": "csv",
    "input": {},
    "name": "plain",
    "output": "x",
    "rowCount": 1,
    "rows": [{}],
    "scopes": ["read"],
    "secret": SECRET,
    "taskType": "none",
    "type": "blank",
    "url": "https://example.org/",
    "value": "x",
}
# What names no object. `config` is kept as it is written: nothing in it is looked up yet.
OTHERS = {
    "allowGenerated", "cache", "cells", "confidence", "config", "contentType", "cursor", "dataType",
    "delimiter", "description", "encoding", "expiresAt", "expiresIn", "file", "files[]", "filter",
    "from", "header", "headers", "includeMetadata", "limit", "maxCostUsd", "maxTokens", "maximum",
    "minimum", "model", "options", "order", "page", "pattern", "processOnlyEmpty", "prompt",
    "readOnly", "required", "search", "sheet", "signatureFormat", "status", "to", "unit",
}  # fmt: skip
# A data source's columns have no ids.
NAMES_ONLY = frozenset({("/datasources/{datasource_id}/data", "sort")})
# The permission is the link itself, whoever has it.
LINKS = frozenset({"token"})
# Preconditions that any object meets would tell that there is one; keys of repeats have tests of
# their own (integration/api/test_idempotency.py).
PROBES = frozenset({"If-Match", "If-None-Match"})
HEADERS = PROBES | {"Idempotency-Key"}
# Of these a caller has its own, or they differ from call to call.
_OWN_HEADERS = {
    "date", "x-request-id", "content-length",
    "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
}  # fmt: skip

Told: TypeAlias = tuple[int, frozenset[str], str]
"""A reply's status, the names of its headers, and its text."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call of an operation in which `foreign` are of a stranger and all else is one's own."""

    operation: Operation
    foreign: tuple[Parameter, ...]
    probe: str | None

    def __str__(self) -> str:
        names = ", ".join(".".join(one.steps) for one in self.foreign)
        return f"{self.operation} [{names}{f' {self.probe}: *' if self.probe else ''}]"

    def sent(self, stranger: Inhabitants) -> set[str]:
        """The ids in the call that are the stranger's."""
        return {stranger.ids[IDS[one.name]] for one in self.foreign}

    def request(self, own: Inhabitants, stranger: Inhabitants) -> Json:
        """What to give to `client.request`."""

        def fill(parameter: Parameter) -> str:
            whose = stranger if parameter in self.foreign else own
            return whose.ids[IDS[parameter.name]]

        path = self.operation.path
        for one in self.operation.of_place("path"):
            path = path.replace(f"{{{one.name}}}", fill(one))
        options: Json = {"method": self.operation.method, "url": path}
        options["params"] = {one.name: fill(one) for one in self.foreign if one.place == "query"}
        if self.probe is not None:
            options["headers"] = {self.probe: "*"}
        if self.operation.body is not None:
            inside = next((one for one in self.foreign if one.place in {"json", "form"}), None)
            steps, value = (inside.steps, fill(inside)) if inside is not None else ((), None)
            body = build(self.operation.body, steps, value, own)
            if self.operation.of_place("form"):
                options |= {"data": body, "files": {"file": ("plain.csv", b"a\n1\n")}}
            else:
                options["json"] = body
        return options


def build(
    schema: Mapping[str, Any], steps: tuple[str, ...], value: object, own: Inhabitants
) -> Any:
    """The smallest body of a schema that has `value` at the end of `steps`."""
    known = resolve(schema)
    if steps and steps[0] == "[]":
        return [build(known["items"], steps[1:], value, own)]
    if "properties" not in known:
        return value
    body: Json = {}
    for name, one in known["properties"].items():
        if steps and steps[0] == name:
            body[name] = build(one, steps[1:], value, own)
        elif name in known.get("required", ()) and one.get("format") != "binary":
            choices = resolve(one).get("enum", ())
            known_id = own.ids[IDS[name]] if name in IDS else None
            plain = [known_id] if known_id else PLAIN[name]
            body[name] = choices[0] if choices and plain not in choices else plain
    return body


def list_attempts() -> Iterator[Attempt]:
    """For every operation: each id of a stranger's alone, and all those of the path together."""
    for operation in list_operations():
        in_path = tuple(one for one in operation.of_place("path") if one.name in IDS)
        elsewhere = [
            one
            for one in operation.of_place("query", "json", "form")
            if one.name in IDS and (operation.path, one.name) not in NAMES_ONLY
        ]
        probes = [one.name for one in operation.of_place("header") if one.name in PROBES]
        for foreign in dict.fromkeys([*((one,) for one in in_path), in_path]):
            for probe in (None, *probes) if foreign else ():
                yield Attempt(operation, foreign, probe)
        for one in elsewhere:
            yield Attempt(operation, (one,), None)


def tell(reply: httpx2.Response, attempt: Attempt, stranger: Inhabitants) -> Told:
    """What a reply says, without the ids that were sent and what is a call's own."""
    text = reply.text
    # A row's id begins the ids of its cells.
    for sent in sorted(attempt.sent(stranger), key=len, reverse=True):
        text = text.replace(sent, "ID")
    return reply.status_code, frozenset(reply.headers) - _OWN_HEADERS, text


def test_every_parameter_is_known_to_name_an_object_or_not() -> None:
    groups = (IDS, PLAIN, OTHERS, LINKS, HEADERS)
    named = {
        (one.name, one.place): operation
        for operation in list_operations()
        for one in operation.parameters
    }
    unknown = [
        f"no filler for parameter {name} of {operation}"
        for (name, place), operation in named.items()
        if not any(name in group for group in groups)
        or (place == "path" and name not in IDS | dict.fromkeys(LINKS))
    ]
    assert unknown == []
    suspect = re.compile(r"[a-z]Ids?$|_id$")
    assert [name for name in {*PLAIN, *OTHERS} if suspect.search(name)] == []
    unused = (IDS.keys() | PLAIN.keys() | OTHERS | LINKS | HEADERS) - {name for name, _ in named}
    assert unused == set()


async def read_everything(client: httpx2.AsyncClient, own: Inhabitants) -> dict[str, str]:
    """Every read of one's own objects and lists: its tag and body."""
    found: dict[str, str] = {}
    for operation in list_operations():
        if operation.method == "GET" and not any(one.name in LINKS for one in operation.parameters):
            reply = await client.request(**Attempt(operation, (), None).request(own, own))
            assert reply.status_code == 200, f"{operation}: {reply.text}"
            found[str(operation)] = f"{reply.headers.get('etag')} {reply.text}"
    found["link"] = (await client.get(own.link)).raise_for_status().text
    return found


async def refuse_missing(
    client: httpx2.AsyncClient, own: Inhabitants, gone: Inhabitants
) -> dict[Attempt, Told]:
    """What each call answers to the ids of nothing."""
    return {
        one: tell(await client.request(**one.request(own, gone)), one, gone)
        for one in list_attempts()
    }


async def find_told_apart(
    client: httpx2.AsyncClient,
    own: Inhabitants,
    other: Inhabitants,
    refusals: Mapping[Attempt, Told],
) -> list[str]:
    """The calls that answer otherwise to another's ids than to those of nothing, or tell of them."""
    faults: list[str] = []
    for attempt, expected in refusals.items():
        told = tell(await client.request(**attempt.request(own, other)), attempt, other)
        if told != expected or other.is_shown_in(told[2]) or told[0] < 400:
            faults.append(f"{attempt}: {told}, not {expected}")
    return faults


async def find_never_reached(
    client: httpx2.AsyncClient, own: Inhabitants, refusals: Mapping[Attempt, Told]
) -> list[str]:
    """The calls that refuse one's own ids too: that they refuse those of others proves nothing."""
    # What deletes comes last, and what lies deeper first. Many attempts are one call of one's own.
    ordered = sorted(
        (one for one in refusals if one.probe is None),
        key=lambda one: (one.operation.method == "DELETE", -one.operation.path.count("/")),
    )
    replies: dict[str, httpx2.Response] = {}
    faults: list[str] = []
    for attempt in ordered:
        request = attempt.request(own, own)
        if str(request) not in replies:
            replies[str(request)] = await client.request(**request)
        if tell(replies[str(request)], attempt, own) == refusals[attempt]:
            faults.append(f"{attempt}: {refusals[attempt]}")
    return faults


async def find_cursors_that_tell(
    client: httpx2.AsyncClient, own: Inhabitants, stranger: httpx2.AsyncClient, other: Inhabitants
) -> list[str]:
    """The lists that show another's objects to whoever has its cursor."""
    faults: list[str] = []
    for operation in list_operations():
        if not any(one.name == "cursor" for one in operation.parameters):
            continue
        paths = [operation.path, operation.path]
        for one in operation.of_place("path"):
            for n, whose in enumerate((other, own)):
                paths[n] = paths[n].replace(f"{{{one.name}}}", whose.ids[IDS[one.name]])
        page = (await stranger.get(paths[0], params={"limit": 1})).json()
        cursor = page["pagination"]["nextCursor"]
        assert cursor is not None, f"{operation} has but one page"
        reply = await client.get(paths[1], params={"cursor": cursor, "limit": 100})
        if other.is_shown_in(reply.text) or reply.status_code not in {200, 422}:
            faults.append(f"{operation}: {reply.status_code} {reply.text}")
    return faults


@pytest.fixture
def receiver() -> Generator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def test_nothing_of_one_workspace_is_there_for_another(
    make_server: Callable[..., Served], receiver: Receiver, postgres: Server
) -> None:
    served = make_server(environment=OPEN, database_url=postgres.make_database())
    served.start()
    where = ("--data-dir", str(served.data_dir), "--database-url", str(served.database_url))
    made = run_command("keys", "create", "--name", "o", "--workspace", "other", *where)
    assert made.returncode == 0, made.stderr
    async with connect(served) as first, connect(served, made.stdout.strip()) as second:
        theirs = await inhabit(first, receiver.url, "first-mark")
        before = await read_everything(first, theirs)
        usage = (await second.get("/usage")).json()
        assert usage["total"]["tasks"] == 0, usage
        gone, mine = await asyncio.gather(
            inhabit(second, receiver.url, "gone-mark"), inhabit(second, receiver.url, "second-mark")
        )
        await vacate(second, gone)
        for told in (await read_everything(second, mine)).values():
            assert not theirs.is_shown_in(told)
        refusals = await refuse_missing(second, mine, gone)
        assert await find_told_apart(second, mine, theirs, refusals) == []
        assert await find_cursors_that_tell(second, mine, first, theirs) == []
        assert await read_everything(first, theirs) == before
        assert await find_never_reached(second, mine, refusals) == []
        assert await read_everything(first, theirs) == before
