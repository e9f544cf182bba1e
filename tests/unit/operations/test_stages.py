"""Which column is filled after which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.operations.model import ColumnSpec
from gridmill.operations.references import list_read_columns, plan_stages
from tests.support.enriching import column

pytestmark = pytest.mark.unit


def names(stages: tuple[tuple[ColumnSpec, ...], ...]) -> list[list[str]]:
    return [[c.name for c in stage] for stage in stages]


def test_a_column_that_reads_another_comes_after_it() -> None:
    columns = [
        column(1, "Pitch", "Sell {{Name}} in {{Sector}}"),
        column(2, "Name"),
        column(3, "Sector", "What does {{Name}} do?"),
        column(4, "City", "Where is {{Name}}?"),
    ]
    assert names(plan_stages(columns, [1, 3, 4])) == [["Sector", "City"], ["Pitch"]]
    assert names(plan_stages(columns, [1])) == [["Pitch"]]
    assert [c.name for c in list_read_columns(columns[0], columns)] == ["Name", "Sector"]


def test_columns_in_a_cycle_come_last_rather_than_never() -> None:
    columns = [column(1, "A", "{{B}}"), column(2, "B", "{{A}}"), column(3, "C")]
    assert names(plan_stages(columns, [1, 2, 3])) == [["C"], ["A", "B"]]


@given(st.data())
def test_every_target_is_in_one_stage_and_after_what_it_reads(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    columns: list[ColumnSpec] = []
    for number in range(count):
        reads = data.draw(st.sets(st.integers(0, number - 1)) if number else st.just(set[int]()))
        columns.append(column(number, f"c{number}", " ".join(f"{{{{c{n}}}}}" for n in reads)))
    shuffled = data.draw(st.permutations(columns))
    targets = data.draw(st.sets(st.integers(0, count - 1)))
    stages = plan_stages(shuffled, targets)
    level = {c.number: n for n, stage in enumerate(stages) for c in stage}
    assert set(level) == targets
    assert sum(map(len, stages)) == len(targets)
    for number in targets:
        for read in list_read_columns(columns[number], columns):
            assert read.number not in targets or level[read.number] < level[number]
