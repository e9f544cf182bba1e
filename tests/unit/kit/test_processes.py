"""The pool of worker processes: results, failures, limits and what dies with what."""

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gridmill.kit.processes import (
    ProcessDied,
    ProcessError,
    ProcessPool,
    ProcessTimedOut,
    RemoteFailure,
)

calls_seen = 0


class ClumsyError(Exception):
    """Cannot be built again from its arguments, so it does not pickle."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def add(first: int, second: int) -> int:
    print("printed by the function")
    return first + second


def count_calls() -> tuple[int, int]:
    global calls_seen  # noqa: PLW0603 (shows that a child keeps its memory)
    calls_seen += 1
    return os.getpid(), calls_seen


def fail(text: str) -> None:
    raise KeyError(text)


def fail_clumsily() -> None:
    raise ClumsyError("a", "b")


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exit_early() -> None:
    os._exit(3)


def spin() -> None:
    while True:
        pass


def allocate(size: int) -> int:
    return len(bytearray(size))


def get_niceness() -> int:
    return os.nice(0)


@asynccontextmanager
async def open_pool(
    size: int = 1, *, memory_bytes: int = 0, calls_per_child: int = 0
) -> AsyncGenerator[ProcessPool]:
    pool = ProcessPool(size, memory_bytes=memory_bytes, calls_per_child=calls_per_child)
    try:
        yield pool
    finally:
        await pool.close()


def is_alive(process_id: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process_id, 0)
        return True
    return False


async def test_a_result_comes_back_and_prints_do_not_disturb_it() -> None:
    async with open_pool() as pool:
        assert await pool.run(add, 2, 3) == 5


async def test_an_exception_comes_back_with_its_traceback() -> None:
    async with open_pool() as pool:
        with pytest.raises(KeyError, match="gone") as caught:
            await pool.run(fail, "gone")
        assert "in fail" in caught.value.__notes__[0]
        with pytest.raises(RemoteFailure, match="ClumsyError"):
            await pool.run(fail_clumsily)
        assert await pool.run(add, 1, 1) == 2


async def test_a_killed_child_is_named_and_replaced() -> None:
    async with open_pool() as pool:
        with pytest.raises(ProcessDied, match=r"kill_itself was killed by SIGKILL"):
            await pool.run(kill_itself)
        with pytest.raises(ProcessDied, match=r"exit_early exited with code 3"):
            await pool.run(exit_early)
        assert await pool.run(add, 1, 1) == 2


async def test_a_call_over_its_time_is_stopped() -> None:
    async with open_pool() as pool:
        started = time.monotonic()
        with pytest.raises(ProcessTimedOut, match=r"spin took longer than 0\.3 s"):
            await pool.run(spin, seconds=0.3)
        assert time.monotonic() - started < 5
        assert pool.list_children() == []


async def test_a_call_over_its_processor_time_is_stopped() -> None:
    async with open_pool() as pool:
        with pytest.raises(ProcessDied) as caught:
            await pool.run(spin, cpu_seconds=0.0)
        assert caught.value.cpu_limit_reached


async def test_memory_over_the_limit_is_an_error_in_the_child_alone() -> None:
    async with open_pool(memory_bytes=256 * 2**20) as pool:
        assert await pool.run(allocate, 1000) == 1000
        with pytest.raises(MemoryError):
            await pool.run(allocate, 2**30)
        assert await pool.run(add, 1, 1) == 2


async def test_calls_with_one_key_meet_one_memory() -> None:
    async with open_pool(size=3) as pool:
        answers = await asyncio.gather(*(pool.run(count_calls, key="task") for _ in range(5)))
        assert len({child for child, _ in answers}) == 1
        assert [count for _, count in answers] == [1, 2, 3, 4, 5]


async def test_calls_without_a_key_spread_over_the_children() -> None:
    async with open_pool(size=2) as pool:
        answers = await asyncio.gather(*(pool.run(count_calls) for _ in range(6)))
        assert len({child for child, _ in answers}) == 2
        assert len(pool.list_children()) == 2


async def test_a_child_is_replaced_after_its_share_of_calls() -> None:
    async with open_pool(calls_per_child=2) as pool:
        counts = [(await pool.run(count_calls))[1] for _ in range(4)]
        assert counts == [1, 2, 1, 2]


async def test_a_cancelled_call_kills_its_child_and_frees_the_slot() -> None:
    async with open_pool() as pool:
        running = asyncio.create_task(pool.run(spin))
        child = await _wait_for_child(pool)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not is_alive(child)
        assert await pool.run(add, 1, 1) == 2


async def test_a_closed_pool_refuses() -> None:
    pool = ProcessPool()
    assert await pool.run(add, 1, 1) == 2
    children = pool.list_children()
    await pool.close()
    assert not any(is_alive(child) for child in children)
    with pytest.raises(ProcessError, match="closed"):
        await pool.run(add, 1, 1)


async def test_children_give_way_to_the_server() -> None:
    async with open_pool() as pool:
        assert await pool.run(get_niceness) > os.nice(0) or os.nice(0) > 14


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
async def test_a_busy_child_dies_with_a_killed_parent() -> None:
    program = textwrap.dedent(
        """
        import asyncio, sys
        from gridmill.kit.processes import ProcessPool
        from tests.unit.kit.test_processes import spin

        async def main():
            pool = ProcessPool()
            call = asyncio.create_task(pool.run(spin))
            while not pool.list_children():
                await asyncio.sleep(0.01)
            print(pool.list_children()[0], flush=True)
            await call

        asyncio.run(main())
        """
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"import sys; sys.path[:] = {sys.path!r}\n{program}",
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    deadline = time.monotonic() + 5
    while _is_running(child):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def _is_running(process_id: int) -> bool:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii")
        return stat.rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


async def _wait_for_child(pool: ProcessPool) -> int:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if children := pool.list_children():
            return children[0]
        await asyncio.sleep(0.01)
    raise AssertionError("no child started")
