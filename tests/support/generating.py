"""Orders and tables for tests of generation."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from gridmill.operations.model import ColumnSpec, ExampleRow, Order
from gridmill.providers.llm.budget import Budget
from tests.support.enriching import TASK, WORKSPACE

Texts = Sequence[str | None]
FindTaken = Callable[[Sequence[Texts], Sequence[int]], Awaitable[Collection[int]]]


async def _find_none(rows: Sequence[Texts], keys: Sequence[int]) -> Collection[int]:
    return ()


def known_rows(rows: Sequence[Mapping[str, str | None]]) -> list[ExampleRow]:
    return [ExampleRow(number, f"k{number}", row) for number, row in enumerate(rows, 1)]


def order_of(
    columns: Sequence[ColumnSpec],
    first: int,
    last: int,
    *,
    known: Sequence[ExampleRow] = (),
    seed: int = 7,
    after: int = 0,
    review: bool = False,
    task: UUID = TASK,
    config: Mapping[str, Any] | None = None,
    model: str | None = None,
    budget: Budget | None = None,
    find_taken: FindTaken = _find_none,
    wanted: Sequence[int] | None = None,
) -> Order:
    async def load_training() -> Sequence[ExampleRow]:
        return known

    stretch = {"seed": seed, "after": after, "first": first, "last": last, "review": review}
    return Order(
        task_id=task,
        workspace_id=WORKSPACE,
        dataset_name="Companies",
        dataset_description=None,
        columns=columns,
        config=config or {},
        items=[stretch],
        load_training=load_training,
        model=model,
        budget=budget,
        wanted=tuple(column.number for column in columns) if wanted is None else tuple(wanted),
        find_taken=find_taken,
    )
