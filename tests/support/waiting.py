"""Waiting for a condition instead of for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

T = TypeVar("T")

_PAUSE = 0.02


async def eventually(
    check: Callable[[], Awaitable[T | None] | T | None],
    *,
    timeout: float = 10.0,  # noqa: ASYNC109 - the deadline is of the whole wait, not of one check
) -> T:
    """The first truthy result of `check`, which may be async.

    An `AssertionError` counts as "not yet"; when `timeout` seconds are over, the last one is
    raised, or an `AssertionError` that shows the last result.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: AssertionError | None = None
        result: object = None
        try:
            found = check()
            value = cast("T | None", await found if inspect.isawaitable(found) else found)
            if value:
                return value
            result = value
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"not within {timeout} s; last result: {result!r}")
        await asyncio.sleep(_PAUSE)
