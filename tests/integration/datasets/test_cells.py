import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from gridmill.datasets import service
from gridmill.datasets.errors import CellNotFound, DatasetLocked
from gridmill.datasets.model import CellWrite, Dataset, HistoryEntry, TaskType, Writer
from gridmill.kit.errors import InvalidFilter, InvalidSelection, ValidationFailed
from gridmill.kit.ids import encode_cell, encode_column, encode_row, new_uuid7
from gridmill.kit.pages import PageQuery
from gridmill.kit.values import DataType
from tests.integration.datasets.conftest import World, column

TABLE = {"name": DataType.TEXT, "size": DataType.INTEGER}
ROWS: list[list[str | None]] = [["ada", "1"], ["bob", None], ["cyd", "3"]]


def answer(task: UUID, status: str = "ok", **more: Any) -> dict[str, Any]:
    return {"status": status, "confidence": 0.5, "taskId": str(task)} | more


async def make(world: World) -> tuple[Dataset, UUID]:
    source = await world.add_source(TABLE, ROWS)
    dataset = await world.create(columns=[column("kind", prompt="{{name}}")], sources=[source])
    return dataset, source


async def write(world: World, dataset: Dataset, writes: Sequence[CellWrite], writer: Writer) -> int:
    async with world.database.transaction() as tx:
        columns = await service.list_columns(tx, dataset)
        return await service.write_cells(tx, dataset, columns, writes, writer)


async def history(
    world: World, dataset: Dataset, row_no: int, column_no: int
) -> list[HistoryEntry]:
    async with world.database.transaction() as tx:
        row, target = await service.get_cell(
            tx, dataset, encode_cell(dataset.key, row_no, column_no)
        )
        found, pagination = await service.list_history(tx, dataset, row, target, PageQuery(1, 50))
        assert pagination.total == len(found)
        for limit in (1, 2, 3):
            walked: list[HistoryEntry] = []
            for page in range(1, len(found) // limit + 3):
                part, told = await service.list_history(
                    tx, dataset, row, target, PageQuery(page, limit)
                )
                assert (told.total, len(part) <= limit) == (len(found), True)
                walked += part
            assert walked == found
        return found


def told(entries: Sequence[HistoryEntry]) -> list[tuple[str | None, str, UUID | None]]:
    return [(entry.value, entry.writer.kind, entry.writer.id) for entry in entries]


# columns of `make`, in the order of their numbers: kind 1, name 2, size 3
KIND, NAME, SIZE = 1, 2, 3


async def edit(world: World, dataset: Dataset, row_no: int, column_no: int, value: Any) -> None:
    async with world.database.transaction() as tx:
        cell = encode_cell(dataset.key, row_no, column_no)
        row, target = await service.edit_cell(tx, world.principal, dataset, cell, value)
        assert (row.row_no, target.column_no, dict(row.metadata)) == (row_no, column_no, {})


async def test_a_cell_keeps_its_history_down_to_the_import(world: World) -> None:
    dataset, source = await make(world)
    task, me = new_uuid7(), world.principal.key_id
    await edit(world, dataset, 1, NAME, "Ada")
    await write(
        world,
        dataset,
        [CellWrite(1, NAME, "ADA", metadata=answer(task)), CellWrite(1, KIND, "person")],
        Writer("task", task, 0),
    )
    await write(
        world,
        dataset,
        [CellWrite(1, NAME, None, keep_value=True, metadata=answer(task, "error"))],
        Writer("task", task, 1),
    )
    entries = await history(world, dataset, 1, NAME)
    assert told(entries) == [
        ("ADA", "task", task),
        ("ADA", "task", task),
        ("Ada", "user", me),
        ("ada", "import", source),
    ]
    assert [entry.metadata and entry.metadata["status"] for entry in entries] == [
        "error",
        "ok",
        None,
        None,
    ]
    assert told(await history(world, dataset, 2, NAME)) == [("bob", "import", source)]
    assert told(await history(world, dataset, 2, SIZE)) == []
    assert told(await history(world, dataset, 1, KIND)) == [("person", "task", task)]


async def test_a_reset_column_is_empty_and_its_history_stays(world: World) -> None:
    dataset, source = await make(world)
    task, me = new_uuid7(), world.principal.key_id
    await write(
        world, dataset, [CellWrite(2, NAME, "Bob", metadata=answer(task))], Writer("task", task, 0)
    )
    async with world.database.transaction() as tx:
        column_id = encode_column(dataset.key, NAME)
        changed = await service.reset_task_type(
            tx, world.principal, dataset, column_id, task_type=TaskType.NONE
        )
        assert (changed.column_no, changed.task_type) == (NAME, TaskType.NONE)
    assert [values[0] for values in (await world.values(dataset)).values()] == [None] * 3
    await edit(world, dataset, 2, NAME, "Robert")
    assert told(await history(world, dataset, 2, NAME)) == [
        ("Robert", "user", me),
        (None, "user", me),
        ("Bob", "task", task),
        ("bob", "import", source),
    ]
    assert told(await history(world, dataset, 1, NAME)) == [
        (None, "user", me),
        ("ada", "import", source),
    ]
    async with world.database.transaction() as tx:
        reverted = await service.revert_task(tx, world.principal, dataset, task)
    assert (reverted.cells, reverted.cells_left) == (0, 1)


async def test_an_edit_is_typed_and_resets_the_metadata(world: World) -> None:
    dataset, _ = await make(world)
    task = new_uuid7()
    await write(
        world, dataset, [CellWrite(1, SIZE, "7", metadata=answer(task))], Writer("task", task, 0)
    )
    for value in ("100", 1.5, True, [1]):
        with pytest.raises(ValidationFailed):
            await edit(world, dataset, 1, SIZE, value)
    await edit(world, dataset, 1, SIZE, 8)
    await edit(world, dataset, 1, NAME, None)
    async with world.database.transaction() as tx:
        row, _ = await service.get_cell(tx, dataset, encode_cell(dataset.key, 1, SIZE))
        assert (row.values, row.metadata) == ({SIZE: "8"}, {})
        for bad in (
            encode_cell(dataset.key, 4, SIZE),
            encode_cell(dataset.key, 1, 9),
            encode_cell("0" * 12, 1, SIZE),
            "x",
        ):
            with pytest.raises(CellNotFound):
                await service.get_cell(tx, dataset, bad)


async def test_review_settles_what_waits_and_nothing_else(world: World) -> None:
    dataset, _ = await make(world)
    task, other = new_uuid7(), new_uuid7()
    writes = [
        CellWrite(1, NAME, "A", metadata=answer(task, "needs_review")),
        CellWrite(2, NAME, "B", metadata=answer(task, "needs_review")),
        CellWrite(3, NAME, "C", metadata=answer(task, "ok")),
        CellWrite(1, SIZE, "9", metadata=answer(task, "needs_review")),
    ]
    await write(world, dataset, writes, Writer("task", task, 0))

    async def review(action: Any, **which: Any) -> int:
        async with world.database.transaction() as tx:
            return await service.review_cells(tx, world.principal, dataset, action, **which)

    for which in (
        {},
        {"task_id": task, "column_ids": ["x"]},
        {"cell_ids": []},
        {"cell_ids": [encode_cell(dataset.key, 9, NAME)]},
        {"column_ids": [encode_column(dataset.key, 9)]},
    ):
        with pytest.raises(InvalidSelection):
            await review("approve", **which)
    assert await review("approve", task_id=other) == 0
    cell = encode_cell(dataset.key, 1, NAME)
    assert await review("approve", cell_ids=[cell, encode_cell(dataset.key, 3, NAME)]) == 1
    assert await review("approve", cell_ids=[cell]) == 0
    assert await review("reject", column_ids=[encode_column(dataset.key, NAME)]) == 1
    assert await review("reject", task_id=task) == 1
    values = await world.values(dataset)
    assert values == {1: ["A", "1", None], 2: ["bob", None, None], 3: ["C", "3", None]}
    async with world.database.transaction() as tx:
        row, _ = await service.get_cell(tx, dataset, cell)
        assert row.metadata[NAME]["status"] == "ok"
        rejected, _ = await service.get_cell(tx, dataset, encode_cell(dataset.key, 2, NAME))
        assert rejected.metadata == {}
        columns = await service.list_columns(tx, dataset)
        names = [one for one in columns if one.column_no == NAME]
        learnt = await service.read_filled(tx, dataset, columns, names, limit=10)
        assert [one.row.row_no for one in learnt if NAME in one.vouched] == [1]


async def test_reverting_a_task_puts_back_what_nobody_touched_since(world: World) -> None:
    dataset, _ = await make(world)
    before, task = new_uuid7(), new_uuid7()
    earlier = answer(before, confidence=0.9)
    await write(
        world, dataset, [CellWrite(1, KIND, "first", metadata=earlier)], Writer("task", before, 0)
    )
    writes = [
        CellWrite(n, c, f"new{n}{c}", metadata=answer(task))
        for n in (1, 2, 3)
        for c in (KIND, NAME)
    ]
    await write(world, dataset, writes, Writer("task", task, 0))
    await edit(world, dataset, 3, NAME, "mine")
    async with world.database.transaction() as tx:
        columns = await service.list_columns(tx, dataset)
        source = await world.add_source(TABLE, [["new", "5"]])
        dataset = await service.update_dataset(tx, world.principal, dataset, {}, [str(source)])
        writer = Writer("task", task)
        assert await service.take_new_records(tx, dataset, columns, 5, writer) == [(4, 4)]
    await write(
        world, dataset, [CellWrite(4, KIND, "k", metadata=answer(task))], Writer("task", task, 1)
    )
    async with world.database.transaction() as tx:
        reverted = await service.revert_task(tx, world.principal, dataset, task)
    assert (reverted.cells, reverted.rows, reverted.cells_left) == (5, 1, 1)
    assert await world.values(dataset) == {
        1: ["ada", "1", "first"],
        2: ["bob", None, None],
        3: ["mine", "3", None],
    }
    async with world.database.transaction() as tx:
        row, _ = await service.get_cell(tx, dataset, encode_cell(dataset.key, 1, KIND))
        assert row.metadata[KIND] == earlier
        again = await service.revert_task(tx, world.principal, dataset, task)
        assert (again.cells, again.rows) == (0, 0)
    assert (await world.reload(dataset)).row_count == 3


async def test_a_plan_counts_cells_in_batches_of_rows(world: World) -> None:
    dataset = await world.create(columns=[column("a"), column("b")])
    await world.insert(dataset, [{"a": "x" if n % 3 else None, "b": " "} for n in range(10)])
    async with world.database.transaction() as tx:
        await service.delete_rows(tx, dataset, [encode_row(dataset.key, 5)])
        columns = await service.list_columns(tx, dataset)

        async def plan(**options: Any) -> tuple[list[tuple[int, int, int, int]], int, int]:
            found = await service.plan_rows(tx, dataset, columns, **options)
            return (
                [(b.first_row, b.last_row, b.rows, b.cells) for b in found.batches],
                found.cells,
                found.filled,
            )

        # rows 1, 4, 7, 10 have both cells empty, the others b alone (blank counts as empty)
        assert await plan(only_empty=True, batch_size=4) == (
            [(1, 4, 4, 6), (6, 9, 4, 5), (10, 10, 1, 2)],
            13,
            5,
        )
        assert await plan(only_empty=False, batch_size=100) == ([(1, 10, 9, 18)], 18, 0)
        cells = [(2, 1), (2, 1), (4, 1), (4, 2), (5, 1)]
        assert await plan(only_empty=True, batch_size=9, cells=cells) == ([(4, 4, 1, 2)], 2, 1)
        assert await plan(only_empty=True, batch_size=9, row_nos=[2, 2, 5]) == (
            [(2, 2, 1, 1)],
            1,
            1,
        )
        assert (await service.plan_rows(tx, dataset, [], only_empty=True, batch_size=5)).cells == 0
        one = await service.plan_rows(
            tx, dataset, columns[:1], only_empty=True, batch_size=5, row_nos=[2]
        )
        assert (list(one.batches), one.cells, one.filled) == ([], 0, 1)


async def test_learning_never_reads_a_models_own_answer(world: World) -> None:
    dataset, _ = await make(world)
    task = new_uuid7()
    await write(
        world, dataset, [CellWrite(1, NAME, "X", metadata=answer(task))], Writer("task", task, 0)
    )
    (inserted,) = await world.insert(dataset, [{"name": "dee"}])
    await edit(world, dataset, 3, NAME, "Cyd")
    async with world.database.transaction() as tx:
        columns = await service.list_columns(tx, dataset)
        names = [one for one in columns if one.column_no == NAME]
        found = await service.read_filled(tx, dataset, columns, names, limit=10)
        by_row = {one.row.row_no: one for one in found}
        assert set(by_row) == {2, 3, inserted}
        assert [set(by_row[n].vouched) for n in (2, 3, inserted)] == [set(), {NAME}, {NAME}]
        assert len(await service.read_filled(tx, dataset, columns, names, limit=2)) == 2


async def test_writers_and_editors_at_once_leave_a_gapless_history(world: World) -> None:
    dataset = await world.create(columns=[column("a")])
    await world.insert(dataset, [{"a": "0"}] * 20)
    task = new_uuid7()

    async def run(number: int) -> None:
        writes = [CellWrite(n, 1, f"t{number}", metadata=answer(task)) for n in range(1, 21)]
        await write(world, dataset, writes, Writer("task", task, number))

    await asyncio.gather(
        *(run(number) for number in range(5)),
        *(edit(world, dataset, n, 1, f"e{n}") for n in range(1, 21)),
    )
    for n in (1, 7, 20):
        entries = await history(world, dataset, n, 1)
        assert len(entries) == 7
        assert entries[-1].value == "0"
        assert entries[0].value == (await world.values(dataset))[n][0]


async def test_the_data_page_sorts_filters_and_chooses(world: World) -> None:
    dataset, _ = await make(world)
    task = new_uuid7()
    await write(
        world,
        dataset,
        [CellWrite(2, KIND, "k", metadata=answer(task, "needs_review"))],
        Writer("task", task, 0),
    )

    async def read(**options: Any) -> list[int]:
        async with world.database.transaction() as tx:
            page = await service.read_data(
                tx, dataset, PageQuery(1, 10), service.DataView(**options)
            )
            return [row.row_no for row in page.rows]

    assert await read() == [1, 2, 3]
    assert await read(sort="size", descending=True) == [3, 1, 2]
    assert await read(sort=encode_column(dataset.key, NAME), descending=True) == [3, 2, 1]
    assert await read(filter="size is empty or name = 'cyd'") == [2, 3]
    assert await read(status="needs_review") == [2]
    assert await read(status="needs_review", column_ids=[encode_column(dataset.key, NAME)]) == []
    with pytest.raises(ValidationFailed):
        await read(sort="k1; DROP TABLE grids")
    with pytest.raises(InvalidFilter):
        await read(filter="k1 = 'a'")
    with pytest.raises(InvalidSelection):
        await read(column_ids=[""])


async def test_a_locked_dataset_refuses_every_edit(world: World) -> None:
    dataset, _ = await make(world)
    task = new_uuid7()
    async with world.database.transaction() as tx:
        await service.lock_for_task(tx, dataset, task)
    cell, col = encode_cell(dataset.key, 1, NAME), encode_column(dataset.key, NAME)
    me, db = world.principal, world.database
    edits = [
        lambda tx: service.edit_cell(tx, me, dataset, cell, "x"),
        lambda tx: service.insert_rows(tx, me, dataset, [{}], world.limits),
        lambda tx: service.delete_row(tx, dataset, encode_row(dataset.key, 1)),
        lambda tx: service.delete_rows(tx, dataset, [encode_row(dataset.key, 1)]),
        lambda tx: service.add_column(tx, me, dataset, column("z")),
        lambda tx: service.update_column(tx, me, dataset, col, name="zz", metadata={}),
        lambda tx: service.reset_task_type(tx, me, dataset, col, task_type=TaskType.NONE),
        lambda tx: service.update_dataset(tx, me, dataset, {"name": "n"}),
        lambda tx: service.delete_dataset(tx, world.jobs, dataset),
        lambda tx: service.review_cells(tx, me, dataset, "approve", cell_ids=[cell]),
        lambda tx: service.revert_task(tx, me, dataset, task),
        lambda tx: service.lock_for_task(tx, dataset, new_uuid7()),
    ]
    for attempt in edits:
        with pytest.raises(DatasetLocked) as caught:
            async with db.transaction() as tx:
                await attempt(tx)
        assert caught.value.details == {"taskId": str(task)}
    async with db.transaction() as tx:  # reads go on
        await service.read_data(tx, dataset, PageQuery(1, 10), service.DataView())
        await service.create_export(
            tx,
            dataset,
            file_format="csv",
            column_ids=None,
            filter_text=None,
            include_metadata=False,
            expires_in=60,
        )
        await service.unlock_after_task(tx, dataset.dataset_id, task)
