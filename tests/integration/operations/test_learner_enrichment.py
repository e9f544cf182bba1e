"""Enrichment without a model: the worker process learns, the cells say from which rows."""

import random
from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

import pytest
import pytest_asyncio

from gridmill.kit.processes import ProcessPool
from gridmill.kit.values import DataType
from gridmill.operations.enrichment.service import Enrichment
from gridmill.operations.model import CellStatus, ExampleRow
from tests.support.enriching import batch_of, column, rows_of

pytestmark = pytest.mark.integration

COLUMNS = [
    column(1, "City"),
    column(2, "Country", "In which country is {{City}}?"),
    column(3, "Language", "What is spoken in {{Country}}?"),
    column(4, "Story", "Tell something about {{City}}."),
]
PLACES = {
    "Oulu": ("Finland", "Finnish"),
    "Malmö": ("Sweden", "Swedish"),
    "Bergen": ("Norway", "Norwegian"),
}


def make_training(count: int = 60) -> list[ExampleRow]:
    chance = random.Random(1)
    rows: list[ExampleRow] = []
    for number in range(1, count + 1):
        city = chance.choice(list(PLACES))
        country, language = PLACES[city]
        values = {"City": city, "Country": country, "Language": language, "Story": None}
        rows.append(ExampleRow(number, f"k{number}", values))
    return rows


@pytest_asyncio.fixture
async def pool() -> AsyncGenerator[ProcessPool]:
    processes = ProcessPool(memory_bytes=4 * 2**30)
    yield processes
    await processes.close()


async def test_columns_are_learnt_one_after_the_other_and_name_their_rows(
    pool: ProcessPool,
) -> None:
    training = make_training()
    rows = rows_of([{"City": "Oulu"}, {"City": "Bergen"}], [2, 3])
    outcome = await Enrichment(None, pool).run(batch_of(COLUMNS, rows, training=training))
    found = {(cell.row_no, cell.column_no): cell for cell in outcome.cells}
    assert {key: cell.value for key, cell in found.items()} == {
        (1, 2): "Finland",
        (1, 3): "Finnish",
        (2, 2): "Norway",
        (2, 3): "Norwegian",
    }
    assert all(cell.status is CellStatus.OK for cell in outcome.cells)
    by_id = {row.row_id: row for row in training}
    source, record = found[1, 2].sources
    assert source["kind"] == "dataset"
    assert record["kind"] == "knowledge"
    [language] = found[1, 3].sources
    assert language["kind"] == "dataset"
    assert 0 < len(source["rowIds"]) <= 5
    assert {by_id[row_id].values["City"] for row_id in source["rowIds"]} == {"Oulu"}
    assert outcome.usage.requests == 0


async def test_a_column_with_nothing_to_learn_from_asks_for_a_model(pool: ProcessPool) -> None:
    batch = batch_of(COLUMNS, rows_of([{"City": "Oulu"}], [4]), training=make_training())
    [cell] = (await Enrichment(None, pool).run(batch)).cells
    assert cell.status is CellStatus.ERROR
    assert cell.error is not None
    assert cell.error.code == "MODEL_REQUIRED"
    assert "Configure a model" in cell.error.message


async def test_a_named_model_that_is_not_there_is_said_so(pool: ProcessPool) -> None:
    batch = batch_of(COLUMNS, rows_of([{"City": "Oulu"}], [2]), model="openai/gpt")
    [cell] = (await Enrichment(None, pool).run(batch)).cells
    assert cell.error is not None
    assert cell.error.code == "MODEL_REQUIRED"
    assert "openai/gpt" in cell.error.message


async def test_training_rows_are_loaded_once_a_task_and_again_after_the_process_died(
    pool: ProcessPool,
) -> None:
    loads = 0
    training = make_training()

    async def load() -> Sequence[ExampleRow]:
        nonlocal loads
        loads += 1
        return training

    enrichment = Enrichment(None, pool)
    batch = batch_of(COLUMNS, rows_of([{"City": "Oulu"}], [2, 3]))
    object.__setattr__(batch, "load_training", load)
    await enrichment.run(batch)
    again = await enrichment.run(batch)
    assert loads == 1
    await pool.close()
    fresh = ProcessPool()
    repeated = await Enrichment(None, fresh).run(batch)
    await fresh.close()
    assert loads == 2
    assert repeated == again


async def test_columns_are_fitted_in_several_processes_from_rows_that_are_loaded_once(
    pool: ProcessPool,
) -> None:
    columns = [column(1, "City"), *(column(n, f"Copy {n}") for n in range(2, 8))]
    training = [
        ExampleRow(row.row_no, row.row_id, {c.name: row.values["City"] for c in columns})
        for row in make_training(30)
    ]
    targets = list(range(2, 8))
    loads = 0

    async def load() -> Sequence[ExampleRow]:
        nonlocal loads
        loads += 1
        return training

    batch = batch_of(columns, rows_of([{"City": "Oulu"}, {"City": "Bergen"}], targets))
    object.__setattr__(batch, "load_training", load)
    several = ProcessPool(3, memory_bytes=4 * 2**30)
    try:
        found = await Enrichment(None, several).run(batch)
        children = several.list_children()
        assert len(children) == 3
        assert loads == 1
        again = await Enrichment(None, several).run(batch)
        assert several.list_children() == children
        assert loads == 1  # every fit is still held by the child that made it
    finally:
        await several.close()
    assert found == again == await Enrichment(None, pool).run(batch)
    assert {cell.value for cell in found.cells} == {"Oulu", "Bergen"}


async def test_no_rows_and_no_columns_are_no_trouble(pool: ProcessPool) -> None:
    enrichment = Enrichment(None, pool)
    assert (await enrichment.run(batch_of(COLUMNS, []))).cells == []
    empty = batch_of(COLUMNS, rows_of([{}], [2]), training=[])
    [cell] = (await enrichment.run(empty)).cells
    assert cell.error is not None
    assert cell.error.code == "MODEL_REQUIRED"


async def test_odd_texts_and_types_never_break_a_batch(pool: ProcessPool) -> None:
    odd = ["", " ", "\u2028", "🧪" * 40, "NaN", "1e999", "-0", "a\tb\nc", "٣", "x" * 100_000, "{}"]
    columns = [column(1, "A"), *(column(n, t.value, None, t) for n, t in enumerate(DataType, 2))]
    chance = random.Random(3)
    training = [
        ExampleRow(n, f"k{n}", {c.name: chance.choice([*odd, None]) for c in columns})
        for n in range(24)
    ]
    targets = [c.number for c in columns]
    rows = rows_of([{c.name: chance.choice(odd) for c in columns} for _ in range(5)], targets)
    batch = batch_of(columns, rows, training=training, task=UUID(int=9))
    outcome = await Enrichment(None, pool).run(batch)
    assert len(outcome.cells) == 5 * len(columns)
