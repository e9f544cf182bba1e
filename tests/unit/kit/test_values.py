"""Cell values: canonical text, the wire, a model's reply, inference."""

import json
import math
import sys
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridmill.kit.canonical import write_float
from gridmill.kit.json import dump_json
from gridmill.kit.values import (
    DataType,
    TypeInference,
    ValueRules,
    check_pattern,
    coerce,
    fits,
    is_empty,
    parse_wire,
    to_wire,
)

_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
_LOOKALIKES = st.one_of(
    _TEXTS,
    st.from_regex(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?(e[0-9])?", fullmatch=True),
    st.sampled_from(
        ["true", "TRUE", "false", "0", "-0", "007", "1.50", "1.0", "", " ", "{}", "[1]"]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
)


def _rules(name: str, **more: Any) -> ValueRules:
    return ValueRules(DataType(name), **more)


def _infer(*texts: str | None) -> str:
    inference = TypeInference()
    inference.add_all(texts)
    return inference.result().value


def _read_back(text: str, data_type: DataType) -> str:
    """What a client that writes the value down again would have."""
    value: object = json.loads(dump_json(to_wire(text, data_type)))
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "-2", "0"], "integer"),
        (["1", "2.5"], "number"),
        (["2.5", "1", "3.0"], "number"),
        (["12345678901234567890123"], "integer"),
        (["true", "false", None, ""], "boolean"),
        (["2024-02-29"], "date"),
        (["2024-02-29T10:00:00Z", "2024-02-29T10:00:00.123+02:00"], "datetime"),
        (['{"a":1}', "[1,2]"], "json"),
        (["00123", "1"], "text"),
        (["1", "00123"], "text"),
        (["1.50"], "text"),
        (["+5"], "text"),
        (["1e5"], "text"),
        (["-0"], "text"),
        (["TRUE"], "text"),
        (["1", "true"], "text"),
        (["2023-02-29"], "text"),
        (["2024-02-29 10:00:00"], "text"),
        (['{"a": 1}'], "text"),
        (["0.1234567890123456789"], "text"),
        (["1,5"], "text"),
        ([" 1"], "text"),
        (["\u0661"], "text"),
        ([None, "", "  "], "text"),
        ([], "text"),
    ],
)
def test_a_type_is_inferred_only_when_every_text_is_written_its_way(
    texts: list[str | None], expected: str
) -> None:
    assert _infer(*texts) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=25))
def test_a_declared_number_keeps_every_digit_and_comes_back_as_it_went_out(number: Decimal) -> None:
    rules = _rules("number")
    text = coerce(format(number, "f"), rules)
    assert text is not None
    assert Decimal(text) == number
    assert fits(text, DataType.NUMBER)
    shown = to_wire(text, DataType.NUMBER)
    assert isinstance(shown, int | float | str)
    assert Decimal(write_float(shown) if isinstance(shown, float) else shown) == number
    assert parse_wire(shown, rules) == text


@given(st.lists(_LOOKALIKES, max_size=8))
def test_whatever_is_inferred_a_client_reads_every_text_back_as_it_was(texts: list[str]) -> None:
    data_type = DataType(_infer(*texts))
    for text in texts:
        if is_empty(text):
            continue
        back = _read_back(text, data_type)
        if data_type is DataType.NUMBER:
            assert float(back) == float(text)
            assert back == text or "e" in back
        else:
            assert back == text


@given(st.lists(_LOOKALIKES, max_size=8), st.integers(0, 8))
def test_inference_does_not_depend_on_how_the_values_are_cut_in_chunks(
    texts: list[str], cut: int
) -> None:
    inference = TypeInference()
    inference.add_all(texts[:cut])
    inference.add_all(texts[cut:])
    assert inference.result().value == _infer(*texts)


@given(_TEXTS)
def test_a_clients_text_is_stored_and_returned_as_it_is(text: str) -> None:
    assert parse_wire(text, ValueRules()) == text
    assert to_wire(text, DataType.TEXT) == text


@given(_LOOKALIKES, st.sampled_from(DataType))
def test_a_stored_text_that_does_not_fit_its_type_is_shown_and_never_raises(
    text: str, data_type: DataType
) -> None:
    json.loads(dump_json(to_wire(text, data_type)))
    fits(text, data_type)


@given(st.integers())
def test_integers_are_exact_on_the_wire_both_ways(number: int) -> None:
    stored = parse_wire(number, _rules("integer"))
    assert stored == str(number)
    shown = to_wire(stored, DataType.INTEGER)
    assert shown == (number if abs(number) <= 2**53 else str(number))
    assert parse_wire(shown, _rules("integer")) == stored


@example(1e300)
@example(-sys.float_info.max)
@example(5e-324)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_as_the_same_double(number: float) -> None:
    text = write_float(number)
    assert float(text) == number
    assert "e" not in text
    stored = parse_wire(number, _rules("number"))
    assert stored is not None
    assert fits(stored, DataType.NUMBER)
    shown = to_wire(stored, DataType.NUMBER)
    assert isinstance(shown, int | float | str)
    assert float(shown) == number
    assert parse_wire(shown, _rules("number")) == stored


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("100", "integer"),
        (1.5, "integer"),
        (1.0, "integer"),
        (True, "integer"),
        ("9007199254740992", "integer"),
        (10**300, "integer"),
        ("1.5", "number"),
        (True, "number"),
        (math.inf, "number"),
        (math.nan, "number"),
        (1, "boolean"),
        ("true", "boolean"),
        ("2023-02-29", "date"),
        ("20240229", "date"),
        ("2024-02-29T00:00:00Z", "date"),
        ("2024-02-29", "datetime"),
        ("2024-02-29T25:00:00Z", "datetime"),
        ("2024-02-29T10:00:00 Z", "datetime"),
        (5, "text"),
        (["a"], "enum"),
        ("example.com", "url"),
        ("javascript:alert(1)", "url"),
        ("http://user:pw@example.com", "url"),
        ("a@b", "email"),
        ("a b@example.com", "email"),
        ("call me", "phone"),
        ({"lat": 91, "lon": 0}, "location"),
        ({"lat": 1}, "location"),
        ({"lat": 1, "lon": 2, "x": 3}, "location"),
        ({"lat": "1", "lon": 2}, "location"),
        ("nul\0", "text"),
        ("\ud800", "text"),
        ({"a": "\ud800"}, "json"),
    ],
)
def test_a_client_is_held_to_the_type(value: object, name: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ .*\."):
        parse_wire(value, _rules(name))


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        (None, "integer", None),
        (-0.0, "number", "0"),
        (1e21, "number", "1000000000000000000000"),
        (1e-7, "number", "0.0000001"),
        (3.0, "number", "3"),
        (False, "boolean", "false"),
        ("9007199254740993", "integer", "9007199254740993"),
        ("2024-02-29T10:00", "datetime", "2024-02-29T10:00"),
        ("https://example.com/a?b=1#c", "url", "https://example.com/a?b=1#c"),
        ("o'brien+x@mail.example.co", "email", "o'brien+x@mail.example.co"),
        ("+358 (0)40 123-4567", "phone", "+358 (0)40 123-4567"),
        ({"b": [1, 2.5, None], "ä": 10**30}, "json", '{"b":[1,2.5,null],"ä":' + str(10**30) + "}"),
        ({"lon": 24.9, "lat": 60}, "location", '{"lat":60,"lon":24.9}'),
    ],
)
def test_a_fitting_value_is_stored_in_its_one_form(
    value: object, name: str, expected: str | None
) -> None:
    assert parse_wire(value, _rules(name)) == expected
    if expected is not None:
        assert fits(expected, DataType(name))


def test_options_pattern_and_bounds_are_kept() -> None:
    enum = _rules("enum", options=("Food", "Tools"))
    assert parse_wire("Food", enum) == "Food"
    with pytest.raises(ValueError, match="none of the options: Food, Tools"):
        parse_wire("food", enum)
    bounded = _rules("number", minimum=0, maximum=1.5)
    assert parse_wire(1.5, bounded) == "1.5"
    with pytest.raises(ValueError, match="over the maximum"):
        parse_wire(2, bounded)
    with pytest.raises(ValueError, match="under the minimum"):
        parse_wire(-1, bounded)
    code = ValueRules(pattern="[A-Z]{2}[0-9]+")
    assert parse_wire("AB12", code) == "AB12"
    with pytest.raises(ValueError, match="does not match"):
        parse_wire("xAB12", code)


def test_a_pattern_cannot_make_a_value_slow_and_a_bad_one_is_named() -> None:
    check_pattern("(a+)+b")
    with pytest.raises(ValueError, match="does not match"):
        parse_wire("a" * 20_000, ValueRules(pattern="(a+)+b"))
    for bad in ("(", "(?=a)", r"(a)\1"):
        with pytest.raises(ValueError, match="not valid"):
            check_pattern(bad)


@pytest.mark.parametrize(
    ("value", "rules", "expected"),
    [
        ("1,234", _rules("integer"), "1234"),
        (" 100 ", _rules("integer"), "100"),
        (3.0, _rules("integer"), "3"),
        ("$1,200.50", _rules("number"), "1200.5"),
        ("1.5e3", _rules("number"), "1500"),
        ("12345678901234567890123", _rules("integer"), "12345678901234567890123"),
        ("0.1234567890123456789", _rules("number"), "0.1234567890123456789"),
        ("12,345,678,901,234,567.89", _rules("number"), "12345678901234567.89"),
        ("1.2345678901234567890e5", _rules("number"), "123456.7890123456789"),
        ("12345678901234567890.0", _rules("number"), "12345678901234567890"),
        ("-3.14159265358979323846", _rules("number"), "-3.14159265358979323846"),
        ("1.50", _rules("number"), "1.5"),
        (
            "60.12345678901234567, 24.94",
            _rules("location"),
            '{"lat":60.123456789012344,"lon":24.94}',
        ),
        (
            {"lat": "60.12345678901234567", "lon": 24},
            _rules("location"),
            '{"lat":60.123456789012344,"lon":24}',
        ),
        ("Yes", _rules("boolean"), "true"),
        (0, _rules("boolean"), "false"),
        ("food.", _rules("enum", options=("Food", "Tools")), "Food"),
        ("None", _rules("enum", options=("None", "Some")), "None"),
        ("5 March 2024", _rules("date"), "2024-03-05"),
        ("March 5th, 2024", _rules("date"), "2024-03-05"),
        ("2024/3/5", _rules("date"), "2024-03-05"),
        ("2024-03-05 10:30:00 UTC", _rules("datetime"), "2024-03-05T10:30:00Z"),
        ("www.example.com/a", _rules("url"), "https://www.example.com/a"),
        ("<a@example.com>", _rules("email"), "a@example.com"),
        ('{"a": 1}', _rules("json"), '{"a":1}'),
        ("60.17, 24.94", _rules("location"), '{"lat":60.17,"lon":24.94}'),
        ({"latitude": 60, "longitude": 24}, _rules("location"), '{"lat":60,"lon":24}'),
        (5, _rules("text"), "5"),
        (" text ", _rules("text"), "text"),
        ("", _rules("text"), None),
        ("N/A", _rules("integer"), None),
        (None, _rules("integer"), None),
    ],
)
def test_a_models_reply_is_understood_where_it_is_clear(
    value: object, rules: ValueRules, expected: str | None
) -> None:
    assert coerce(value, rules) == expected


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("about 5", "integer"),
        ("1.5", "integer"),
        ("1e999", "number"),
        ("03/04/2024", "date"),
        ("maybe", "boolean"),
        ("2024-03-05", "datetime"),
        ("not a url", "url"),
        ([1], "number"),
    ],
)
def test_a_models_reply_that_is_not_clear_is_an_error(value: object, name: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        coerce(value, _rules(name))


_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_JSON_VALUES, st.sampled_from(DataType))
def test_any_reply_is_a_fitting_text_or_a_sentence(value: object, data_type: DataType) -> None:
    rules = ValueRules(data_type)
    for read in (coerce, parse_wire):
        try:
            text = read(value, rules)
        except ValueError:
            continue
        assert text is None or fits(text, data_type)
        orjson.dumps(to_wire(text, data_type))


@given(st.text(st.characters(categories=["Zs", "Zl", "Zp", "Cc"])))
def test_blank_means_the_same_here_and_in_python(text: str) -> None:
    assert is_empty(text) == (not text.strip())


def test_json_with_long_integers_keeps_their_digits() -> None:
    text = '{"id":123456789012345678901234567890}'
    assert dump_json(to_wire(text, DataType.JSON)) == text.encode()
