"""Request JSON is read strictly, and whatever it is, an error has a place in the contract."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.kit.errors import GridmillError, InvalidJson, InvalidText, PayloadTooLarge
from gridmill.kit.json import (
    MAX_BODY_BYTES,
    dump_json_text,
    is_too_deep,
    parse_request,
    restore_doubles,
)


def _write_without_exponents(value: float) -> int | float:
    """As `jsonb` gives a number back: 1e20 as the integer that it is."""
    return int(value) if value.is_integer() and abs(value) >= 2**63 else value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_stored_double_is_what_it_was_however_large(value: float) -> None:
    stored = {"a": [_write_without_exponents(value), {"b": _write_without_exponents(-value)}]}
    assert restore_doubles(stored) == {"a": [value, {"b": -value}]}
    orjson.dumps(restore_doubles(stored))


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_stored_integer_of_64_bits_stays_one(value: int) -> None:
    found = restore_doubles([value])
    assert found == [value]
    assert isinstance(found[0], int)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"{\"a\": 1,}",
        b"// x\n{}",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e400]",
        b"1e400",
        b'{"a": -1E+0400 }',
        b"[" + b"9" * 250 + b"e99]",
        b"[" + b"9" * 400 + b".0]",
        b"[0.1e" + b"9" * 400 + b"\n]",
        b'{"a:b": 1, "a:b": 2}',
        b'{"\\":": 1, "\\":": 2}',
        b'["{:", {"a": ":", "a": "}"}]',
        b"[01]",
        b"[.5]",
        b'["\n"]',
        b'["\\x"]',
        b'{"a": 1, "a": 2}',
        b'[{"b": {"a": 1, "\\u0061": 2}}]',
        b"{} {}",
        b"\xff\xfe{\x00}\x00",
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": "é"}'.encode("latin-1"),
        b'"\xed\xa0\x80"',
        b"[" + b"9" * 5_000 + b"]",
        b"[" * 101 + b"]" * 101,
        b'{"a":' * 200_000,
        b"[" * 1_000_000,
    ],
)  # fmt: skip
def test_what_is_no_strict_json_is_invalid_json(raw: bytes) -> None:
    with pytest.raises(InvalidJson) as caught:
        parse_request(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "raw",
    [b'"\\u0000"', b'{"a": ["\\ud800"]}', b'{"\\udfff": 1}', b'[{"x": {"a\\u0000": 1}}]', b'"\\uDC00 x"'],
)  # fmt: skip
def test_text_that_cannot_be_stored_is_invalid_text(raw: bytes) -> None:
    with pytest.raises(InvalidText) as caught:
        parse_request(raw)
    assert caught.value.status == 422
    json.dumps(caught.value.to_wire()).encode("utf-8")


def test_nesting_up_to_a_hundred_passes_and_brackets_in_texts_do_not_count() -> None:
    parse_request(b"[" * 100 + b"]" * 100)
    assert parse_request(b'"' + b"[" * 500 + b'"') == "[" * 500
    assert parse_request(b'["\\"' + b"[" * 500 + b'", "\\\\"]') == ['"' + "[" * 500, "\\"]


def test_pairs_of_surrogates_are_one_character() -> None:
    assert parse_request(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_integers_are_exact_and_a_body_has_a_size() -> None:
    assert parse_request(b"[123456789012345678901234567890]") == [123456789012345678901234567890]
    with pytest.raises(PayloadTooLarge):
        parse_request(b'"' + b"x" * MAX_BODY_BYTES + b'"')


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES, st.booleans())
def test_any_good_value_is_read_as_it_was(value: Any, escaped: bool) -> None:
    assert parse_request(json.dumps(value, ensure_ascii=escaped).encode()) == value
    assert parse_request(dump_json_text(value).encode()) == value


_KEYS = st.text(alphabet='ab":\\{}[]é', max_size=3)


@given(st.lists(st.tuples(_KEYS, _KEYS), min_size=1, max_size=6), st.booleans())
def test_a_key_given_twice_is_found_whatever_the_texts_hold(
    pairs: list[tuple[str, str]], escaped: bool
) -> None:
    written = [":".join(json.dumps(t, ensure_ascii=escaped) for t in pair) for pair in pairs]
    raw = f'[{{"x:": ["\\\\"]}}, {{{",".join(written)}}}]'.encode()
    if len({key for key, _ in pairs}) == len(pairs):
        assert parse_request(raw) == [{"x:": ["\\"]}, dict(pairs)]
    else:
        with pytest.raises(InvalidJson, match="occurs twice"):
            parse_request(raw)


@pytest.mark.parametrize("text", ["1e308", "1E-400", "1e+0", "0.1e0000000000000000000001", "-0"])
def test_a_number_that_a_double_holds_is_read(text: str) -> None:
    assert parse_request(text.encode()) == json.loads(text)


@given(
    st.binary(max_size=40)
    | st.text(alphabet='[]{}",:\\u0dD8cx1e.-ntf', max_size=40).map(str.encode)
)
def test_any_bytes_are_a_value_or_an_error_of_the_contract(raw: bytes) -> None:
    status = 200
    try:
        parse_request(raw)
    except GridmillError as error:
        status = error.status
    assert status in {200, 400, 422}


def _nest(value: object, kinds: str) -> object:
    for position, kind in enumerate(kinds):
        value = [value] if kind == "[" else {f'k"[{position}\\': value, "x": "}]"}
    return value


@given(
    st.text(alphabet="[{", min_size=95, max_size=106),
    st.sampled_from(["", "]" * 150, '"', "\\", '[{"\\', 'é\\"']),
)
def test_depth_is_counted_outside_of_texts_alone(kinds: str, text: str) -> None:
    raw = json.dumps(_nest([text, [], {}], kinds[1:])).encode()
    assert is_too_deep(raw) is (len(kinds) + 1 > 100)
