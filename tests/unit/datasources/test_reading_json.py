"""JSON documents and JSON Lines: what is read, and what is refused with its place."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmill.datasources.parsing.model import Format
from gridmill.datasources.parsing.records import find_half_surrogate
from tests.support.reading import fail, read


def test_records_make_columns_in_the_order_of_their_first_keys(tmp_path: Path) -> None:
    raw = '{}\n{"b": 1, "a": "x"}\n\n{"c": null, "a": ""}\n{"d": true, "b": 2.50}\n'
    reading = read(tmp_path, raw, Format.JSONL)
    assert reading.names == ["b", "a", "c", "d"]
    assert reading.rows == [
        [None, None, None, None],
        ["1", "x", None, None],
        [None, "", None, None],
        ["2.5", None, None, "true"],
    ]
    assert reading.types == ["number", "text", "text", "boolean"]


@pytest.mark.parametrize(
    ("values", "stored", "data_type"),
    [
        (["1", "23456789012345678901234567890"], None, "integer"),
        (["1.50", "1e3", "-0", "-0.0"], ["1.5", "1000", "0", "0"], "number"),
        (["1.0", "2"], ["1", "2"], "integer"),
        (["0.1234567890123456789"], None, "text"),
        (["1e999"], ["1e999"], "text"),
        (['"00123"', '"5"'], ["00123", "5"], "text"),
        (['"5"'], ["5"], "text"),
        (['"true"'], ["true"], "text"),
        (["5", '"5"'], ["5", "5"], "text"),
        (['"2024-01-31"'], ["2024-01-31"], "date"),
        (['{"x" : [1, 2.50, "a b"]}', "[ ]", "3"], ['{"x":[1,2.50,"a b"]}', "[]", "3"], "json"),
        (['{"x": 1}', '"text"'], ['{"x":1}', "text"], "text"),
        (['"\\ud83d\\ude00\\n\\t\\\\"'], ["\U0001f600\n\t\\"], "text"),
        (["true", "false", "null"], ["true", "false", None], "boolean"),
    ],
)
@pytest.mark.parametrize("kind", [Format.JSON, Format.JSONL])
def test_json_values_keep_what_they_are(
    tmp_path: Path, values: list[str], stored: list[str | None] | None, data_type: str, kind: Format
) -> None:
    records = [f'{{"k": {value}}}' for value in values]
    raw = "\n".join(records) if kind is Format.JSONL else f"[{', '.join(records)}]"
    reading = read(tmp_path, raw, kind)
    assert [row[0] for row in reading.rows] == (stored or values)
    assert reading.types == [data_type]


@pytest.mark.parametrize(
    ("raw", "rows"),
    [
        ('{"meta": {"n": 1}, "items": [{"a": 1}, {"a": 2}]}', [["1"], ["2"]]),
        ('  [\n{"a": 1}\n]\n', [["1"]]),
        ('{"a": "x", "tags": ["p", "q"]}', [["x", '["p","q"]']]),
        ('{"a": 1}', [["1"]]),
    ],
)
def test_a_document_holds_one_array_of_records_or_is_one(
    tmp_path: Path, raw: str, rows: list[list[str]]
) -> None:
    assert read(tmp_path, raw, Format.JSON).rows == rows


@pytest.mark.parametrize(
    ("raw", "kind", "place"),
    [
        ('{"a": 1}\n{"a": }\n', Format.JSONL, "Line 2 is not valid JSON"),
        ('{"a": 1}\n[1]\n', Format.JSONL, "Line 2 is not a JSON object"),
        ('{"a": 1}\n{"a": 1', Format.JSONL, "Line 2"),
        ('{"a": 1}\n{"a": NaN}\n', Format.JSONL, "Line 2"),
        ('{"a": 1, "a": 2}\n', Format.JSONL, "occurs twice"),
        ('{"a": "\\u0000"}\n', Format.JSONL, "Line 1 holds a NUL"),
        ('{"a": "\\ud800"}\n', Format.JSONL, "Line 1"),
        ('{"a\\u0000": 1}\n', Format.JSONL, "Line 1"),
        ('{"a":' + "[" * 150 + "]" * 150 + "}\n", Format.JSONL, "deeper than 100"),
        ('[{"a": 1},\n{"b" 2}]', Format.JSON, "Line 2 is not valid JSON"),
        ('[{"a": 1},\n 5]', Format.JSON, "Record 2 is not a JSON object"),
        ('{"x": [{"a": 1}], "y": [{"a": 1}]}', Format.JSON, "several arrays of records (x, y)"),
        ('[{"a": 1}] trailing', Format.JSON, "Line 1"),
        ("[" * 100_000, Format.JSON, "nested deeper"),
        ("[]", Format.JSON, "no records"),
        ("[{}]", Format.JSON, "no records with fields"),
        ("5", Format.JSON, "not a JSON array of objects"),
        (json.dumps([{f"k{n}": n for n in range(301)}]), Format.JSON, "has 301 columns"),
    ],
)
def test_malformed_json_names_its_place(tmp_path: Path, raw: str, kind: Format, place: str) -> None:
    failure = fail(tmp_path, raw, kind)
    assert failure.code == "MALFORMED_FILE"
    assert place in failure.message


_JSON_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_SCALARS = st.none() | st.booleans() | st.integers() | _JSON_TEXT
_RECORDS = st.lists(st.dictionaries(st.sampled_from("abcdé"), _SCALARS, max_size=4), max_size=8)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(
    records=_RECORDS,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    escaped=st.booleans(),
)
def test_any_records_are_read_back(
    tmp_path: Path, records: list[dict[str, object]], encoding: str, escaped: bool
) -> None:
    records = [{"first": 1}, *records]
    lines = "\n".join(json.dumps(record, ensure_ascii=escaped) for record in records)
    readings = [
        read(tmp_path, lines.encode(encoding), Format.JSONL),
        read(
            tmp_path,
            json.dumps(records, ensure_ascii=escaped, indent=1).encode(encoding),
            Format.JSON,
        ),
    ]
    for reading in readings:
        assert reading.names == list(dict.fromkeys(key for record in records for key in record))
        for record, row in zip(records, reading.rows, strict=True):
            for name, cell in zip(reading.names, row, strict=True):
                value = record.get(name)
                expected = value if isinstance(value, str) or value is None else json.dumps(value)
                assert cell == expected


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ("[" * 2_000 + "]" * 2_000, "The file"),
        ('[{"a": ' + "[" * 2_000 + "]" * 2_000 + "}]", "The file"),
        ('{"a": ' * 2_000 + "1" + "}" * 2_000, "The file"),
        ('[{"a": 1}, {"a": ' + "[" * 200 + "]" * 200 + "}]", "Record 2"),
    ],
)
def test_a_file_that_is_nested_too_deeply_says_so(tmp_path: Path, raw: str, where: str) -> None:
    message = fail(tmp_path, raw, Format.JSON).message
    assert message.startswith(f"{where} is nested deeper than 100 levels. Flatten it")
    assert "recursion" not in message


@pytest.mark.parametrize(
    ("raw", "escape", "line"),
    [
        (r'[{"a": "\ud800"}]', r"\ud800", 1),
        ('[{"a": 1},\n' + r'{"\uD83D": 1}]', r"\uD83D", 2),
        (r'[{"a": {"b": "\udc00"}}]', r"\udc00", 1),
        (r'[{"a": "\ud83d\ude00"}, {"a": "\\\udfffx"}]', r"\udfff", 1),
        ('{"rows":\n' + r'[{"a": "\ud800"}]}', r"\ud800", 2),
    ],
)
def test_half_a_surrogate_pair_is_named(tmp_path: Path, raw: str, escape: str, line: int) -> None:
    message = fail(tmp_path, raw, Format.JSON).message
    assert message.startswith(f"Line {line} holds {escape}, half of a surrogate pair")


@given(st.text(alphabet=['"', "\\", "/", "u", "\U0001f600", "é", "d", "8", "0"], max_size=20))
def test_no_text_that_is_one_holds_half_a_pair(text: str) -> None:
    assert find_half_surrogate(json.dumps({"k": text}).encode()) is None
