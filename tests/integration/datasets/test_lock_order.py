"""Edits that come while a column is being changed wait for it; neither gives up on the other."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gridmill.datasets import service
from gridmill.datasets.locking import lock_for_change
from gridmill.datasets.model import Dataset
from gridmill.kit.ids import encode_cell, encode_row
from gridmill.storage.database import Tx
from tests.integration.datasets.conftest import World, column
from tests.support.waiting import eventually

Edit = Callable[[Tx, World, Dataset], Awaitable[object]]


async def edit_cell(tx: Tx, world: World, dataset: Dataset) -> object:
    cell_id = encode_cell(dataset.key, 1, 1)
    return await service.edit_cell(tx, world.principal, dataset, cell_id, "new")


async def delete_row(tx: Tx, world: World, dataset: Dataset) -> object:
    return await service.delete_row(tx, dataset, encode_row(dataset.key, 1))


async def delete_rows(tx: Tx, world: World, dataset: Dataset) -> object:
    return await service.delete_rows(tx, dataset, [encode_row(dataset.key, 1)])


async def review(tx: Tx, world: World, dataset: Dataset) -> object:
    cell_ids = [encode_cell(dataset.key, 1, 1)]
    return await service.review_cells(tx, world.principal, dataset, "approve", cell_ids=cell_ids)


async def is_waiting(world: World) -> bool:
    """Whether a transaction waits for another one's row."""
    async with world.database.transaction() as tx:
        cursor = await tx.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock'"
        )
        return await cursor.fetchone() is not None


@pytest.mark.parametrize("edit", [edit_cell, delete_row, delete_rows, review])
async def test_an_edit_waits_for_a_change_of_columns(world: World, edit: Edit) -> None:
    dataset = await world.create(columns=[column("a")])
    await world.insert(dataset, [{"a": "old"}])

    async def run() -> None:
        async with world.database.transaction() as tx:
            await edit(tx, world, dataset)

    async with world.database.transaction() as tx:
        await lock_for_change(tx, dataset)
        editing = asyncio.create_task(run())
        await eventually(lambda: is_waiting(world))
        await service.add_column(tx, world.principal, dataset, column("b"))
    await asyncio.wait_for(editing, 10)
    assert len(await world.columns(dataset)) == 2
