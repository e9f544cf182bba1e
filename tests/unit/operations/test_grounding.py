"""Whether a value stands in a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType
from gridmill.operations.enrichment.grounding import fold, is_grounded


@pytest.mark.parametrize(
    ("value", "kind", "cell"),
    [
        ("Linksys", DataType.TEXT, "LINKSYS EtherFast 8-Port"),
        ("SQUARE ENIX, LLC", DataType.TEXT, "by Square Enix LLC (2006)"),
        ("1200", DataType.INTEGER, "about 1,200 people"),
        ("12.5", DataType.NUMBER, "weighs 12.50 kg"),
        ("2021-03-03", DataType.DATE, "signed on March 3rd, 2021"),
        ("2021-03-03", DataType.DATE, "03/03/21"),
        ("+12053258100", DataType.PHONE, "call +1 (205) 325-8100 now"),
    ],
)
def test_other_spellings_of_the_same_value_count(value: str, kind: DataType, cell: str) -> None:
    assert is_grounded(value, kind, ["something else", cell])


@pytest.mark.parametrize(
    ("value", "kind", "cell"),
    [
        ("link", DataType.TEXT, "LINKSYS EtherFast"),
        ("Paris", DataType.TEXT, "the capital of France"),
        ("120", DataType.INTEGER, "about 1,200 people"),
        ("2021-03-04", DataType.DATE, "signed on March 3rd, 2021"),
        ("...", DataType.TEXT, "..."),
        ("", DataType.TEXT, ""),
    ],
)
def test_what_is_not_there_is_not_found(value: str, kind: DataType, cell: str) -> None:
    assert not is_grounded(value, kind, [cell])


@given(st.text(), st.sampled_from(DataType), st.lists(st.text(), max_size=3))
def test_any_words_of_a_row_are_found_in_it(value: str, kind: DataType, others: list[str]) -> None:
    found = is_grounded(value, kind, [*others, f"before {value} after"])
    assert found == bool(fold(value)) or kind is not DataType.TEXT
