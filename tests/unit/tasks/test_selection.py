"""Which ids a selection takes and which it refuses."""

from typing import Any

import pytest

from gridmill.datasets.model import Column, ColumnMetadata, TaskType
from gridmill.kit.errors import InvalidSelection
from gridmill.kit.values import DataType
from gridmill.tasks.selection import Selection, SelectionRequest, resolve

pytestmark = pytest.mark.unit
KEY = "0123456789ab"


def make_column(number: int, task_type: TaskType = TaskType.ENRICHMENT, **said: Any) -> Column:
    return Column(
        number, number, number, f"c{number}", DataType.TEXT, task_type, ColumnMetadata(**said)
    )


COLUMNS = [
    make_column(1, TaskType.NONE),
    make_column(2),
    make_column(3),
    make_column(4, read_only=True),
]


def test_no_ids_is_every_column_that_tasks_may_write() -> None:
    found = resolve(SelectionRequest(), COLUMNS, KEY)
    assert found == Selection((2, 3), only_empty=True, counts_filled=False)


def test_rows_and_columns_make_their_intersection() -> None:
    asked = SelectionRequest(column_ids=[f"{KEY}c3"], row_ids=[f"{KEY}r9", f"{KEY}r2", f"{KEY}r9"])
    found = resolve(asked, COLUMNS, KEY)
    assert found.targets == (3,)
    assert found.row_nos == (2, 9)
    assert found.counts_filled


def test_cells_are_gathered_by_row() -> None:
    asked = SelectionRequest(cell_ids=[f"{KEY}r7c3", f"{KEY}r1c2", f"{KEY}r7c2", f"{KEY}r7c3"])
    found = resolve(asked, COLUMNS, KEY)
    assert found.cells == {1: (2,), 7: (2, 3)}
    assert found.targets == (2, 3)


@pytest.mark.parametrize(
    "asked",
    [
        SelectionRequest(cell_ids=[]),
        SelectionRequest(column_ids=[]),
        SelectionRequest(row_ids=[]),
        SelectionRequest(cell_ids=[f"{KEY}r1c2"], row_ids=[f"{KEY}r1"]),
        SelectionRequest(cell_ids=[f"{KEY}r1c2"], column_ids=[f"{KEY}c2"]),
        SelectionRequest(cell_ids=[f"{KEY}r1c1"]),
        SelectionRequest(cell_ids=[f"{KEY}r1c9"]),
        SelectionRequest(column_ids=[f"{KEY}c1"]),
        SelectionRequest(column_ids=[f"{KEY}c4"]),
        SelectionRequest(column_ids=["ba9876543210c2"]),
        SelectionRequest(row_ids=["r1"]),
        SelectionRequest(row_ids=[f"{KEY}r0"]),
        SelectionRequest(row_ids=[f"{KEY}r1"] * 100_001),
    ],
)
def test_what_does_not_go_together_is_refused(asked: SelectionRequest) -> None:
    with pytest.raises(InvalidSelection):
        resolve(asked, COLUMNS, KEY)


def test_a_refusal_names_at_most_20_ids_and_clips_them() -> None:
    with pytest.raises(InvalidSelection) as caught:
        resolve(SelectionRequest(row_ids=["x" * 1000] * 50), COLUMNS, KEY)
    assert caught.value.details == {"field": "rowIds", "ids": ["x" * 100] * 20}


def test_100_000_ids_are_taken() -> None:
    ids = [f"{KEY}r{number}" for number in range(1, 100_001)]
    assert len(resolve(SelectionRequest(row_ids=ids), COLUMNS, KEY).named_rows) == 100_000


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        (SelectionRequest(only_empty=False), []),
        (SelectionRequest(row_ids=[f"{KEY}r2"]), [(2, [])]),
        (SelectionRequest(cell_ids=[f"{KEY}r2c3"]), [(2, [3])]),
    ],
)
def test_a_selection_comes_back_from_what_is_kept_of_it(
    asked: SelectionRequest, listed: list[tuple[int, list[int]]]
) -> None:
    found = resolve(asked, COLUMNS, KEY)
    assert Selection.from_json(found.to_json(), listed) == found
