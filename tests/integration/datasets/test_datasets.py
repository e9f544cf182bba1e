import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gridmill.auth.model import Principal
from gridmill.datasets import service
from gridmill.datasets.errors import (
    ColumnNotFound,
    DatasetLocked,
    DatasetNotFound,
    RowQuotaExceeded,
)
from gridmill.datasets.model import (
    DatasetLimits,
    DatasetStatus,
    DatasetType,
    TaskType,
    Writer,
)
from gridmill.datasources.errors import DatasourceNotFound
from gridmill.engine.port import Retry
from gridmill.kit.errors import InsufficientScope, InvalidSelection, ValidationFailed
from gridmill.kit.ids import encode_column, encode_row, new_uuid7
from gridmill.kit.pages import PageQuery
from gridmill.kit.values import DataType
from gridmill.storage.database import Database
from tests.integration.datasets.conftest import World, column, make_world

TABLE = {"name": DataType.TEXT, "size": DataType.INTEGER}
ROWS = [["ada", "1"], ["bob", "22"], [None, None]]


async def test_a_blank_dataset_is_complete_at_once(world: World) -> None:
    dataset = await world.create(type=DatasetType.BLANK)
    assert dataset.status is DatasetStatus.COMPLETED
    assert (dataset.row_count, dataset.column_count) == (0, 0)
    assert await world.insert(dataset, [{}]) == [1]


async def test_tables_are_imported_in_order_and_matched_by_name(world: World) -> None:
    first = await world.add_source(TABLE, ROWS)
    second = await world.add_source({"size": DataType.INTEGER, "city": DataType.TEXT}, [["3", "x"]])
    declared = [column("industry", prompt="What does {{name}} do?"), column("size")]
    dataset = await world.create(columns=declared, sources=[first, second])
    assert dataset.status is DatasetStatus.COMPLETED
    columns = await world.columns(dataset)
    assert [one.name for one in columns] == ["name", "size", "city", "industry"]
    assert [one.position for one in columns] == [0, 1, 2, 3]
    assert {one.task_type for one in columns} == {TaskType.ENRICHMENT}
    assert await world.values(dataset) == {
        1: ["ada", "1", None, None],
        2: ["bob", "22", None, None],
        3: [None, None, None, None],
        4: [None, "3", "x", None],
    }


async def test_an_import_waits_for_its_sources_and_runs_once(world: World) -> None:
    source = await world.add_source(TABLE, ROWS, status="processing")
    dataset = await world.create(sources=[source], run=False)
    assert dataset.status is DatasetStatus.PROCESSING
    (job,) = world.jobs.waiting
    with pytest.raises(Retry):
        await world.run_jobs()
    with pytest.raises(DatasetLocked) as caught:
        await world.insert(dataset, [{}])
    assert caught.value.details == {"taskId": None}
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE datasources SET status = 'completed', processed_at = now(), grid_no = "
            "(SELECT max(grid_no) - 1 FROM grids) WHERE datasource_id = %s",
            [source],
        )
    for _ in range(2):
        world.jobs.waiting = [job]
        await world.run_jobs()
    assert (await world.reload(dataset)).row_count == 3


async def test_a_failed_source_fails_the_import_and_says_why(world: World) -> None:
    source = await world.add_source(TABLE, [], status="failed")
    dataset = await world.create(sources=[source])
    assert dataset.status is DatasetStatus.FAILED
    assert dataset.error == {
        "code": "DATASOURCE_FAILED",
        "message": "file.csv could not be read: Line 3 is ragged.",
    }
    assert await world.insert(dataset, [{}]) == [1]


async def test_a_change_of_a_column_writes_just_what_it_changes(world: World) -> None:
    dataset = await world.create(
        columns=[column("a"), column("b", prompt="of {{a}}"), column("c", prompt="of {{b}}")]
    )

    async def read_writers() -> list[str]:
        async with world.database.transaction() as tx:
            cursor = await tx.execute(
                "SELECT xmin::text FROM columns WHERE dataset_id = %s ORDER BY column_no",
                [dataset.dataset_id],
            )
            return [row[0] for row in await cursor.fetchall()]

    async def change(**what: Any) -> list[bool]:
        before = await read_writers()
        async with world.database.transaction() as tx:
            column_id = encode_column(dataset.key, 1)
            await service.update_column(tx, world.principal, dataset, column_id, **what)
        return [old != new for old, new in zip(before, await read_writers(), strict=True)]

    assert await change(metadata={"description": "x"}) == [True, False, False]
    assert await change(name="z") == [True, True, False]
    assert [one.metadata.prompt for one in await world.columns(dataset)][1] == "of {{z}}"


async def test_documents_and_sources_of_other_types_wait(world: World) -> None:
    document = await world.add_source(
        {"page": DataType.INTEGER, "text": DataType.TEXT}, [["1", "x"]], content_type="text/plain"
    )
    table = await world.add_source(TABLE, ROWS)
    assert (await world.create(sources=[document])).row_count == 0
    extraction = await world.create(type=DatasetType.EXTRACTION, sources=[table])
    assert (extraction.status, extraction.row_count) == (DatasetStatus.COMPLETED, 0)


async def test_new_records_are_taken_once_and_do_not_come_back(world: World) -> None:
    source = await world.add_source(TABLE, ROWS)
    dataset = await world.create(columns=[column("name")])
    task = new_uuid7()
    async with world.database.transaction() as tx:
        dataset = await service.update_dataset(tx, world.principal, dataset, {}, [str(source)])
    assert dataset.row_count == 0
    assert dataset.datasource_ids == (source,)
    async with world.database.transaction() as tx:
        columns = await service.list_columns(tx, dataset)
        writer = Writer("task", task)
        assert await service.take_new_records(tx, dataset, columns, 2, writer) == [(1, 2)]
        await service.delete_rows(tx, dataset, [encode_row(dataset.key, 1)])
        assert await service.take_new_records(tx, dataset, columns, 9, writer) == [(3, 3)]
        assert await service.take_new_records(tx, dataset, columns, 9, writer) == []
    assert await world.values(dataset) == {2: ["bob"], 3: [None]}


async def test_other_workspaces_and_bound_keys_see_nothing(world: World) -> None:
    dataset = await world.create()
    other = await make_world(world.database, f"other-{new_uuid7()}")
    bound = replace(world.principal, dataset_ids=frozenset({new_uuid7()}))
    source = await other.add_source(TABLE, ROWS)

    async def get(principal: Principal, text: str) -> None:
        async with world.database.transaction() as tx:
            await service.get_dataset(tx, principal, text)

    for principal, text in (
        (other.principal, str(dataset.dataset_id)),
        (bound, str(dataset.dataset_id)),
        (world.principal, str(dataset.dataset_id).upper()),
        (world.principal, "x"),
        (world.principal, str(new_uuid7())),
    ):
        with pytest.raises(DatasetNotFound):
            await get(principal, text)
    with pytest.raises(DatasourceNotFound):
        await world.create(sources=[source])
    with pytest.raises(DatasourceNotFound):
        await world.create(columns=[column("a", knowledge=[str(source)])])
    with pytest.raises(InsufficientScope):
        await World(world.database, bound).create()
    async with world.database.transaction() as tx:
        found, pagination = await service.list_datasets(tx, bound, PageQuery())
        assert (found, pagination.total) == ([], 0)


async def test_lists_page_filter_and_search(world: World) -> None:
    made = [await world.create() for _ in range(5)]
    async with world.database.transaction() as tx:
        await service.update_dataset(tx, world.principal, made[2], {"name": "Ünder the 100% Tree"})
    async with world.database.transaction() as tx:
        seen: list[str] = []
        query = PageQuery(1, 2)
        while True:
            page, pagination = await service.list_datasets(tx, world.principal, query)
            seen += [str(one.dataset_id) for one in page]
            assert pagination.total == 5
            if pagination.next_cursor is None:
                break
            query = PageQuery(1, 2, pagination.next_cursor)
        assert seen == [str(one.dataset_id) for one in reversed(made)]
        for search, count in (("100% t", 1), ("a set", 4), ("%", 1), ("_", 0), ("ÜNDER", 1)):
            found, _ = await service.list_datasets(tx, world.principal, PageQuery(), search=search)
            assert len(found) == count, search
        blank, _ = await service.list_datasets(
            tx, world.principal, PageQuery(), type=DatasetType.BLANK
        )
        assert blank == []


async def test_columns_must_go_together(world: World) -> None:
    for columns in (
        [column("a"), column("a")],
        [column("a", prompt="{{b}}")],
        [column("a", prompt="{{b}}"), column("b", prompt="{{a}}")],
        [column("a", prompt="{{a}}")],
    ):
        with pytest.raises(ValidationFailed):
            await world.create(columns=columns)
    dataset = await world.create(columns=[column("a"), column("b", prompt="of {{ a }}")])
    async with world.database.transaction() as tx:
        first, second = [
            encode_column(dataset.key, one.column_no)
            for one in await service.list_columns(tx, dataset)
        ]
        for metadata in ({"prompt": "{{b}}"}, {"prompt": "{{nope}}"}):
            with pytest.raises(ValidationFailed):
                await service.update_column(tx, world.principal, dataset, first, metadata=metadata)
        with pytest.raises(ValidationFailed):
            await service.update_column(tx, world.principal, dataset, first, name="b")
        await service.update_column(tx, world.principal, dataset, first, name="c")
        b = (await service.list_columns(tx, dataset))[1]
        assert b.metadata.prompt == "of {{c}}"
        with pytest.raises(ValidationFailed):
            await service.delete_column(tx, dataset, first)
        with pytest.raises(ColumnNotFound):
            await service.delete_column(tx, dataset, "000000000000c1")
        changed = await service.update_column(
            tx, world.principal, dataset, second, name="d", metadata={"prompt": None, "unit": "m"}
        )
        assert (changed.name, changed.metadata.to_json()) == ("d", {"unit": "m"})
        await service.delete_column(tx, dataset, first)
        added = await service.add_column(tx, world.principal, dataset, column("e"))
        assert (added.column_no, added.position) == (3, 2)


async def test_the_301st_column_is_refused(world: World) -> None:
    dataset = await world.create(columns=[column(f"c{i}") for i in range(300)])
    async with world.database.transaction() as tx:
        with pytest.raises(ValidationFailed):
            await service.add_column(tx, world.principal, dataset, column("more"))


async def test_rows_are_checked_against_the_columns(world: World) -> None:
    dataset = await world.create(columns=[column("a"), column("n", DataType.INTEGER)])
    with pytest.raises(ValidationFailed) as caught:
        await world.insert(dataset, [{"a": "x", "n": 1}, {"b": 1}, {"n": "100"}, {"n": 1.5}])
    assert [fault.field for fault in caught.value.fields] == ["rows.1.b", "rows.2.n", "rows.3.n"]
    assert await world.insert(dataset, [{"a": "x", "n": 1}, {"n": None}]) == [1, 2]
    assert await world.values(dataset) == {1: ["x", "1"], 2: [None, None]}
    assert (await world.reload(dataset)).row_count == 2
    world.limits = DatasetLimits(rows=3)
    with pytest.raises(RowQuotaExceeded):
        await world.insert(dataset, [{}, {}])
    assert await world.insert(dataset, [{}]) == [3]


async def test_simultaneous_inserts_do_not_pass_the_quota_of_rows_together(world: World) -> None:
    world.limits = DatasetLimits(rows=5)
    datasets = [await world.create() for _ in range(4)]
    results = await asyncio.gather(
        *(world.insert(dataset, [{}, {}]) for dataset in datasets * 2), return_exceptions=True
    )
    assert len([one for one in results if isinstance(one, RowQuotaExceeded)]) == 6
    assert len([one for one in results if isinstance(one, list)]) == 2


async def test_deleting_rows_names_ids_that_are_not_here(world: World) -> None:
    dataset, other = await world.create(), await world.create()
    await world.insert(dataset, [{}] * 5)
    ids = [encode_row(dataset.key, n) for n in (1, 2, 9)] + [encode_row(other.key, 1), "x" * 300]
    with pytest.raises(InvalidSelection) as caught:
        async with world.database.transaction() as tx:
            await service.delete_rows(tx, dataset, ids)
    assert caught.value.details["ids"] == [encode_row(other.key, 1), "x" * 100, ids[2]]
    async with world.database.transaction() as tx:
        assert await service.delete_rows(tx, dataset, [ids[0], ids[0], ids[1]]) == 2
    assert list(await world.values(dataset)) == [3, 4, 5]


async def test_a_deleted_dataset_leaves_nothing(world: World) -> None:
    source = await world.add_source(TABLE, ROWS)
    dataset = await world.create(columns=[column("t")], sources=[source])
    async with world.database.transaction() as tx:
        (first, *_) = await service.list_columns(tx, dataset)
        column_id = encode_column(dataset.key, first.column_no)
        await service.reset_task_type(
            tx, world.principal, dataset, column_id, task_type=TaskType.NONE
        )
    async with world.database.transaction() as tx:
        await service.delete_dataset(tx, world.jobs, dataset)
    await world.run_jobs()
    async with world.database.transaction() as tx:
        for name in ("dataset_sources", "columns", "column_archives", "dataset_row_origins"):
            cursor = await tx.execute(
                f"SELECT count(*) FROM {name} WHERE dataset_id = %s",
                [dataset.dataset_id],
            )
            assert await cursor.fetchone() == (0,)
        cursor = await tx.execute("SELECT to_regclass(%s)", [f"grid_{dataset.grid_no}"])
        assert await cursor.fetchone() == (None,)


async def test_of_many_tasks_one_gets_the_lock_and_edits_are_refused(
    database: Database,
) -> None:
    world = await make_world(database, "locks")
    dataset = await world.create(columns=[column("a")])
    await world.insert(dataset, [{}])

    async def take() -> str:
        task = new_uuid7()
        try:
            async with database.transaction() as tx:
                await service.lock_for_task(tx, dataset, task)
            return str(task)
        except DatasetLocked:
            return ""

    won = [task for task in await asyncio.gather(*(take() for _ in range(100))) if task]
    assert len(won) == 1
    assert str((await world.reload(dataset)).active_task_id) == won[0]
    for edit in (
        lambda: world.insert(dataset, [{}]),
        lambda: rename(world, dataset.dataset_id),
    ):
        with pytest.raises(DatasetLocked) as caught:
            await edit()
        assert caught.value.details == {"taskId": won[0]}
    async with database.transaction() as tx:
        held = (await world.reload(dataset)).active_task_id
        assert held is not None
        await service.unlock_after_task(tx, dataset.dataset_id, new_uuid7())
        await service.unlock_after_task(tx, dataset.dataset_id, held)
    assert await world.insert(dataset, [{}]) == [2]


async def rename(world: World, dataset_id: object) -> None:
    async with world.database.transaction() as tx:
        dataset = await service.get_dataset(tx, world.principal, str(dataset_id))
        await service.update_dataset(tx, world.principal, dataset, {"name": "x"})


async def test_editors_share_and_a_task_waits_for_them(database: Database) -> None:
    world = await make_world(database, "sharing")
    dataset = await world.create(columns=[column("a")])
    await world.insert(dataset, [{"a": "0"}] * 10)
    task = new_uuid7()
    first, second = database.transaction(), database.transaction()
    async with first as one, second as two:
        await service.lock_for_edit(one, dataset)
        await service.lock_for_edit(two, dataset)

        async def begin() -> None:
            async with database.transaction() as tx:
                await service.lock_for_task(tx, dataset, task)

        waiting = asyncio.create_task(begin())
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        await service.insert_rows(one, world.principal, dataset, [{"a": "1"}], world.limits)
    await waiting
    assert (await world.reload(dataset)).row_count == 11


async def test_concurrent_inserts_and_deletes_keep_the_count_exact(database: Database) -> None:
    world = await make_world(database, "counting")
    dataset = await world.create(columns=[column("a")])

    async def work(number: int) -> int:
        rows = await world.insert(dataset, [{"a": str(number)}] * 20)
        async with database.transaction() as tx:
            return await service.delete_rows(
                tx, dataset, [encode_row(dataset.key, row) for row in rows[::3]]
            )

    gone = sum(await asyncio.gather(*(work(number) for number in range(12))))
    values = await world.values(dataset)
    assert (await world.reload(dataset)).row_count == len(values) == 240 - gone
