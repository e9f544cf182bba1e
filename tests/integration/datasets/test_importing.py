"""What an import makes of texts when a column was declared."""

import pytest

from gridmill.datasets import service
from gridmill.datasets.model import DatasetLimits, DatasetStatus, NewColumn
from gridmill.engine.port import Retry
from gridmill.kit.pages import PageQuery
from gridmill.kit.values import DataType
from gridmill.storage.quotas import hold_quota
from tests.integration.datasets.conftest import World, column


async def test_declared_types_read_what_is_clear_and_refuse_the_rest(world: World) -> None:
    texts = {"when": DataType.TEXT, "price": DataType.TEXT}
    source = await world.add_source(texts, [["5 March 2024", "1,234"], [None, " "]])
    declared = [column("when", DataType.DATE), column("price", DataType.INTEGER)]
    dataset = await world.create(columns=declared, sources=[source])
    assert await world.values(dataset) == {1: ["2024-03-05", "1234"], 2: [None, " "]}
    bad = await world.add_source(texts, [["2024-03-05", "1"], ["2024-03-05", "n/a"]])
    failed = await world.create(columns=declared, sources=[bad])
    assert failed.status is DatasetStatus.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "VALUE_MISMATCH"
    assert "record 2" in failed.error["message"]
    assert "'n/a'" in failed.error["message"]
    assert failed.row_count == 0


@pytest.mark.parametrize(
    ("declared", "texts", "reason"),
    [
        (column("price", DataType.INTEGER, minimum=2), ["2", "1"], "under the minimum of 2"),
        (column("price", DataType.NUMBER, maximum=2.5), ["2", "3"], "over the maximum of 2.5"),
        (column("price", DataType.TEXT, pattern="[0-9]"), ["2", "10"], "not match the pattern"),
        (column("price", DataType.ENUM, options=["2", "3"]), ["2", "4"], "none of the options"),
    ],
)
async def test_an_import_holds_values_against_all_that_was_declared(
    world: World, declared: NewColumn, texts: list[str], reason: str
) -> None:
    numbers = {"price": DataType.INTEGER}
    good = await world.add_source(numbers, [[texts[0]], [None]])
    dataset = await world.create(columns=[declared], sources=[good])
    assert await world.values(dataset) == {1: [texts[0]], 2: [None]}
    bad = await world.add_source(numbers, [[text] for text in texts])
    failed = await world.create(columns=[declared], sources=[bad])
    assert failed.error is not None
    assert failed.error["code"] == "VALUE_MISMATCH"
    assert f"record 2, column 'price': '{texts[1]}'" in failed.error["message"]
    assert reason in failed.error["message"]
    assert failed.row_count == 0


async def test_an_import_comes_back_later_while_another_write_is_held_against_the_quota(
    world: World,
) -> None:
    world.limits = DatasetLimits(rows=5_000)
    source = await world.add_source({"a": DataType.TEXT}, [["x"]] * 2_001)
    dataset = await world.create(sources=[source], run=False)
    waiting = list(world.jobs.waiting)
    async with world.database.transaction() as tx:
        await hold_quota(tx, "rows", world.principal.workspace_id)
        with pytest.raises(Retry):
            await world.run_jobs()
        assert (await world.reload(dataset)).status is DatasetStatus.PROCESSING
    world.jobs.waiting = waiting
    await world.run_jobs()
    done = await world.reload(dataset)
    assert (done.status, done.row_count) == (DatasetStatus.COMPLETED, 2_001)


async def test_a_declared_number_keeps_digits_that_no_double_has_and_compares_by_size(
    world: World,
) -> None:
    texts = ["0.12345678901234567891", "12345678901234567.89", "2.5", "0.1234567890123456789"]
    source = await world.add_source({"n": DataType.TEXT}, [[text] for text in texts])
    dataset = await world.create(columns=[column("n", DataType.NUMBER)], sources=[source])
    assert await world.values(dataset) == {no: [text] for no, text in enumerate(texts, 1)}
    async with world.database.transaction() as tx:
        ordered = await service.read_data(tx, dataset, PageQuery(1, 9), service.DataView(sort="n"))
        view = service.DataView(filter="n > 0.12345678901234567890 and n < 12345678901234567.9")
        between = await service.read_data(tx, dataset, PageQuery(1, 9), view)
    assert [row.row_no for row in ordered.rows] == [4, 1, 3, 2]
    assert [row.row_no for row in between.rows] == [1, 2, 3]
