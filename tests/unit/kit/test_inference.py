"""Types of columns: a chunk at once answers as one value after the other does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit import inference
from gridmill.kit.inference import TypeInference
from gridmill.kit.values import DataType

_TRICKY = st.sampled_from(
    [
        *("0", "-1", "00", "-0", "1.0", "-0.0", "0.10", "0.000000001", "123456.123456789", "1e5"),
        *("1\n2", "1\n", "true", "True", "2023-02-29", "2024-02-29", "0000-01-01", "2023-04-31"),
        *("2023-01-31", "2023-01-31T23:59:59Z", "2023-02-30T00:00:00", "2023-01-31T00:00:00.5"),
        *("", " ", "[1]", "x", "\u0661"),
    ]
)
_VALUE = st.one_of(
    st.none(),
    _TRICKY,
    st.integers().map(str),
    st.from_regex(r"-?[0-9]{1,7}\.[0-9]{1,10}", fullmatch=True),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
)


@given(st.lists(st.lists(_VALUE, max_size=6), max_size=4))
def test_a_column_in_chunks_has_the_type_that_its_values_one_by_one_have(
    chunks: list[list[str | None]],
) -> None:
    whole, single = TypeInference(), TypeInference()
    for chunk in chunks:
        whole.add_all(chunk)
        for value in chunk:
            single.add(value)
    assert whole.result() == single.result()


@pytest.mark.parametrize("data_type", list(inference._SURE))
@given(value=_VALUE)
def test_what_is_surely_of_a_type_passes_the_exact_check(
    data_type: DataType, value: str | None
) -> None:
    lines = f"{value}\n"
    sure = inference._SURE[data_type].fullmatch(lines)
    if value and "\n" not in value and sure:
        assert inference._GUESS_CHECKS[data_type](value)
