from typing import Any

import pytest

from gridmill.datasets.exporting import escape_formula
from gridmill.datasets.model import ColumnMetadata, DatasetType, TaskType
from gridmill.datasets.schemas import (
    ColumnCreate,
    ColumnPatch,
    DatasetCreate,
    MetadataBody,
    TaskTypePut,
    check_config,
)
from gridmill.kit.errors import ValidationFailed
from gridmill.kit.http import validate_json
from gridmill.kit.json import dump_json_text


def fields(model: Any, body: object) -> list[str]:
    with pytest.raises(ValidationFailed) as caught:
        validate_json(model, dump_json_text(body).encode())
    return [fault.field for fault in caught.value.fields]


def test_types_have_short_forms() -> None:
    made = validate_json(DatasetCreate, b'{"type": "enrichment", "name": "a"}')
    assert made.type is DatasetType.ENRICHMENT
    put = validate_json(TaskTypePut, b'{"taskType": "map"}')
    assert put.task_type is TaskType.MAP


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "nope", "name": "a"}, "type"),
        ({"type": 1, "name": "a"}, "type"),
        ({"type": "blank"}, "name"),
        ({"type": "blank", "name": " "}, "name"),
        ({"type": "blank", "name": "a\nb"}, "name"),
        ({"type": "blank", "name": "a" * 201}, "name"),
        ({"type": "blank", "name": "a", "extra": 1}, "extra"),
        ({"type": "blank", "name": "a", "columns": [{"name": ""}]}, "columns.0.name"),
        (
            {"type": "blank", "name": "a", "columns": [{"name": "x", "dataType": "int"}]},
            "columns.0.dataType",
        ),
    ],
)
def test_a_dataset_must_hold(body: dict[str, Any], field: str) -> None:
    assert fields(DatasetCreate, body) == [field]


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"confidence": 1.1}, "confidence"),
        ({"confidence": "0.5"}, "confidence"),
        ({"options": []}, "options"),
        ({"options": ["a", "a"]}, "options"),
        ({"options": [" "]}, "options"),
        ({"pattern": "("}, "pattern"),
        ({"pattern": "(a)\\1"}, "pattern"),
        ({"pattern": "a" * 1001}, "pattern"),
        ({"model": "gpt"}, "model"),
        ({"minimum": True}, "minimum.int"),
        ({"maximum": 2**70}, "maximum"),
        ({"examples": [{"input": [2**70], "output": "b"}]}, "examples.0.input"),
        ({"examples": [{"input": None, "output": "b"}]}, "examples.0.input"),
        ({"minimum": 2, "maximum": 1}, ""),
        ({"examples": [{"input": "a"}]}, "examples.0.output"),
        ({"examples": [{"input": "a", "output": "b"}] * 101}, "examples"),
        ({"nope": 1}, "nope"),
    ],
)
def test_metadata_must_hold(metadata: dict[str, Any], field: str) -> None:
    assert fields(MetadataBody, metadata)[0] == field


def test_metadata_survives_storing() -> None:
    said = {
        "prompt": "p",
        "confidence": 0.5,
        "options": ["a", "b"],
        "required": True,
        "examples": [{"input": {"name": "x"}, "output": 5}],
        "description": "d",
        "unit": "m",
        "pattern": "a+",
        "minimum": 1,
        "maximum": 2.5,
        "model": "openai/gpt",
        "knowledge": ["k"],
        "readOnly": True,
        "cache": False,
    }
    stored = validate_json(MetadataBody, dump_json_text(said).encode()).to_metadata()
    assert stored.to_json() == said
    assert ColumnMetadata.from_json(said) == stored


def test_extraction_prompt_is_another_name_for_prompt() -> None:
    made = validate_json(MetadataBody, b'{"extractionPrompt": "p"}')
    assert made.to_metadata().prompt == "p"
    assert made.said() == {"prompt": "p"}


def test_a_patch_tells_null_from_nothing() -> None:
    body = validate_json(ColumnPatch, b'{"metadata": {"unit": null, "required": false}}')
    assert body.metadata is not None
    assert body.metadata.said() == {"unit": None, "required": False}


def test_a_columns_task_type_defaults_to_its_datasets() -> None:
    body = validate_json(ColumnCreate, b'{"name": "a"}')
    assert body.to_column(DatasetType.GENERATION).task_type is TaskType.GENERATION
    assert body.to_column(DatasetType.BLANK).task_type is TaskType.NONE


@pytest.mark.parametrize(
    ("dataset_type", "config", "field"),
    [
        (DatasetType.BLANK, {"a": 1}, "config.a"),
        (DatasetType.EXTRACTION, {"rowsPer": "page"}, "config.rowsPer"),
        (DatasetType.GENERATION, {"seed": "1"}, "config.seed"),
        (DatasetType.GENERATION, {"seed": 2**70}, "config.seed"),
        (DatasetType.MAP, {"bounds": {}}, "config.bounds"),
        (DatasetType.MAP, {"query": {"a": [2**70]}}, "config.query"),
        (DatasetType.MAP, {"maxResults": 0}, "config.maxResults"),
    ],
)
def test_a_config_is_of_its_type(
    dataset_type: DatasetType, config: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        check_config(dataset_type, config)
    assert [fault.field for fault in caught.value.fields] == [field]


def test_a_config_keeps_what_was_said() -> None:
    assert check_config(DatasetType.BLANK, None) == {}
    assert check_config(DatasetType.GENERATION, {"seed": 7}) == {"seed": 7}
    boundary = {"bbox": [1, 2, 3, 4]}
    assert check_config(DatasetType.MAP, {"boundary": boundary}) == {"boundary": boundary}


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1a", "@a", "\tx", "\rx", "-", "+", "--1", "-1\n"]
)
def test_formulas_are_escaped(text: str) -> None:
    assert escape_formula(text) == f"'{text}"
    assert escape_formula(f"a{text}") == f"a{text}"


@pytest.mark.parametrize("text", ["-5", "+5.2", "-0", "+00", "5"])
def test_numbers_with_a_sign_are_no_formulas(text: str) -> None:
    assert escape_formula(text) == text
