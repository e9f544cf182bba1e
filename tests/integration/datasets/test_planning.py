import pytest

from gridmill.datasets import service
from tests.integration.datasets.conftest import World, column


@pytest.mark.parametrize(("batch_size", "rows"), [(2, [4, 4, 1]), (1, [3, 3, 3]), (4, [4, 4, 1])])
async def test_more_batches_than_many_become_larger_ones(
    world: World, monkeypatch: pytest.MonkeyPatch, batch_size: int, rows: list[int]
) -> None:
    monkeypatch.setattr("gridmill.datasets.repository.planning._BATCHES", 3)
    dataset = await world.create(columns=[column("a")])
    await world.insert(dataset, [{}] * 9)
    async with world.database.transaction() as tx:
        columns = await service.list_columns(tx, dataset)
        plan = await service.plan_rows(tx, dataset, columns, only_empty=True, batch_size=batch_size)
    assert [batch.rows for batch in plan.batches] == rows
    assert plan.cells == 9


async def test_batches_grow_no_more_than_fourfold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmill.datasets.repository.planning._BATCHES", 1)
    dataset = await world.create(columns=[column("a")])
    await world.insert(dataset, [{}] * 9)
    async with world.database.transaction() as tx:
        columns = await service.list_columns(tx, dataset)
        plan = await service.plan_rows(tx, dataset, columns, only_empty=True, batch_size=1)
    assert [batch.rows for batch in plan.batches] == [4, 4, 1]
