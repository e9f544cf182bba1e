"""Rows that made-up ones follow, and what made-up ones must not repeat."""

from collections.abc import Sequence
from typing import Any

import pytest

from gridmill.datasets import service
from gridmill.datasets.model import CellWrite, Dataset, DatasetType, TaskType, Writer
from gridmill.datasets.repository import sources
from gridmill.datasets.repository.sources import Origin
from gridmill.datasources.errors import DatasourceNotFound
from gridmill.kit.errors import ValidationFailed
from gridmill.kit.ids import new_uuid7
from gridmill.kit.values import DataType
from gridmill.storage import grids
from tests.integration.datasets.conftest import World, column

TASK = new_uuid7()
MADE_UP = {"status": "ok", "operation": "ai_generation"}


async def make(world: World, rows: Sequence[dict[str, Any]]) -> Dataset:
    dataset = await world.create(
        type=DatasetType.GENERATION, columns=[column("code"), column("size")]
    )
    if rows:
        await world.insert(dataset, rows)
    return await world.reload(dataset)


async def add_made_up(world: World, dataset: Dataset, rows: Sequence[Sequence[str]]) -> int:
    """Rows of a task, as it would leave them; the first one's number."""
    columns = await world.columns(dataset)
    async with world.database.transaction() as tx:
        first = await grids.insert_rows(tx, dataset.grid_no, [c.physical for c in columns], rows)
        origin = Origin(first, first + len(rows) - 1, Writer("task", TASK))
        await sources.insert_origins(tx, dataset.dataset_id, [origin])
    return first


async def read_real(world: World, dataset: Dataset, limit: int = 100) -> dict[int, list[Any]]:
    columns = await world.columns(dataset)
    async with world.database.transaction() as tx:
        found = await service.read_real(tx, dataset, columns, limit)
    return {one.row.row_no: list(one.row.values.values()) for one in found}


async def test_rows_that_a_task_made_up_are_not_followed(world: World) -> None:
    dataset = await make(world, [{"code": "A1", "size": "s"}, {"code": "A2", "size": "m"}])
    await add_made_up(world, dataset, [["A3", "l"]])
    assert await read_real(world, dataset) == {1: ["A1", "s"], 2: ["A2", "m"]}


async def test_a_made_up_cell_reads_as_empty_until_a_person_approves_it(world: World) -> None:
    dataset = await make(world, [{"code": "A1"}, {"code": "A2", "size": "m"}])
    columns = await world.columns(dataset)
    write = CellWrite(1, columns[1].column_no, "s", metadata=MADE_UP)
    async with world.database.transaction() as tx:
        await service.write_cells(tx, dataset, columns, [write], Writer("task", TASK))
    assert await read_real(world, dataset) == {1: ["A1", None], 2: ["A2", "m"]}
    approved = CellWrite(1, columns[1].column_no, "s", metadata={**MADE_UP, "approved": True})
    async with world.database.transaction() as tx:
        await service.write_cells(tx, dataset, columns, [approved], Writer("task", TASK))
    assert (await read_real(world, dataset))[1] == ["A1", "s"]


async def test_the_last_rows_are_always_followed_for_counters_go_on_from_there(
    world: World,
) -> None:
    dataset = await make(world, [{"code": f"A{n}"} for n in range(1, 301)])
    found = await read_real(world, dataset, 150)
    assert len(found) == 150
    assert set(range(201, 301)) <= found.keys()
    assert await read_real(world, dataset, 150) == found


async def test_a_key_is_taken_when_another_row_has_it_but_not_by_the_task_s_own_rows(
    world: World,
) -> None:
    dataset = await make(world, [{"code": "A1", "size": "s"}])
    columns = await world.columns(dataset)
    rows = [("A1", "x"), ("A2", "x"), (None, "s"), ("A3", None)]
    await add_made_up(world, dataset, [["A2", "x"]])

    async def ask(task: Any) -> set[int]:
        async with world.database.transaction() as tx:
            return await service.find_taken(
                tx, dataset, columns, rows, keys=[columns[0]], task_id=task
            )

    assert await ask(TASK) == {0}
    assert await ask(new_uuid7()) == {0, 1}


async def test_in_a_large_dataset_whole_rows_are_compared_empty_cells_and_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmill.datasets.generating._WHOLE_ROWS_OVER", 1)
    dataset = await make(world, [{"code": "A1", "size": "s"}, {"size": "m"}])
    await add_made_up(world, dataset, [["A9", "z"]])
    columns = await world.columns(dataset)
    rows = [("A1", "s"), ("A1", "m"), (None, "m"), ("A9", "z"), ("", "m")]
    async with world.database.transaction() as tx:
        found = await service.find_taken(tx, dataset, columns, rows, keys=[], task_id=TASK)
    assert found == {0, 2, 4}


async def test_rows_of_a_source_are_read_as_the_dataset_s_columns_ask(world: World) -> None:
    dataset = await world.create(
        type=DatasetType.GENERATION,
        columns=[column("size", data_type=DataType.INTEGER), column("other")],
    )
    table = {"name": DataType.TEXT, "size": DataType.TEXT}
    source = await world.add_source(table, [["a", "1,234"], ["b", "many"], ["c", None]])
    columns = await world.columns(dataset)
    async with world.database.transaction() as tx:
        found = await service.read_source_rows(tx, dataset, columns, source, 100)
        none = await service.read_source_rows(tx, dataset, columns, new_uuid7(), 100)
        few = await service.read_source_rows(tx, dataset, columns, source, 2)
    assert [list(one.row.values.values()) for one in found] == [
        ["1234", None],
        [None] * 2,
        [None] * 2,
    ]
    assert none == []
    assert [one.row.row_no for one in few] == [1, 3]


async def test_rows_from_must_name_a_table_of_the_workspace(world: World) -> None:
    document = await world.add_source({"text": DataType.TEXT}, [], content_type="text/plain")

    async def create(named: str) -> None:
        new = service.NewDataset(DatasetType.GENERATION, "a set", config={"rowsFrom": named})
        async with world.database.transaction() as tx:
            await service.create_dataset(tx, world.jobs, world.principal, new)

    with pytest.raises(DatasourceNotFound):
        await create(str(new_uuid7()))
    with pytest.raises(ValidationFailed):
        await create(str(document))
    dataset = await world.create(type=DatasetType.GENERATION)
    with pytest.raises(DatasourceNotFound):
        async with world.database.transaction() as tx:
            fields = {"config": {"rowsFrom": "nonsense"}}
            await service.update_dataset(tx, world.principal, dataset, fields)
    assert {c.task_type for c in await world.columns(dataset)} <= {TaskType.GENERATION}
