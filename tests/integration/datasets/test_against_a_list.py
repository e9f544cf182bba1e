"""A dataset under random work agrees with a plain list of rows."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmill.datasets import service
from gridmill.datasets.model import CellWrite, Dataset, Writer
from gridmill.kit.ids import encode_row, new_uuid7
from gridmill.kit.pages import PageQuery
from gridmill.kit.values import DataType
from gridmill.storage.database import Tx
from tests.integration.datasets.conftest import World, column

TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", "A", "é", "'; --", "%s", "{}"]))
NUMBERS = st.one_of(st.none(), st.integers(-3, 3))
STEPS = st.one_of(
    st.tuples(st.just("insert"), st.lists(st.tuples(TEXTS, NUMBERS), min_size=1, max_size=5)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 30), min_size=1, max_size=4)),
    st.tuples(st.just("write"), st.lists(st.tuples(st.integers(0, 30), TEXTS), max_size=4)),
    st.tuples(st.just("look"), st.tuples(st.booleans(), st.booleans(), st.integers(1, 4))),
)


@dataclass
class Model:
    """Rows by number, and every value that a cell of the first column had."""

    rows: dict[int, list[Any]] = field(default_factory=dict)
    last: int = 0
    past: dict[int, list[str | None]] = field(default_factory=dict)


class Rollback(Exception):
    pass


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, max_size=12))
async def test_random_work_agrees_with_a_list(world: World, steps: list[tuple[str, Any]]) -> None:
    dataset = await world.create(columns=[column("text"), column("n", DataType.INTEGER)])
    model = Model()
    with pytest.raises(Rollback):
        async with world.database.transaction() as tx:
            for kind, what in steps:
                await STEP[kind](tx, world, dataset, model, what)
            await check_history(tx, dataset, model)
            raise Rollback


async def insert(tx: Tx, world: World, dataset: Dataset, model: Model, rows: list[Any]) -> None:
    made = await service.insert_rows(
        tx, world.principal, dataset, [{"text": t, "n": n} for t, n in rows], world.limits
    )
    assert made == list(range(model.last + 1, model.last + 1 + len(rows)))
    for row_no, (text, number) in zip(made, rows, strict=True):
        model.rows[row_no] = [text, number]
        model.past[row_no] = [] if text is None else [text]
    model.last = made[-1]


async def delete(tx: Tx, world: World, dataset: Dataset, model: Model, picks: list[int]) -> None:
    alive = list(model.rows)
    chosen = {alive[pick % len(alive)] for pick in picks} if alive else set[int]()
    if chosen:
        ids = [encode_row(dataset.key, row_no) for row_no in chosen]
        assert await service.delete_rows(tx, dataset, ids) == len(chosen)
    for row_no in chosen:
        del model.rows[row_no]


async def write(tx: Tx, world: World, dataset: Dataset, model: Model, picks: list[Any]) -> None:
    alive = list(model.rows)
    chosen = {alive[pick % len(alive)]: text for pick, text in picks} if alive else {}
    columns = await service.list_columns(tx, dataset)
    writes = [CellWrite(row_no, 1, text) for row_no, text in chosen.items()]
    writer = Writer("task", new_uuid7(), 0)
    assert await service.write_cells(tx, dataset, columns, writes, writer) == len(chosen)
    for row_no, text in chosen.items():
        model.rows[row_no][0] = text
        model.past[row_no].append(text)


async def look(tx: Tx, world: World, dataset: Dataset, model: Model, how: Any) -> None:
    by_number, descending, limit = how
    index = 1 if by_number else 0

    def key(row_no: int) -> Any:
        value = model.rows[row_no][index]
        return value.encode() if isinstance(value, str) else value

    filled = [row_no for row_no in model.rows if model.rows[row_no][index] is not None]
    expected = sorted(filled, key=key, reverse=descending)
    if descending:
        expected = sorted(sorted(filled), key=key, reverse=True)
    expected += [row_no for row_no in model.rows if model.rows[row_no][index] is None]
    view = service.DataView(sort="n" if by_number else "text", descending=descending)
    assert await walk(tx, dataset, view, limit) == expected
    assert await walk(tx, dataset, service.DataView(), limit) == list(model.rows)
    backwards = list(model.rows)[::-1]
    assert await walk(tx, dataset, service.DataView(descending=True), limit) == backwards
    positive = [row_no for row_no, (_, n) in model.rows.items() if n is not None and n > 0]
    assert await walk(tx, dataset, service.DataView(filter="n > 0"), limit) == positive
    turned = service.DataView(filter="n > 0", descending=True)
    assert await walk(tx, dataset, turned, limit) == positive[::-1]


async def walk(tx: Tx, dataset: Dataset, view: service.DataView, limit: int) -> list[int]:
    by_cursor: list[int] = []
    by_page: list[int] = []
    query, number = PageQuery(1, limit), 1
    while True:
        page = await service.read_data(tx, dataset, query, view)
        by_cursor += [row.row_no for row in page.rows]
        numbered = await service.read_data(tx, dataset, PageQuery(number, limit), view)
        by_page += [row.row_no for row in numbered.rows]
        if page.pagination.next_cursor is None:
            assert by_cursor == by_page
            assert page.pagination.total == len(by_cursor)
            return by_cursor
        query, number = PageQuery(1, limit, page.pagination.next_cursor), number + 1


async def check_history(tx: Tx, dataset: Dataset, model: Model) -> None:
    for row_no in model.rows:
        row, target = await service.get_cell(tx, dataset, f"{dataset.key}r{row_no}c1")
        found, _ = await service.list_history(tx, dataset, row, target, PageQuery(1, 100))
        assert [entry.value for entry in reversed(found)] == model.past[row_no]


STEP: dict[str, Any] = {"insert": insert, "delete": delete, "write": write, "look": look}


async def test_names_of_columns_are_never_sql(world: World) -> None:
    names = ['x"; DROP TABLE grids; --', "%s", "{}", "k1", "row_no", "m", "a'b", "ünï → 😀", "\\"]
    dataset = await world.create(columns=[column(name) for name in names])
    await world.insert(dataset, [{name: f"v{i}" for i, name in enumerate(names)}, {}])
    async with world.database.transaction() as tx:
        for i, name in enumerate(names):
            quoted = name.replace('"', '""')
            view = service.DataView(sort=name, filter=f"\"{quoted}\" = 'v{i}'")
            page = await service.read_data(tx, dataset, PageQuery(1, 5), view)
            assert [row.row_no for row in page.rows] == [1]
