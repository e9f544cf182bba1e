from decimal import Decimal

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.values import DataType, to_wire
from gridmill.kit.wire_texts import are_own_json

JUDGED = st.sampled_from([DataType.INTEGER, DataType.NUMBER, DataType.BOOLEAN])
TEXTS = st.one_of(
    st.from_regex(r"-?[0-9]{1,18}", fullmatch=True),
    st.from_regex(r"-?[0-9]{1,8}\.[0-9]{1,11}", fullmatch=True),
    st.from_regex(r"-?0\.0{0,8}[0-9]{1,3}", fullmatch=True),
    st.integers(-(2**60), 2**60).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: format(Decimal(repr(x)), "f")),
    st.sampled_from(["true", "false", "True", "", "-0", "-0.0", "1\n2", "1e3", "01", "9" * 16]),
    st.text(max_size=4),
)


@given(JUDGED, st.lists(TEXTS, min_size=1, max_size=4))
def test_what_is_told_to_be_its_own_json_is_written_so_value_by_value(
    data_type: DataType, texts: list[str]
) -> None:
    if are_own_json(data_type, "\n".join(texts), len(texts)):
        assert [orjson.dumps(to_wire(text, data_type)).decode() for text in texts] == texts


@given(st.lists(st.integers(-(10**15) + 1, 10**15 - 1), min_size=1, max_size=5))
def test_ordinary_integers_are_their_own_json(numbers: list[int]) -> None:
    assert are_own_json(DataType.INTEGER, "\n".join(map(str, numbers)), len(numbers))


@given(st.lists(st.decimals(-99_999, 99_999, places=3), min_size=1, max_size=5))
def test_ordinary_decimals_are_their_own_json(numbers: list[Decimal]) -> None:
    texts = [str(float(number)) for number in numbers if abs(number) != 0]
    assert not texts or are_own_json(DataType.NUMBER, "\n".join(texts), len(texts))
