"""Learners on tables at the edge of what there is: nearly empty, very wide, very long, in any script."""

import random
from collections.abc import Sequence
from uuid import UUID

import pytest

from gridmill.kit.processes import ProcessPool
from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.enrichment import learning
from gridmill.operations.enrichment.asking import RowState
from gridmill.operations.enrichment.learners import memory
from gridmill.operations.enrichment.learners.exchange import Answer, Question, Row, Table, Target
from gridmill.operations.enrichment.learning import LearnerFiller
from gridmill.operations.model import Batch, ColumnSpec, ExampleRow, RowInput

pytestmark = pytest.mark.unit


def ask(
    name: str, rows: Sequence[Row], new: Sequence[Row], rules: ValueRules | None = None
) -> Answer:
    """What a worker process answers for `new`; the target is the last column."""
    columns = tuple(f"c{number}" for number in range(len(rows[0])))
    table = Table(columns, tuple(f"k{n}" for n in range(len(rows))), tuple(rows))
    target = Target(columns[-1], rules or ValueRules(), columns[-1])
    ids = tuple(f"new{n}" for n in range(len(new)))
    return memory.answer(Question(f"bounds {name}", 0, target, ids, tuple(new)), table)


@pytest.mark.parametrize("data_type", [DataType.TEXT, DataType.INTEGER, DataType.NUMBER])
def test_two_rows_promise_nothing(data_type: DataType) -> None:
    found = ask(f"two {data_type}", [("x", "1"), ("y", "2")], [("z", None)], ValueRules(data_type))
    assert all(said.value is None or said.confidence < 0.5 for said in found.predictions)


def test_a_column_of_one_class_is_filled_with_it() -> None:
    found = ask("one class", [(f"x{n}", "same") for n in range(200)], [("new", None)])
    assert [said.value for said in found.predictions] == ["same"]
    assert 0.9 < found.predictions[0].confidence < 1.0


def test_a_column_without_a_filled_row_says_so() -> None:
    found = ask("nothing", [("x", None)] * 20, [("x", None)])
    assert found.reason is not None
    assert "no filled rows" in found.reason


def test_rows_without_any_other_value_are_not_guessed() -> None:
    chance = random.Random(1)
    rows: list[Row] = [(None, chance.choice("pqrs")) for _ in range(50)]
    assert ask("all empty", rows, [(None, None)]).predictions[0].value is None


def test_five_thousand_classes_that_hardly_repeat_say_why_they_are_left() -> None:
    rows: list[Row] = [(f"thing {n}", f"class {n}") for n in range(5_000)]
    found = ask("classes", rows, [("other", None)])
    assert found.reason is not None
    assert "hardly repeat" in found.reason


def test_five_thousand_classes_are_looked_up_where_a_column_tells_them() -> None:
    chance = random.Random(2)
    rows: list[Row] = [(f"code {n % 2_500}", f"class {n % 2_500}") for n in range(5_000)]
    chance.shuffle(rows)
    found = ask("codes", rows, [(f"code {n}", None) for n in range(40)])
    right = [said.value == f"class {n}" for n, said in enumerate(found.predictions)]
    assert sum(right) >= 38


@pytest.mark.parametrize("word", ["word ", "漢字かな", "مرحبا ", "🙂‍↔️", "e\u0301"])
def test_long_texts_of_any_script_are_read_in_part(word: str) -> None:
    rows: list[Row] = [(word * 4_000 + str(n), "pq"[n % 2]) for n in range(60)]
    found = ask(f"long {word}", rows, [(word * 4_000, None)] * 5)
    assert len(found.predictions) == 5
    assert all(said.value in {None, "p", "q"} for said in found.predictions)
    assert all(said.confidence < 0.6 for said in found.predictions)


def test_three_hundred_columns_are_learnt_from() -> None:
    chance = random.Random(3)
    rows: list[Row] = [
        (*(f"{chance.choice('abcd')}{chance.randrange(6)}" for _ in range(299)), "")
        for _ in range(400)
    ]
    rows = [(*row[:-1], f"of {row[150]}") for row in rows]
    found = ask("wide", rows, [(*row[:-1], None) for row in rows[:20]])
    assert [said.value for said in found.predictions] == [row[-1] for row in rows[:20]]


def make_batch(loads: list[int]) -> Batch:
    columns = (ColumnSpec(1, "Name", ValueRules()), ColumnSpec(2, "Kind", ValueRules()))

    async def load() -> Sequence[ExampleRow]:
        loads.append(1)
        return [ExampleRow(n, f"k{n}", {"Name": f"x{n % 3}", "Kind": "k"}) for n in range(9)]

    return Batch(
        task_id=UUID(int=1),
        workspace_id=UUID(int=2),
        dataset_name="Things",
        dataset_description=None,
        columns=columns,
        rows=(),
        examples=(),
        load_training=load,
    )


async def test_a_column_that_takes_too_long_stays_empty_and_is_not_tried_by_the_next_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[int] = []
    batch = make_batch(loads)
    pool = ProcessPool()
    filler = LearnerFiller(pool)
    row = RowInput(10, "k10", {"Name": "x1", "Kind": None}, (2,))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(learning, "MAX_SECONDS", 0.001)
            asked = await filler.fill(
                batch, [batch.columns[1]], [RowState(row, dict(row.values), {2})]
            )
        again = await filler.fill(batch, [batch.columns[1]], [RowState(row, dict(row.values), {2})])
        for cell in (*asked.cells, *again.cells):
            assert cell.value is None
            assert cell.error is not None
            assert cell.error.code == "MODEL_REQUIRED"
            assert "more time or memory" in cell.error.message
        assert not loads
        assert not pool.list_children()
    finally:
        await pool.close()
