"""The nemesis's own parts: what it draws, how its network fails, what its checker finds."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nemesis.events import compare_facts
from benchmarks.nemesis.faults import KINDS, draw_faults
from benchmarks.nemesis.relay import Relay, relaying

CREATED = ("dataset.created", "d1")


@given(st.integers(), st.integers(0, 60))
def test_every_kind_of_fault_strikes_once_before_any_strikes_again(seed: int, count: int) -> None:
    faults = draw_faults(seed, count, longest=2.0)
    assert len(faults) == count
    assert faults == draw_faults(seed, count, longest=2.0)
    for start in range(0, count, len(KINDS)):
        kinds = [fault.kind for fault in faults[start : start + len(KINDS)]]
        assert len(set(kinds)) == len(kinds)
    assert all(0 < fault.seconds <= 2.0 for fault in faults)


@pytest.mark.parametrize(
    ("told", "truths", "found"),
    [
        ([CREATED], [CREATED], 0),
        ([], [CREATED], 1),
        ([CREATED], [], 1),
        ([CREATED, CREATED], [CREATED], 1),
        ([("dataset.task.failed", "t1")], [("dataset.task.completed", "t1")], 2),
    ],
    ids=["true", "untold", "untrue", "told twice", "told of another end"],
)
def test_events_are_held_to_what_happened_both_ways(
    told: list[tuple[str, str]], truths: list[tuple[str, str]], found: int
) -> None:
    assert len(list(compare_facts(told, truths))) == found


@pytest_asyncio.fixture
async def relay() -> AsyncGenerator[Relay]:
    """A relay to a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, relaying(server.sockets[0].getsockname()[1]) as opened:
        yield opened


async def _say(relay: Relay) -> bytes:
    """What comes back for a line over a new connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(b"hello\n")
    try:
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_stalled_network_lets_nothing_through_until_it_goes_on(relay: Relay) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(b"before\n")
    assert await reader.readline() == b"before\n"
    stalling = asyncio.create_task(relay.stall(0.2))
    await asyncio.sleep(0)
    writer.write(b"during\n")
    said = asyncio.create_task(_say(relay))
    assert await reader.readline() == b"during\n"
    assert stalling.done()
    assert await said == b"hello\n"
    writer.close()


async def test_a_cut_network_breaks_connections_and_takes_none_until_it_is_mended(
    relay: Relay,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(b"before\n")
    assert await reader.readline() == b"before\n"
    cutting = asyncio.create_task(relay.refuse(0.2))
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    assert not cutting.done()
    assert await _say(relay) == b""
    await cutting
    assert await _say(relay) == b"hello\n"
    writer.close()
